/**
 * The filter of a table: a blocked bloom filter, about ten bits a key, about 1 % false positives.
 *
 *     uint32 checksum | lines of 64 bytes
 *
 * The first half of a key's hash chooses a line, the second half {@link PROBES} bits in it, so that a
 * question touches one line of the processor's cache. A filter without lines contains nothing.
 *
 * Source: F. Putze, P. Sanders, J. Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007);
 * the probes are those of RocksDB's FastLocalBloom. The hash is two interleaved chains of the body of
 * MurmurHash3_x86_32 (Austin Appleby, public domain).
 */
import { CHECKSUM_BYTES, sealBlock } from './table-format.ts';

/** Bits of the filter for each key. */
export const FILTER_BITS_PER_KEY = 10;

const LINE_BYTES = 64;
const LINE_BITS = 8 * LINE_BYTES;
const PROBES = 6;
const PROBE_STEP = 0x9e3779b9 | 0;
const TWO_TO_32 = 2 ** 32;

/** Keys that go into a filter in one go: well below a millisecond. */
const STEP_KEYS = 4096;

/** The hash of a key in two halves, each a signed 32-bit integer. */
export interface KeyHash {
  readonly low: number;
  readonly high: number;
}

/** The hash of a key. It is part of the format. */
export function hashOfKey(key: Uint8Array): KeyHash {
  hashKeyInto(key, key.length, scratch, 0);
  return { low: scratch[0] as number, high: scratch[1] as number };
}

const scratch = new Int32Array(2);

/** Writes both halves of the hash of `key[0, keyBytes)` at `hashes[at]` and the next place. */
export function hashKeyInto(
  key: Uint8Array,
  keyBytes: number,
  hashes: Int32Array,
  at: number,
): void {
  let low = 0x2f0b4a27;
  let high = 0x5851f42d;
  let index = 0;
  for (const end = keyBytes - 7; index < end; index += 8) {
    const first =
      (key[index] as number) |
      ((key[index + 1] as number) << 8) |
      ((key[index + 2] as number) << 16) |
      ((key[index + 3] as number) << 24);
    const second =
      (key[index + 4] as number) |
      ((key[index + 5] as number) << 8) |
      ((key[index + 6] as number) << 16) |
      ((key[index + 7] as number) << 24);
    low = absorb(low, first);
    high = absorb(high, second);
  }
  if (index < keyBytes) {
    low = absorb(low, wordAt(key, index, keyBytes));
    high = absorb(high, wordAt(key, index + 4, keyBytes));
  }
  low ^= keyBytes;
  high ^= keyBytes;
  low = (low + high) | 0;
  high = (high + low) | 0;
  low = mixed(low);
  high = mixed(high);
  low = (low + high) | 0;
  hashes[at] = low;
  hashes[at + 1] = (high + low) | 0;
}

/** A little-endian word; what is past the end is zero. */
function wordAt(key: Uint8Array, start: number, end: number): number {
  let word = 0;
  for (let index = start; index < start + 4 && index < end; index++) {
    word |= (key[index] as number) << (8 * (index - start));
  }
  return word;
}

function absorb(state: number, word: number): number {
  let mix = Math.imul(word, 0xcc9e2d51);
  mix = (mix << 15) | (mix >>> 17);
  mix = state ^ Math.imul(mix, 0x1b873593);
  mix = (mix << 13) | (mix >>> 19);
  return (Math.imul(mix, 5) + 0xe6546b64) | 0;
}

/** The finalizer of MurmurHash3. */
export function mixed(state: number): number {
  let mix = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}

/** Bytes of the filter block of so many keys. */
export function filterBytesOf(keyCount: number): number {
  return CHECKSUM_BYTES + LINE_BYTES * Math.ceil((keyCount * FILTER_BITS_PER_KEY) / LINE_BITS);
}

/**
 * Makes the filter of a table; a yield is a place for others to get the thread.
 *
 * @param hashes both halves of each key's hash, in arrays one after the other.
 */
export function* encodeFilter(
  hashes: readonly Int32Array[],
  seed: number,
): Generator<undefined, Uint8Array> {
  const keyCount = hashes.reduce((sum, part) => sum + part.length / 2, 0);
  const filter = new Uint8Array(filterBytesOf(keyCount));
  const lineCount = (filter.length - CHECKSUM_BYTES) / LINE_BYTES;
  for (const part of hashes) {
    for (let start = 0; start < part.length; start += 2 * STEP_KEYS) {
      addKeys(filter, lineCount, part.subarray(start, start + 2 * STEP_KEYS));
      yield;
    }
  }
  sealBlock(filter, seed);
  return filter;
}

function addKeys(filter: Uint8Array, lineCount: number, hashes: Int32Array): void {
  for (let index = 0; index < hashes.length; index += 2) {
    const line = lineOffset(hashes[index] as number, lineCount);
    let probe = hashes[index + 1] as number;
    for (let count = 0; count < PROBES; count++) {
      const at = line + (probe >>> 26);
      filter[at] = (filter[at] as number) | (1 << ((probe >>> 23) & 7));
      probe = Math.imul(probe, PROBE_STEP);
    }
  }
}

/** Whether a key with this hash may be in the table; false is certain. */
export function mayContain(filter: Uint8Array, hash: KeyHash): boolean {
  return mayContainHash(filter, hash.low, hash.high);
}

/** The same with the two halves of the hash. */
export function mayContainHash(filter: Uint8Array, low: number, high: number): boolean {
  const lineCount = Math.floor((filter.length - CHECKSUM_BYTES) / LINE_BYTES);
  if (lineCount <= 0) return false;
  const line = lineOffset(low, lineCount);
  let probe = high;
  for (let count = 0; count < PROBES; count++) {
    const byte = filter[line + (probe >>> 26)] as number;
    if ((byte & (1 << ((probe >>> 23) & 7))) === 0) return false;
    probe = Math.imul(probe, PROBE_STEP);
  }
  return true;
}

/** The hash as a fraction of its range, times the count of lines. Exact: below 2^53. */
function lineOffset(half: number, lineCount: number): number {
  const line = Math.floor(((half >>> 0) * lineCount) / TWO_TO_32);
  return CHECKSUM_BYTES + LINE_BYTES * line;
}
