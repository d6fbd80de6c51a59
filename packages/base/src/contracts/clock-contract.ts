/** What every Clock must do. */
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import { demand } from './contract.ts';
import type { ContractCase } from './contract.ts';

/** A clock under test. */
export interface ClockUnderTest {
  readonly clock: Clock;
  /** Lets at least so much of the clock's time pass, and what is due in it run. */
  readonly pass: (durationMs: number) => Promise<void>;
}

const YEAR_MS = 365 * 24 * 3600 * 1000;

/** The contract of {@link Clock}; each case gets a clock of its own. */
export function clockContract(
  make: () => ClockUnderTest | Promise<ClockUnderTest>,
): readonly ContractCase[] {
  const on = (name: string, check: (under: ClockUnderTest) => Promise<void>): ContractCase => ({
    name,
    run: async () => check(await make()),
  });
  return [
    on('wall time is a whole number of ms since 1970', async ({ clock }) => {
      const nowMs = clock.wallMs();
      demand(Number.isInteger(nowMs), 'wall time is an integer');
      demand(nowMs > 50 * YEAR_MS && nowMs < 200 * YEAR_MS, 'wall time is in this century');
      return Promise.resolve();
    }),
    on('both times move on, and monotonic time never back', async ({ clock, pass }) => {
      const wallMs = clock.wallMs();
      const startMs = clock.monotonicMs();
      let lastMs = startMs;
      for (let read = 0; read < 10_000; read++) {
        const nowMs = clock.monotonicMs();
        demand(nowMs >= lastMs, 'monotonic time does not decrease');
        lastMs = nowMs;
      }
      await pass(20);
      demand(clock.monotonicMs() - startMs >= 20, 'monotonic time counts what has passed');
      demand(clock.wallMs() - wallMs >= 19, 'wall time counts what has passed');
    }),
    on('a timer runs once, not early, and never inside the call that starts it', timerRuns),
    on('timers run in the order in which they are due', async ({ clock, pass }) => {
      const ran: string[] = [];
      clock.startTimer(30, () => ran.push('third'));
      clock.startTimer(2, () => ran.push('first'));
      clock.startTimer(15, () => ran.push('second'));
      await pass(60);
      demand(ran.join() === 'first,second,third', 'timers run in order');
    }),
    on('a cancelled timer does not run, and cancelling again does nothing', cancelWorks),
    on('sleep lasts at least as long as it was told', async ({ clock, pass }) => {
      const startMs = clock.monotonicMs();
      const slept = sleep(clock, 10).then(() => clock.monotonicMs() - startMs);
      await pass(30);
      demand((await slept) >= 10, 'sleep is not too short');
    }),
  ];
}

async function timerRuns({ clock, pass }: ClockUnderTest): Promise<void> {
  const startMs = clock.monotonicMs();
  const ranAfterMs: number[] = [];
  let isInsideCall = true;
  let wasInsideCall = false;
  for (const delayMs of [0, 10]) {
    clock.startTimer(delayMs, () => {
      wasInsideCall ||= isInsideCall;
      ranAfterMs.push(clock.monotonicMs() - startMs - delayMs);
    });
  }
  isInsideCall = false;
  await pass(40);
  await pass(20);
  demand(!wasInsideCall, 'a timer of 0 ms runs after the call that starts it');
  demand(ranAfterMs.length === 2, 'each timer runs once');
  demand(
    ranAfterMs.every((lateMs) => lateMs >= 0),
    'no timer runs early',
  );
}

async function cancelWorks({ clock, pass }: ClockUnderTest): Promise<void> {
  let runs = 0;
  const run = (): void => {
    runs++;
  };
  const cancelled = clock.startTimer(5, run);
  cancelled.cancel();
  cancelled.cancel();
  const completed = clock.startTimer(5, run);
  await pass(30);
  completed.cancel();
  demand(runs === 1, 'only the timer that was not cancelled runs');
}
