/**
 * The Random port on this machine: the kernel's generator, drawn in batches.
 *
 * One call for 16 bytes costs microseconds; a pool of some thousand bytes makes it one copy. Bytes
 * that have been handed out are erased from the pool, so that a memory dump does not tell them again.
 */
import { randomFillSync } from 'node:crypto';
import { assert } from '@dozo/base';
import type { Random } from '@dozo/base';

import { RANDOM_POOL_BYTES, RANDOM_POOLED_BYTES_MAX } from './limits.ts';

/** Randomness that nobody can predict, fit for nonces and keys. */
export class SystemRandom implements Random {
  readonly #pool = new Uint8Array(RANDOM_POOL_BYTES);
  #used = RANDOM_POOL_BYTES;

  bytes(sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    if (sizeBytes > RANDOM_POOLED_BYTES_MAX) return randomFillSync(bytes);
    const start = this.#take(sizeBytes);
    bytes.set(this.#pool.subarray(start, start + sizeBytes));
    this.#pool.fill(0, start, start + sizeBytes);
    return bytes;
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 32, 'bound is out of range');
    // Words at or above the largest multiple of `bound` would make small results likelier.
    const end = 2 ** 32 - (2 ** 32 % bound);
    let word = this.#uint32();
    while (word >= end) word = this.#uint32();
    return word % bound;
  }

  fraction(): number {
    return ((this.#uint32() >>> 5) * 2 ** 26 + (this.#uint32() >>> 6)) / 2 ** 53;
  }

  #uint32(): number {
    const start = this.#take(4);
    let word = 0;
    for (let index = start; index < start + 4; index++) {
      word = word * 256 + (this.#pool[index] as number);
      this.#pool[index] = 0;
    }
    return word;
  }

  #take(sizeBytes: number): number {
    if (this.#used + sizeBytes > RANDOM_POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += sizeBytes;
    return start;
  }
}
