/**
 * Admission: how many requests run at once and how many bytes of bodies they hold.
 *
 * Whoever does not fit waits in line, in order of arrival, for a bounded time in a line of bounded
 * length; then it is told to slow down. What is free is given without a promise.
 */
import { assert } from '@dozo/base';
import type { Clock, Timer } from '@dozo/base';
import { S3Error } from '../errors.ts';

interface Waiter {
  readonly amount: number;
  readonly granted: () => void;
  readonly timer: Timer;
}

export interface GateOptions {
  readonly clock: Clock;
  /** How much there is. */
  readonly total: number;
  readonly waitersMax: number;
  readonly waitMs: number;
}

/** A bounded amount of something, and a bounded line in front of it. */
export class Gate {
  readonly #clock: Clock;
  readonly #total: number;
  readonly #waitersMax: number;
  readonly #waitMs: number;
  readonly #waiters = new Set<Waiter>();
  #used = 0;
  #refusedCount = 0;

  constructor(options: GateOptions) {
    this.#clock = options.clock;
    this.#total = options.total;
    this.#waitersMax = options.waitersMax;
    this.#waitMs = options.waitMs;
  }

  /** How much is in use. */
  get used(): number {
    return this.#used;
  }

  /** How many wait. */
  get waiterCount(): number {
    return this.#waiters.size;
  }

  /** How many were told to slow down. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /**
   * Takes `amount`, which is at most the total.
   *
   * @returns undefined when it is taken now, else a promise that resolves when it is.
   * @throws S3Error `SlowDown`, at once or later.
   */
  take(amount: number): Promise<void> | undefined {
    assert(amount <= this.#total, 'nobody takes more than there is');
    if (this.#waiters.size === 0 && this.#used + amount <= this.#total) {
      this.#used += amount;
      return undefined;
    }
    if (this.#waiters.size >= this.#waitersMax) throw this.#refusal();
    return new Promise((resolve, reject) => {
      const timer = this.#clock.startTimer(this.#waitMs, () => {
        this.#waiters.delete(waiter);
        reject(this.#refusal());
        // Who stood behind may want less, and fit.
        this.#admit();
      });
      const waiter: Waiter = { amount, granted: resolve, timer };
      this.#waiters.add(waiter);
    });
  }

  /** Gives back. */
  give(amount: number): void {
    assert(amount <= this.#used, 'only what was taken is given back');
    this.#used -= amount;
    this.#admit();
  }

  #admit(): void {
    for (const waiter of this.#waiters) {
      if (this.#used + waiter.amount > this.#total) return;
      this.#used += waiter.amount;
      this.#waiters.delete(waiter);
      waiter.timer.cancel();
      waiter.granted();
    }
  }

  #refusal(): S3Error {
    this.#refusedCount += 1;
    return new S3Error('SlowDown', { headers: { 'retry-after': '1' } });
  }
}
