/**
 * Has it found out what the entries of the active memtable hide (see `settler.ts`), one job at a time:
 * whenever somebody wants to know, and when nothing has been written for a moment.
 *
 * Stands beside the two lines of work of `tree-keeper.ts`. It makes nothing that a checkpoint would have to
 * tell; a flush waits for it, and settles what is left.
 */
import type { Clock, Timer } from '@dozo/base';
import type { Catalog, Generation } from './catalog.ts';
import { SETTLE_IDLE_MS } from './limits.ts';
import type { LogWriter } from './log-writer.ts';
import type { Settler } from './settler.ts';

export interface SettlingLineOptions {
  readonly catalog: Catalog;
  readonly log: LogWriter;
  readonly settler: Settler;
  readonly clock: Clock;
  readonly isServing: () => boolean;
  /** A job has ended: whoever waits for room may find some that was thought to be live. */
  readonly onEnded: () => void;
  /** Nothing has been written for a moment. */
  readonly onIdle: () => void;
}

/** See the file comment. */
export class SettlingLine {
  readonly #options: SettlingLineOptions;
  #underWay: Promise<void> | undefined;
  #idleTimer: Timer | undefined;
  #isEnded = false;

  constructor(options: SettlingLineOptions) {
    this.#options = options;
  }

  /** The job that is under way. May reject with what reads of the tree reject with. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** Begins a job, if none is under way, that nobody waits for. */
  request(): void {
    if (this.#underWay !== undefined) return;
    this.#underWay = this.#settleActive()
      // A read that fails now fails for whoever needs it, too.
      .catch(() => undefined)
      .then(() => {
        this.#ended();
      });
  }

  /** Begins a job and returns its end; none must be under way. Rejects with what reads of the tree reject with. */
  begin(): Promise<void> {
    this.#underWay = this.#settleActive().finally(() => {
      this.#ended();
    });
    return this.#underWay;
  }

  /** Tells when nothing has been written for a moment, if the last writes may hide something. */
  watchForIdleness(): void {
    const { clock, catalog, log } = this.#options;
    const { memtable } = catalog.active;
    if (this.#idleTimer !== undefined) return;
    if (memtable.unsettledCount === 0 && memtable.ranges.isEmpty) return;
    const { appendedBytes } = log;
    this.#idleTimer = clock.startTimer(SETTLE_IDLE_MS, () => {
      this.#idleTimer = undefined;
      if (this.#isEnded || !this.#options.isServing()) return;
      if (log.appendedBytes === appendedBytes) this.#options.onIdle();
      else this.watchForIdleness();
    });
  }

  /** Whether a memtable is the active one, and work on it may go on. */
  isStillActive(generation: Generation): boolean {
    return !this.#isEnded && this.#options.catalog.active === generation;
  }

  end(): void {
    this.#isEnded = true;
    this.#idleTimer?.cancel();
  }

  /** Settles the active memtable, until it is active no more. */
  #settleActive(): Promise<void> {
    const { settler, catalog } = this.#options;
    const generation = catalog.active;
    return settler.settle(generation, () => this.isStillActive(generation));
  }

  #ended(): void {
    this.#underWay = undefined;
    this.#options.onEnded();
  }
}
