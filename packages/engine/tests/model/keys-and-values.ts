/**
 * The keys that a model run uses, and the values that it writes.
 *
 * Keys are few enough to be overwritten often, and nasty: prefixes of each other, with bytes 0x00 and
 * 0xff at the ends, long common beginnings, up to the longest. A value can be told from every other one
 * that was written, its first bytes being its number (where it is that long), and is made again from number and
 * length when it is compared, so that nothing needs to be kept of it.
 */
import { binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import type { SeededRandom } from '@dozo/base';
import { KEY_BYTES_MAX } from '../../src/index.ts';

/** Bytes of the number at the beginning of a value. */
const NUMBER_BYTES = 6;
const POOL_BYTES = 128 * 1024;
/** Where the tree decides whether a value stands in the entry; lengths around it are drawn more often. */
const INLINE_EDGES = [127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025];

/** Distinct keys in byte order, as binary strings. */
export function drawKeys(random: SeededRandom, count: number): readonly string[] {
  const names = new Set<string>();
  const families = ['a/', 'a/bucket/object-', '\u0000', '\u00ff\u00ff', 'z'.repeat(90), ''];
  while (names.size < count) {
    const roll = random.fraction();
    let name: string;
    if (roll < 0.6) {
      name = `${random.pick(families)}${String(random.below(count * 8)).padStart(6, '0')}`;
    } else if (roll < 0.75) {
      name = binaryStringOf(random.bytes(1 + random.below(24)));
    } else if (roll < 0.95 && names.size > 0) {
      // Next to another one, or its prefix.
      const other = [...names][random.below(names.size)] ?? '';
      const ends = [`${other}\u0000`, `${other}\u00ff`, other.slice(0, -1)];
      name = random.pick(ends);
    } else {
      name = binaryStringOf(random.bytes(1 + random.below(KEY_BYTES_MAX)));
    }
    if (name.length > 0 && name.length <= KEY_BYTES_MAX) names.add(name);
  }
  // Binary strings have the order of their bytes.
  return [...names].sort((left, right) => (left < right ? -1 : 1));
}

/** The length of a value: often short, sometimes as long as it may be. */
export function drawValueBytes(random: SeededRandom, valueBytesMax: number): number {
  const roll = random.fraction();
  if (roll < 0.04) return 0;
  if (roll < 0.4) return random.below(120);
  if (roll < 0.5) return random.pick(INLINE_EDGES);
  if (roll < 0.72) return random.below(600);
  if (roll < 0.97) return random.below(Math.min(4096, valueBytesMax));
  return random.below(valueBytesMax + 1);
}

/** The values of one run. */
export class ValueMaker {
  readonly #pool: Uint8Array;

  constructor(random: SeededRandom) {
    this.#pool = random.bytes(POOL_BYTES);
  }

  /** The value with that number and length; the same bytes each time. */
  make(number: number, sizeBytes: number): Uint8Array {
    const value = new Uint8Array(sizeBytes);
    const start = (number * 8191) % (POOL_BYTES / 2);
    value.set(this.#pool.subarray(start, start + Math.min(sizeBytes, POOL_BYTES / 2)));
    if (sizeBytes >= NUMBER_BYTES) {
      for (let index = 0; index < NUMBER_BYTES; index++) {
        value[index] = Math.floor(number / 256 ** index) % 256;
      }
    }
    return value;
  }
}

export function keyBytesOf(name: string): Uint8Array {
  return bytesOfBinaryString(name);
}
