/**
 * `dozo guard`: takes the claim of a volume, runs a program under it, gives it back.
 *
 * 1. The kernel's lock on the claim file (L1), the claim on its ring (L2). Refused, it says by whom; or
 *    it waits.
 * 2. Only then the program, through the watcher. Both inherit the locked descriptor.
 * 3. The claim is given back when no process of the program lives any more, and not before.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

import { sleep } from '@dozo/base';
import type { Clock, Random } from '@dozo/base';
import type { ProcessCalls } from '@dozo/platform';

import { claimHolder } from '../composition/claim-holder.ts';
import {
  EXIT_CLAIM_FENCED,
  EXIT_CLAIM_LOST,
  EXIT_SIGNAL_BASE,
  exitStatusOf,
} from '../exit-codes.ts';
import { Descendants } from './descendants.ts';
import { answerTo, FORWARDED_SIGNALS, isInForeground } from './forwarded-signals.ts';
import type { ForwardedSignal } from './forwarded-signals.ts';
import type { GuardTask } from './guard-options.ts';
import { withoutNodeOptions } from './hidden-entries.ts';
import { GIVE_BACK_MS_MAX } from './limits.ts';
import { readProcessTable } from './process-table.ts';
import { Supervisor } from './supervisor.ts';
import type { SupervisionEnd } from './supervisor.ts';
import { lockVolume } from './volume.ts';
import type { LockedVolume, VolumeClaim } from './volume.ts';
import type { ProgramEnd } from './watcher.ts';

export interface GuardWorld {
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly random: Random;
  readonly calls: ProcessCalls;
  /** How this program starts itself. */
  readonly ownCommand: readonly string[];
  readonly say: (line: string) => void;
}

type RunTask = Extract<GuardTask, { kind: 'run' }>;

/** Signals that end the waiting for a claim. */
const ENDING_SIGNALS: readonly ForwardedSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'];

/** Runs a program under guard; @returns the exit status. Throws what refuses to begin. */
export async function runGuard(task: RunTask, world: GuardWorld): Promise<number> {
  const relay = new SignalRelay();
  try {
    return await guardProgram(task, world, relay);
  } catch (error) {
    // The waiting was ended by a signal.
    if (relay.endedBy === undefined || error !== relay.waiting.reason) throw error;
    return EXIT_SIGNAL_BASE + constants.signals[relay.endedBy];
  } finally {
    relay.dispose();
  }
}

async function guardProgram(task: RunTask, world: GuardWorld, relay: SignalRelay): Promise<number> {
  const { clock, say, calls } = world;
  calls.becomeSubreaper();
  const descendants = new Descendants({
    calls,
    clock,
    ownPid: process.pid,
    readTable: readProcessTable,
    kill: (pid, signal) => void process.kill(pid, signal),
  });
  process.on('SIGCHLD', () => void descendants.reap());
  const volume = await lockVolume(task, {
    holder: { ...claimHolder(world.environment), name: task.name },
    clock,
    random: world.random,
    signal: relay.waiting,
    say,
  });
  try {
    let claim: VolumeClaim | undefined;
    const supervisor = new Supervisor({
      clock,
      descendants,
      say,
      spawnWatcher: () => spawnWatcher(task, world, volume),
      currentTerm: () => claim?.term,
    });
    try {
      claim = await volume.acquire();
      if (relay.waiting.aborted) await claim.giveBack();
      relay.waiting.throwIfAborted();
    } catch (error) {
      await supervisor.dismiss();
      throw error;
    }
    return await superviseUnder(claim, supervisor, relay, world);
  } finally {
    await Promise.race([volume.close(), sleep(clock, GIVE_BACK_MS_MAX)]);
  }
}

async function superviseUnder(
  claim: VolumeClaim,
  supervisor: Supervisor,
  relay: SignalRelay,
  { say, clock }: GuardWorld,
): Promise<number> {
  claim.onEnd((end) => {
    if (end.kind === 'lost') supervisor.terminate();
    else supervisor.kill();
    // After the deed: to say it can take time.
    say(end.message);
  });
  relay.forwardTo((signal) => supervisor.forward(signal));
  supervisor.start();
  const end = await supervisor.ended;
  const holders = await Promise.race([claim.giveBack(), sleep(clock, GIVE_BACK_MS_MAX)]);
  if (holders === undefined) {
    say(
      'the disk does not answer, so the claim could not be given back; others wait for its lease',
    );
  } else if (holders.length > 0) {
    say(
      `the lock was handed on to others, who hold the volume until they end: ${holders.join(', ')}`,
    );
  }
  return statusOf(end, claim, say);
}

function statusOf(
  { forced, program }: SupervisionEnd,
  claim: VolumeClaim,
  say: (line: string) => void,
): number {
  if (claim.end?.kind === 'fenced') return EXIT_CLAIM_FENCED;
  if (claim.end !== undefined) return EXIT_CLAIM_LOST;
  if (forced === 'watcher-gone') {
    say('the process that watches the program was killed, and the program with it');
  } else if (forced !== undefined) {
    say(
      'the lease ran out before a beat got through: this guard was stopped or suspended, or the disk ' +
        'did not answer. The program was ended. Look at the volume (dmesg), then start again',
    );
    return EXIT_CLAIM_LOST;
  }
  return statusOfProgram(program);
}

/** As shells say it: the status, or 128 and the number of the signal. */
export function statusOfProgram({ status, signal }: ProgramEnd): number {
  if (signal !== null) return EXIT_SIGNAL_BASE + constants.signals[signal];
  return status ?? exitStatusOf(undefined);
}

function spawnWatcher(task: RunTask, world: GuardWorld, volume: LockedVolume): ChildProcess {
  const [program = '', ...before] = world.ownCommand;
  return spawn(program, [...before, 'guard-watch', '--', ...task.command], {
    stdio: ['inherit', 'inherit', 'inherit', volume.lockedDescriptor, 'pipe'],
    env: withoutNodeOptions(world.environment),
  });
}

/** Signals: before the program runs they end the waiting, then they are passed on. */
class SignalRelay {
  readonly #controller = new AbortController();
  readonly #listeners: (() => void)[] = [];
  #forward: ((signal: ForwardedSignal) => void) | undefined;
  endedBy: ForwardedSignal | undefined;

  constructor() {
    for (const signal of FORWARDED_SIGNALS) {
      const listener = (): void => this.#receive(signal);
      process.on(signal, listener);
      this.#listeners.push(() => process.off(signal, listener));
    }
  }

  /** Aborted by a signal that ends the waiting. */
  get waiting(): AbortSignal {
    return this.#controller.signal;
  }

  forwardTo(forward: (signal: ForwardedSignal) => void): void {
    this.#forward = forward;
  }

  dispose(): void {
    for (const dispose of this.#listeners) dispose();
  }

  #receive(signal: ForwardedSignal): void {
    const answer = answerTo(signal, isInForeground());
    if (signal === 'SIGTSTP' && (answer === 'stop' || this.#forward === undefined)) {
      process.kill(process.pid, 'SIGSTOP');
    } else if (this.#forward !== undefined) {
      if (answer === 'forward') this.#forward(signal);
    } else if (ENDING_SIGNALS.includes(signal)) {
      this.endedBy ??= signal;
      this.#controller.abort(new Error(`ended by ${signal} while waiting`));
    }
  }
}
