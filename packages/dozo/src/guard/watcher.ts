/**
 * The watcher: the process between the guard and the program, there so that one of the two is always
 * able to end the program.
 *
 *     guard (claim, beats) --- watcher (subreaper) --- program --- its children
 *
 * - It knows the lease from the guard and ends the program when the guard does not renew it in time,
 *   whatever the reason: a disk that hangs, a guard that was stopped.
 * - When the guard is gone it kills every process below, and only then ends. Until then it holds the
 *   locked descriptor, so nobody else gets in even if the program has closed its own.
 * - When it is killed itself, the program dies with it (parent-death signal) and what is below becomes
 *   the guard's, which kills the rest.
 *
 * A renewal counts only if it was begun while the lease before it still ran. So a guard that was stopped
 * and renews its lease afterwards does not save a program that ran on without one, even if the watcher
 * was stopped too; and a watcher that alone was stopped finds in its messages that no gap was there.
 */
import type { Clock, Timer } from '@dozo/base';

import type { GuardMessage, KillReason, WatcherMessage } from './channel.ts';
import type { Descendants } from './descendants.ts';
import { leaseStageAt, nextLookMs } from './lease-deadlines.ts';
import type { LeaseTerm } from './lease-deadlines.ts';
import { LEFTOVER_GRACE_MS } from './limits.ts';
import type { ProcessEntry } from './process-table.ts';

/** How the program ended. */
export interface ProgramEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface WatcherOptions {
  readonly clock: Clock;
  readonly descendants: Descendants;
  /** Starts the program; @returns its pid, and calls `onEnd` once; `undefined`: it could not, and said so. */
  readonly startProgram: (onEnd: (end: ProgramEnd) => void) => number | undefined;
  readonly signalProgram: (pid: number, signal: NodeJS.Signals) => void;
  readonly send: (message: WatcherMessage) => void;
  readonly say: (line: string) => void;
  /** Runs it when all messages that have come by now were received. */
  readonly afterMessages: (task: () => void) => void;
  /** Nothing is left to watch; the process ends. */
  readonly leave: (why: 'done' | 'never-started' | 'guard-gone') => void;
}

/** The watcher, driven by messages, by the ends of processes and by time. */
export class Watcher {
  readonly #options: WatcherOptions;
  #term: LeaseTerm | undefined;
  #timer: Timer | undefined;
  #pid: number | undefined;
  #hasEnded = false;
  #isTerminating = false;
  #isHeld = false;
  #isKilling = false;
  #isGone = false;
  #isAlone = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /** A message from the guard. */
  receive(message: GuardMessage): void {
    switch (message.kind) {
      case 'start':
        this.#term = message.term;
        this.#start();
        break;
      case 'renewed':
        this.#renew(message.term);
        break;
      case 'signal':
        if (this.#pid !== undefined && !this.#hasEnded) {
          this.#options.signalProgram(this.#pid, message.signal);
        }
        break;
      case 'terminate':
        this.#terminate();
        break;
      case 'kill':
        this.#kill('claim');
        break;
    }
  }

  /** The guard has ended, in whatever way. */
  guardIsGone(): void {
    this.#isAlone = true;
    if (this.#pid === undefined) this.#options.leave('never-started');
    else this.#kill('guard-gone');
  }

  /** A child has ended (SIGCHLD). */
  childEnded(): void {
    const left = this.#options.descendants.reap();
    if (left === 'none' && this.#hasEnded) this.#finish();
  }

  #start(): void {
    const pid = this.#options.startProgram((end) => {
      if (pid !== undefined) this.#programEnded(pid, end);
    });
    if (pid === undefined) {
      this.#hasEnded = true;
      this.#options.send({ kind: 'ended', status: 126, signal: null });
      this.#finish();
      return;
    }
    this.#pid = pid;
    this.#options.descendants.leaveTo(pid);
    this.#options.send({ kind: 'started', pid });
    this.#lookAgain();
  }

  #lookAgain(): void {
    if (this.#term === undefined || this.#isGone) return;
    const { clock } = this.#options;
    this.#timer = clock.startTimer(nextLookMs(this.#term, clock.monotonicMs()), () => {
      // After a stop, what the guard has said meanwhile is heard first.
      this.#options.afterMessages(() => {
        this.#checkLease();
        this.#lookAgain();
      });
    });
  }

  #renew(term: LeaseTerm): void {
    const before = this.#term;
    this.#term = term;
    // Nothing is judged by a renewal alone: newer ones may be waiting behind it.
    if (before !== undefined && term.sinceMonotonicMs - before.sinceMonotonicMs >= term.leaseMs) {
      this.#kill('lease');
    }
  }

  #checkLease(): void {
    if (this.#pid === undefined || this.#term === undefined || this.#isKilling) return;
    const { clock } = this.#options;
    const stage = leaseStageAt(this.#term, {
      monotonicMs: clock.monotonicMs(),
      wallMs: clock.wallMs(),
    });
    if (stage === 'kill' || stage === 'overdue') this.#kill('lease');
    else if (stage === 'terminate') this.#terminate();
    this.#hold(stage === 'doubtful');
  }

  /** Stops all while nobody knows whether the lease still counts, and lets them go on. */
  #hold(isInDoubt: boolean): void {
    if (this.#isHeld === isInDoubt || this.#isKilling) return;
    this.#isHeld = isInDoubt;
    this.#options.descendants.signalAll(isInDoubt ? 'SIGSTOP' : 'SIGCONT');
  }

  #terminate(): void {
    if (this.#isTerminating || this.#isKilling) return;
    this.#isTerminating = true;
    this.#options.send({ kind: 'terminating' });
    if (this.#pid !== undefined && !this.#hasEnded) {
      this.#options.signalProgram(this.#pid, 'SIGTERM');
      // One that is stopped takes the signal only when it goes on.
      this.#options.signalProgram(this.#pid, 'SIGCONT');
    }
    // Said here, and after the deed: the guard may be stopped, and to say it can take time.
    this.#options.say('half of the lease is gone without a beat: the program is asked to end');
  }

  #programEnded(pid: number, end: ProgramEnd): void {
    const { descendants, send, clock } = this.#options;
    this.#hasEnded = true;
    descendants.wasTaken(pid);
    send({ kind: 'ended', ...end });
    if (descendants.reap() === 'none') {
      this.#finish();
      return;
    }
    if (this.#isKilling) return;
    const leftovers = descendants.living();
    if (leftovers.length > 0) send({ kind: 'leftovers', names: leftovers.map(nameOf) });
    descendants.signalAll('SIGTERM');
    descendants.signalAll('SIGCONT');
    clock.startTimer(LEFTOVER_GRACE_MS, () => this.#kill(undefined));
  }

  /** @param reason absent for leftovers whose time is over. */
  #kill(reason: KillReason | undefined): void {
    if (this.#isKilling || this.#isGone || this.#pid === undefined) return;
    this.#isKilling = true;
    const { descendants, send, say } = this.#options;
    // First the deed: whoever reads the message may be stopped.
    descendants.signalAll('SIGKILL');
    if (reason !== undefined) send({ kind: 'killing', reason });
    void descendants
      .killAll((stuck) => {
        send({ kind: 'stuck', names: stuck.map(nameOf) });
      })
      .then(() => this.#finish());
    if (reason === 'lease') say('the guard does not renew the lease: the program was killed');
  }

  #finish(): void {
    // The status of the program itself may come after the kernel says that no child is left.
    if (this.#isGone || !this.#hasEnded) return;
    this.#isGone = true;
    this.#timer?.cancel();
    this.#options.send({ kind: 'gone' });
    this.#options.leave(this.#isAlone ? 'guard-gone' : 'done');
  }
}

/** A process for people. */
export function nameOf({ pid, name }: ProcessEntry): string {
  return `${name} (${pid})`;
}
