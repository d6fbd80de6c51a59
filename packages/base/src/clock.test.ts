import { describe, expect, it } from 'vitest';

import { sleep } from './clock.ts';
import type { Clock } from './clock.ts';

/** A clock whose timers run only when told to. */
function makeClock(): { clock: Clock; run: () => void; cancelled: () => number } {
  const due: (() => void)[] = [];
  let cancelled = 0;
  const clock: Clock = {
    wallMs: () => 0,
    monotonicMs: () => 0,
    turn: () => Promise.resolve(),
    startTimer: (_, callback) => {
      due.push(callback);
      return { cancel: () => (cancelled += 1) };
    },
  };
  const run = (): void => {
    for (const callback of due.splice(0)) callback();
  };
  return { clock, run, cancelled: () => cancelled };
}

describe('sleep', () => {
  it('ends with its timer and does not listen to the signal any more', async () => {
    const { clock, run, cancelled } = makeClock();
    const controller = new AbortController();
    const slept = sleep(clock, 10, controller.signal);
    run();
    await slept;
    controller.abort();
    expect(cancelled()).toBe(0);
  });

  it('ends with the reason of the signal and stops its timer', async () => {
    const { clock, cancelled } = makeClock();
    const controller = new AbortController();
    const slept = sleep(clock, 10, controller.signal);
    controller.abort(new Error('enough'));
    await expect(slept).rejects.toThrow('enough');
    expect(cancelled()).toBe(1);
  });

  it('does not begin when the signal is aborted already', async () => {
    const { clock, run } = makeClock();
    await expect(sleep(clock, 10, AbortSignal.abort(new Error('before')))).rejects.toThrow(
      'before',
    );
    run();
  });
});
