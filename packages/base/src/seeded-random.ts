/**
 * A seeded generator: the same seed gives the same run.
 *
 * sfc32 (Chris Doty-Humphrey's Small Fast Counter, 128 bits of state, period at least 2^32, passes
 * PractRand), seeded by hashing the seed's text. Not for secrets.
 */
import { assert } from './assert.ts';
import type { Random } from './random.ts';

/** A {@link Random} whose whole future follows from its seed. */
export class SeededRandom implements Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any text or number; `7` and `'7'` are the same seed. */
  constructor(seed: string | number) {
    this.#seed = String(seed);
    this.#a = hash(this.#seed, 0x9e3779b9);
    this.#b = hash(this.#seed, 0x85ebca6b);
    this.#c = hash(this.#seed, 0xc2b2ae35);
    for (let round = 0; round < 15; round++) this.uint32();
  }

  /** A generator of its own for the part of the run called `name`; does not disturb this one. */
  derive(name: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${name}`);
  }

  /** A uniform integer in `[0, 2^32)`. */
  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  bytes(sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    for (let index = 0; index < sizeBytes; index += 4) {
      const word = this.uint32();
      bytes[index] = word;
      // Stores past the end of the array do nothing.
      bytes[index + 1] = word >>> 8;
      bytes[index + 2] = word >>> 16;
      bytes[index + 3] = word >>> 24;
    }
    return bytes;
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 32, 'bound is out of range');
    // Words at or above the largest multiple of `bound` would make small results likelier.
    const end = 2 ** 32 - (2 ** 32 % bound);
    let word = this.uint32();
    while (word >= end) word = this.uint32();
    return word % bound;
  }

  fraction(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** True with probability `probability`. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of `items`, of which there is at least one. */
  pick<Item>(items: readonly Item[]): Item {
    assert(items.length > 0, 'nothing to pick from');
    return items[this.below(items.length)] as Item;
  }

  /** Puts `items` in a random order, in place (Fisher and Yates). */
  shuffle(items: unknown[]): void {
    for (let index = items.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      const item = items[index];
      items[index] = items[other];
      items[other] = item;
    }
  }
}

/** FNV-1a with the finishing steps of MurmurHash3. */
function hash(text: string, start: number): number {
  let value = start;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return value ^ (value >>> 16);
}
