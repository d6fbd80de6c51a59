/**
 * How long something took, in buckets whose bounds are fixed: noting one is a few comparisons and one
 * addition, and what is kept never grows.
 */
import type { LatencyStats } from './engine-types.ts';

/**
 * Upper bounds of the buckets in ms, each included in its own; one more bucket takes what is longer. These
 * are for what somebody waits for.
 */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000,
];

/** The same for work in the background, which a small device may be busy with for minutes. */
export const WORK_BOUNDS_MS: readonly number[] = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000,
];

/** See the file comment. */
export class LatencyHistogram {
  readonly #boundsMs: readonly number[];
  readonly #counts: Float64Array;
  #sumMs = 0;
  #maxMs = 0;

  /** @param boundsMs ascending; default {@link LATENCY_BOUNDS_MS}. */
  constructor(boundsMs: readonly number[] = LATENCY_BOUNDS_MS) {
    this.#boundsMs = boundsMs;
    this.#counts = new Float64Array(boundsMs.length + 1);
  }

  /** Something took so long; what is negative, because a clock went wrong, counts as nothing. */
  note(durationMs: number): void {
    const ms = Math.max(0, durationMs);
    let bucket = 0;
    while (bucket < this.#boundsMs.length && ms > (this.#boundsMs[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sumMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  stats(): LatencyStats {
    return {
      boundsMs: this.#boundsMs,
      counts: [...this.#counts],
      sumMs: this.#sumMs,
      maxMs: this.#maxMs,
    };
  }
}
