/**
 * Shared and exclusive locks on keys, first come first served.
 *
 * A transaction takes all its locks before it looks at anything, in the order of the keys, so that
 * two transactions can never wait for each other in a circle. A lock that is asked for exclusively
 * lets no later shared one pass, so that a stream of writers cannot starve the one that closes a
 * bucket. When nothing is in the way everything is taken at once, without a promise.
 */
import { assert } from '@dozo/base';

/** One lock to take. */
export interface LockRequest {
  /** The key as a binary string. */
  readonly key: string;
  readonly exclusive: boolean;
}

interface Waiter {
  readonly exclusive: boolean;
  readonly granted: () => void;
}

interface Lock {
  /** Holders at present; one when `exclusive`. */
  holderCount: number;
  exclusive: boolean;
  readonly waiters: Waiter[];
}

/** The locks of one placement group. */
export class KeyLocks {
  readonly #locks = new Map<string, Lock>();

  /** Keys that somebody holds now. */
  get lockedKeyCount(): number {
    return this.#locks.size;
  }

  /**
   * Takes the locks, which must be in strictly ascending order of their keys.
   *
   * @returns undefined when all are held now, else a promise that resolves when they are.
   */
  acquire(requests: readonly LockRequest[]): Promise<void> | undefined {
    for (let index = 0; index < requests.length; index += 1) {
      const request = requests[index];
      assert(request !== undefined, 'an index below the length');
      if (!this.#take(request)) return this.#acquireRest(requests, index);
    }
    return undefined;
  }

  /** Gives back what `acquire` took with the same requests. */
  release(requests: readonly LockRequest[]): void {
    for (const { key } of requests) {
      const lock = this.#locks.get(key);
      assert(lock !== undefined && lock.holderCount > 0, 'only a held lock is released');
      lock.holderCount -= 1;
      lock.exclusive = false;
      if (lock.holderCount === 0 && lock.waiters.length === 0) this.#locks.delete(key);
      else grantWaiters(lock);
    }
  }

  async #acquireRest(requests: readonly LockRequest[], from: number): Promise<void> {
    for (let index = from; index < requests.length; index += 1) {
      const request = requests[index];
      assert(request !== undefined, 'an index below the length');
      if (index > from && this.#take(request)) continue;
      await new Promise<void>((granted) => {
        const lock = this.#locks.get(request.key);
        assert(lock !== undefined, 'a lock that cannot be taken exists');
        lock.waiters.push({ exclusive: request.exclusive, granted });
      });
    }
  }

  #take(request: LockRequest): boolean {
    const lock = this.#locks.get(request.key);
    if (lock === undefined) {
      this.#locks.set(request.key, {
        holderCount: 1,
        exclusive: request.exclusive,
        waiters: [],
      });
      return true;
    }
    if (request.exclusive || lock.exclusive || lock.waiters.length > 0) return false;
    lock.holderCount += 1;
    return true;
  }
}

function grantWaiters(lock: Lock): void {
  for (;;) {
    const next = lock.waiters[0];
    if (next === undefined) return;
    if (lock.exclusive || (next.exclusive && lock.holderCount > 0)) return;
    lock.waiters.shift();
    lock.holderCount += 1;
    lock.exclusive = next.exclusive;
    next.granted();
  }
}
