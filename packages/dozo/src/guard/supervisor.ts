/**
 * The guard's side of the watcher: starts it, tells it the lease and the signals, hears how the program
 * ended, and does its work when it is gone or does not move.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';

import type { Clock, Timer } from '@dozo/base';

import { Channel } from './channel.ts';
import type { GuardMessage, KillReason, WatcherMessage } from './channel.ts';
import type { Descendants } from './descendants.ts';
import { leaseStageAt, nextLookMs } from './lease-deadlines.ts';
import type { LeaseTerm } from './lease-deadlines.ts';
import { KILL_BACKUP_MS } from './limits.ts';
import { nameOf } from './watcher.ts';
import type { ProgramEnd } from './watcher.ts';

/** How it all ended. No process of the program lives any more. */
export interface SupervisionEnd {
  readonly program: ProgramEnd;
  /** Why we ended it, if we did. */
  readonly forced: KillReason | 'watcher-gone' | undefined;
}

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly descendants: Descendants;
  /** Starts the watcher with the channel as the entry {@link CHANNEL_DESCRIPTOR} of its `stdio`. */
  readonly spawnWatcher: () => ChildProcess;
  readonly say: (line: string) => void;
  /** The lease at this moment, as the claim has it; `undefined` before there is one. */
  readonly currentTerm: () => LeaseTerm | undefined;
}

/** The descriptors of a watcher: standard ones, the locked one, and the channel. */
export const LOCK_DESCRIPTOR = 3;
export const CHANNEL_DESCRIPTOR = 4;

/** One program under guard. */
export class Supervisor {
  /** Resolves when no process of the program lives, also when none could be started. */
  readonly ended: Promise<SupervisionEnd>;
  readonly #options: SupervisorOptions;
  readonly #watcher: ChildProcess;
  readonly #channel: Channel<GuardMessage, WatcherMessage>;
  readonly #resolve: (end: SupervisionEnd) => void;
  readonly #watcherExited: Promise<void>;
  #timer: Timer | undefined;
  #sent: LeaseTerm | undefined;
  #program: ProgramEnd | undefined;
  #forced: SupervisionEnd['forced'];
  #isGone = false;
  #isTakingOver = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<SupervisionEnd>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#watcher = options.spawnWatcher();
    const { pid } = this.#watcher;
    if (pid !== undefined) options.descendants.leaveTo(pid);
    const exit = Promise.withResolvers<undefined>();
    this.#watcher.once('error', (error) => {
      options.say(`cannot start another process of this program: ${error.message}`);
      this.#program = { status: 126, signal: null };
      exit.resolve(undefined);
      if (pid === undefined) this.#finish();
    });
    this.#watcherExited = exit.promise;
    this.#watcher.once('exit', () => {
      if (pid !== undefined) options.descendants.wasTaken(pid);
      exit.resolve(undefined);
    });
    this.#channel = new Channel<GuardMessage, WatcherMessage>(
      this.#watcher.stdio[CHANNEL_DESCRIPTOR] as Socket,
      (message) => this.#receive(message),
      () => void this.#watcherExited.then(() => this.#watcherIsGone()),
    );
  }

  /** Runs the program. */
  start(): void {
    const term = this.#options.currentTerm();
    if (term === undefined) throw new Error('a program is started before its claim stands');
    this.#sent = term;
    this.#channel.send({ kind: 'start', term });
    this.#lookAgain(term);
  }

  /** Passes a signal on to the program. */
  forward(signal: NodeJS.Signals): void {
    this.#channel.send({ kind: 'signal', signal });
  }

  /** No beat will go through any more: the program is asked to end, and killed before the lease ends. */
  terminate(): void {
    this.#forced ??= 'lease';
    this.#channel.send({ kind: 'terminate' });
  }

  /** The claim is over: everything is killed at once. */
  kill(): void {
    this.#forced ??= 'claim';
    this.#channel.send({ kind: 'kill' });
    this.#options.clock.startTimer(KILL_BACKUP_MS, () => this.#takeOver());
  }

  /** Nothing was started and nothing will be. */
  async dismiss(): Promise<void> {
    this.#isGone = true;
    await this.#channel.end();
    await this.#watcherExited;
  }

  #lookAgain(term: LeaseTerm): void {
    const { clock } = this.#options;
    this.#timer = clock.startTimer(nextLookMs(term, clock.monotonicMs()), () => {
      if (this.#isGone) return;
      this.#checkLease();
      this.#lookAgain(this.#sent ?? term);
    });
  }

  #checkLease(): void {
    const { clock, currentTerm } = this.#options;
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    // What the watcher knows counts: a lease renewed in our sleep comes too late for the program.
    if (this.#sent !== undefined && leaseStageAt(this.#sent, now) === 'overdue') {
      this.#forced ??= 'lease';
      this.#takeOver();
      return;
    }
    const term = currentTerm();
    if (term === undefined || term.sinceMonotonicMs === this.#sent?.sinceMonotonicMs) return;
    this.#sent = term;
    this.#channel.send({ kind: 'renewed', term });
  }

  #receive(message: WatcherMessage): void {
    const { say } = this.#options;
    switch (message.kind) {
      case 'started':
        break;
      case 'terminating':
        this.#forced ??= 'lease';
        break;
      case 'killing':
        this.#forced ??= message.reason;
        break;
      case 'ended':
        this.#program = { status: message.status, signal: message.signal };
        break;
      case 'leftovers':
        say(`the program has ended; what it left running is asked to end: ${list(message.names)}`);
        break;
      case 'stuck':
        say(`still there after SIGKILL, and the volume stays held: ${list(message.names)}`);
        break;
      case 'gone':
        this.#finish();
        break;
    }
  }

  #watcherIsGone(): void {
    if (this.#isGone) return;
    this.#forced ??= 'watcher-gone';
    this.#takeOver();
  }

  /** Everything below us, the watcher included. Orphans of children that are not ours go with it. */
  #takeOver(): void {
    if (this.#isTakingOver || this.#isGone) return;
    this.#isTakingOver = true;
    const { descendants, say } = this.#options;
    descendants.signalAll('SIGKILL');
    void descendants
      .killAll((stuck) => {
        say(`still there after SIGKILL, and the volume stays held: ${list(stuck.map(nameOf))}`);
      })
      .then(() => this.#finish());
  }

  #finish(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#timer?.cancel();
    const program = this.#program ?? { status: null, signal: 'SIGKILL' as const };
    void this.#watcherExited.then(() => {
      this.#resolve({ program, forced: this.#forced });
    });
  }
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}
