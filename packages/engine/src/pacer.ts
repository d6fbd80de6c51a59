/**
 * Lets others have the event loop while background work goes on.
 *
 * Work is done in small pieces, and `pause` is awaited between them: it costs nothing until `STEP_MS_MAX`
 * of work have been done since the last turn, or many pieces, and then waits for one. What the work waits
 * for itself, through `wait`, does not count. The longest that was seen stands in the counters.
 */
import type { Clock } from '@dozo/base';
import type { Counters } from './counters.ts';
import { STEP_MS_MAX } from './limits.ts';

/** After so many pauses there is a turn in any case, also where time stands still as in a simulation. */
const PAUSES_MAX = 64;

/** How a piece of work lets others have the thread. */
export interface Pace {
  /** To be called after something was waited for: the piece begins now. */
  begin(): void;
  /** Waits for something that is no work of this thread, such as a read of the device. */
  wait<Result>(promise: Promise<Result>): Promise<Result>;
  /** Waits for a turn of the event loop if it is time. */
  pause(): Promise<void>;
  /** One for work that goes on beside this one's. */
  another(): Pace;
}

/** For work that nobody else waits for: never pauses. */
export const UNPACED: Pace = {
  begin: () => undefined,
  wait: (promise) => promise,
  pause: () => Promise.resolve(),
  another: () => UNPACED,
};

/** See the file comment. One for each line of work. */
export class Pacer implements Pace {
  readonly #clock: Clock;
  readonly #counters: Counters;
  #sinceMs: number;
  /** Work since the last turn, up to the last wait. */
  #workedMs = 0;
  #pauseCount = 0;

  constructor(clock: Clock, counters: Counters) {
    this.#clock = clock;
    this.#counters = counters;
    this.#sinceMs = clock.monotonicMs();
  }

  begin(): void {
    this.#sinceMs = this.#clock.monotonicMs();
    this.#workedMs = 0;
    this.#pauseCount = 0;
  }

  async wait<Result>(promise: Promise<Result>): Promise<Result> {
    this.#workedMs += this.#clock.monotonicMs() - this.#sinceMs;
    try {
      return await promise;
    } finally {
      this.#sinceMs = this.#clock.monotonicMs();
    }
  }

  async pause(): Promise<void> {
    this.#pauseCount++;
    const workedMs = this.#workedMs + this.#clock.monotonicMs() - this.#sinceMs;
    if (workedMs < STEP_MS_MAX && this.#pauseCount < PAUSES_MAX) return;
    this.#note(workedMs);
    await this.#clock.turn();
    this.begin();
  }

  another(): Pace {
    return new Pacer(this.#clock, this.#counters);
  }

  #note(workedMs: number): void {
    if (workedMs > this.#counters.stepMsMax) this.#counters.stepMsMax = workedMs;
  }
}

/** Does something in its steps, with pauses between them. */
export async function inSteps<Result>(
  steps: Generator<undefined, Result>,
  pacer: Pace,
): Promise<Result> {
  pacer.begin();
  for (;;) {
    const step = steps.next();
    await pacer.pause();
    if (step.done === true) return step.value;
  }
}

/** Does it in one go. */
export function endOf<Result>(steps: Generator<undefined, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
