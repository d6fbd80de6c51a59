/**
 * What a gateway does when nobody asks: steps of the collector, and now and then a sweep.
 *
 * Driven by the Clock port, one thing at a time, each step bounded. A step that fails is told and
 * tried again at its next time.
 */
import type { Clock, Timer } from '@dozo/base';
import type { S3Limits } from '../limits.ts';
import type { S3Store } from '../store/s3-store.ts';
import type { SweepReport } from '../store/sweep.ts';
import type { Logger } from './logger.ts';

export interface BackgroundOptions {
  readonly store: S3Store;
  readonly clock: Clock;
  readonly limits: S3Limits;
  readonly logger: Logger;
}

/** See the file comment. */
export class Background {
  readonly #store: S3Store;
  readonly #clock: Clock;
  readonly #limits: S3Limits;
  readonly #logger: Logger;
  #timer: Timer | undefined;
  #sweepAtMs = 0;
  #running: Promise<void> | undefined;
  #stop = new AbortController();
  #lastSweep: SweepReport | undefined;
  #freedCount = 0;

  constructor(options: BackgroundOptions) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#logger = options.logger;
  }

  /** What the last sweep found; undefined before the first. */
  get lastSweep(): SweepReport | undefined {
    return this.#lastSweep;
  }

  /** Records that the collector has freed. */
  get freedCount(): number {
    return this.#freedCount;
  }

  /** Begins. Idempotent. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#stop = new AbortController();
    this.#sweepAtMs = this.#clock.monotonicMs() + this.#limits.firstSweepMs;
    this.#schedule();
  }

  /** Ends after the step that runs. Idempotent. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#running;
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = this.#clock.startTimer(this.#limits.collectorStepMs, () => {
      this.#running = this.#step().then(() => {
        this.#running = undefined;
        this.#schedule();
      });
    });
  }

  /** Never rejects. */
  async #step(): Promise<void> {
    try {
      const counts = await this.#store.collector.step();
      this.#freedCount += counts.freed;
      if (counts.freed > 0) this.#logger.debug({ ...counts }, 'collected');
    } catch (error) {
      this.#logger.error({ err: error }, 'the collector failed; it goes on with its next step');
    }
    if (this.#clock.monotonicMs() < this.#sweepAtMs) return;
    this.#sweepAtMs = this.#clock.monotonicMs() + this.#limits.sweepMs;
    try {
      await this.#sweep();
    } catch (error) {
      this.#logger.error({ err: error }, 'a sweep failed; the next one begins anew');
    }
  }

  async #sweep(): Promise<void> {
    const report = await this.#store.sweep.run(this.#stop.signal);
    this.#lastSweep = report;
    const { missing, ...counts } = report;
    if (report.missingChunks > 0) {
      this.#logger.error({ ...counts, missing }, 'a sweep found objects that lack chunks');
    } else {
      this.#logger.info(counts, 'swept');
    }
  }
}
