/**
 * The Clock port: the only source of time for everything that decides anything.
 *
 * Two clocks, because they answer different questions. Wall time is for people and for protocols
 * that exchange dates; it jumps. Monotonic time counts suspended time too (`CLOCK_BOOTTIME`), never
 * runs backwards, and is the only one that a lease or a deadline may be measured with.
 */

/** A timer that was started with {@link Clock.startTimer}. */
export interface Timer {
  /** Stops the timer; its callback will not run any more. Idempotent. */
  cancel(): void;
}

/** Time, as `platform` measures it and the simulator makes it up. */
export interface Clock {
  /** Wall time in ms since 1970-01-01 UTC, an integer. May jump in either direction. */
  wallMs(): number;

  /** Ms since an arbitrary start, fractional, never decreasing, counting suspended time. */
  monotonicMs(): number;

  /**
   * Runs `callback` once, at least `delayMs` (>= 0) from now.
   *
   * @returns a timer that can be cancelled. A pending timer does not keep a process alive.
   */
  startTimer(delayMs: number, callback: () => void): Timer;

  /**
   * Resolves after everything else that is ready has had its turn: what a long piece of work awaits now
   * and then so that it does not hold the thread. No time has to pass. Keeps a process alive meanwhile.
   */
  turn(): Promise<void>;
}

/**
 * Resolves after at least `delayMs`; rejects with the signal's reason once `signal` is aborted.
 *
 * The promise alone does not keep a process alive.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.startTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
