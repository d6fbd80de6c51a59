/**
 * Writes entries in key order as sealed data blocks: what a table builder and a merge have in common.
 *
 * A tail is copied as it is: a merge does not decode what it moves. The layout is that of
 * entry-reader.ts and block.ts.
 */
import { assert, crc32c, uninitialisedBytes } from '@dozo/base';
import { KEY_BYTES_MAX } from '../limits.ts';
import { ENTRY_DELETE, ENTRY_POINTER } from '../tree/tree-entry.ts';
import { FILTER_BITS_PER_KEY, hashKeyInto } from './bloom.ts';
import { numberEnd, readNumber } from './entry-reader.ts';
import { CHECKSUM_BYTES, DATA_BLOCK_BYTES, LENGTH_END, RESTART_INTERVAL } from './table-format.ts';

/** Restarts of a block at most: an entry takes six bytes or more, and one in 16 is a restart. */
const RESTARTS_MAX = Math.ceil(DATA_BLOCK_BYTES / 6 / RESTART_INTERVAL) + 1;

/** Bytes of the index for each block beside its fence. */
const INDEX_ROW_BYTES = 8;

/** Sealed data blocks one after the other, and what a table needs to know of them. */
export interface BlockRun {
  readonly blocks: Uint8Array;
  /** Where each block ends in `blocks`. */
  readonly blockEnds: Uint32Array;
  /** The fence of each block, the first one's empty; see index-block.ts. */
  readonly fences: Uint8Array;
  /** Where each fence ends in `fences`. */
  readonly fenceEnds: Uint32Array;
  /** Empty, as the blocks are, when there are no entries. */
  readonly firstKey: Uint8Array;
  readonly lastKey: Uint8Array;
  /** Both halves of the hash of each key, for the filter. */
  readonly hashes: Int32Array;
  readonly entryCount: number;
  readonly deleteCount: number;
  readonly pointerCount: number;
  /** Bytes of keys and inline values. */
  readonly dataBytes: number;
  readonly lsnMax: number;
}

/** See the file comment. */
export class BlockWriter {
  readonly #seed: number;
  #bytes: Uint8Array;
  #length = 0;
  #blockStart = 0;
  #blockEnds = new Uint32Array(64);
  #blockCount = 0;
  #fences = new Uint8Array(512);
  #fenceEnds = new Uint32Array(64);
  #fenceBytes = 0;
  readonly #restarts = new Uint16Array(RESTARTS_MAX);
  #restartCount = 0;
  /** Entries since the last restart, and it. */
  #intervalCount = 0;
  #firstKey = new Uint8Array(0);
  readonly #key = new Uint8Array(KEY_BYTES_MAX);
  #keyBytes = 0;
  #hashes = new Int32Array(1024);
  #entryCount = 0;
  #deleteCount = 0;
  #pointerCount = 0;
  #dataBytes = 0;
  #lsnMax = 0;

  /** @param capacityBytes a guess at the bytes of all blocks; it grows. */
  constructor(seed: number, capacityBytes: number) {
    this.#seed = seed;
    this.#bytes = uninitialisedBytes(capacityBytes + 2 * DATA_BLOCK_BYTES);
  }

  get isEmpty(): boolean {
    return this.#entryCount === 0;
  }

  /** What the blocks, their part of the filter and their part of the index take in a table. */
  get tableBytes(): number {
    return (
      this.#length +
      Math.ceil((this.#entryCount * FILTER_BITS_PER_KEY) / 8) +
      this.#fenceBytes +
      INDEX_ROW_BYTES * (this.#blockCount + 1)
    );
  }

  /**
   * Adds an entry with the key `key[0, keyBytes)` and the tail `tail[tailStart, tailEnd)`. Writes
   * nothing and returns false unless the key is greater than the one before.
   */
  add(
    key: Uint8Array,
    keyBytes: number,
    tail: Uint8Array,
    tailStart: number,
    tailEnd: number,
  ): boolean {
    assert(keyBytes > 0 && keyBytes <= KEY_BYTES_MAX, 'a key of a table has 1 to 1,536 bytes');
    const shared = this.#sharedWithLast(key, keyBytes);
    if (shared < 0) return false;
    const tailBytes = tailEnd - tailStart;
    assert(tailBytes < LENGTH_END, 'the tail of an entry is too long');
    this.#makeRoom(keyBytes + tailBytes);
    // A restart has its key in full.
    const saved = this.#intervalCount === RESTART_INTERVAL ? 0 : shared;
    if (this.#isTooLong(keyBytes - saved + tailBytes)) this.#closeBlock();
    if (this.#length === this.#blockStart) this.#openBlock(key, keyBytes, shared);
    const isRestart = this.#intervalCount === RESTART_INTERVAL || this.#restartCount === 0;
    if (isRestart) {
      this.#restarts[this.#restartCount++] = this.#length - this.#blockStart;
      this.#intervalCount = 0;
    }
    this.#intervalCount++;
    const bytes = this.#bytes;
    const kept = isRestart ? 0 : shared;
    let at = writeLength(bytes, this.#length, kept);
    at = writeLength(bytes, at, keyBytes - kept);
    at = writeLength(bytes, at, tailBytes);
    for (let index = kept; index < keyBytes; index++) bytes[at++] = key[index] as number;
    for (let index = tailStart; index < tailEnd; index++) bytes[at++] = tail[index] as number;
    this.#length = at;
    const last = this.#key;
    for (let index = shared; index < keyBytes; index++) last[index] = key[index] as number;
    this.#keyBytes = keyBytes;
    this.#count(keyBytes, tail, tailStart, tailEnd);
    return true;
  }

  /** Everything, sealed. The writer is used up. */
  finish(): BlockRun {
    if (this.#length > this.#blockStart) this.#closeBlock();
    return {
      blocks: this.#bytes.subarray(0, this.#length),
      blockEnds: this.#blockEnds.subarray(0, this.#blockCount),
      fences: this.#fences.subarray(0, this.#fenceBytes),
      fenceEnds: this.#fenceEnds.subarray(0, this.#blockCount),
      firstKey: this.#firstKey,
      lastKey: this.#key.slice(0, this.#keyBytes),
      hashes: this.#hashes.subarray(0, 2 * this.#entryCount),
      entryCount: this.#entryCount,
      deleteCount: this.#deleteCount,
      pointerCount: this.#pointerCount,
      dataBytes: this.#dataBytes,
      lsnMax: this.#lsnMax,
    };
  }

  /** How many bytes the key shares with the one before; -1 when it is not greater. */
  #sharedWithLast(key: Uint8Array, keyBytes: number): number {
    const last = this.#key;
    const lastBytes = this.#keyBytes;
    const end = lastBytes < keyBytes ? lastBytes : keyBytes;
    let shared = 0;
    while (shared < end && key[shared] === last[shared]) shared++;
    const isGreater =
      shared < end ? (key[shared] as number) > (last[shared] as number) : keyBytes > lastBytes;
    return isGreater ? shared : -1;
  }

  #count(keyBytes: number, tail: Uint8Array, tailStart: number, tailEnd: number): void {
    const at = 2 * this.#entryCount++;
    if (at === this.#hashes.length) {
      const grown = new Int32Array(2 * at);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    hashKeyInto(this.#key, keyBytes, this.#hashes, at);
    const lsn = readNumber(tail, tailStart + 1);
    if (lsn > this.#lsnMax) this.#lsnMax = lsn;
    const kind = tail[tailStart];
    this.#dataBytes += keyBytes;
    if (kind === ENTRY_DELETE) this.#deleteCount++;
    else if (kind === ENTRY_POINTER) this.#pointerCount++;
    else this.#dataBytes += tailEnd - numberEnd(tail, tailStart + 1);
  }

  /** Whether an entry would make the block, which has one already, longer than it should be. */
  #isTooLong(entryBytes: number): boolean {
    const blockBytes = this.#length - this.#blockStart;
    if (blockBytes === 0) return false;
    return blockBytes + entryBytes + 6 + 2 * (this.#restartCount + 2) > DATA_BLOCK_BYTES;
  }

  /** Begins a block with `key`, which has `shared` bytes in common with the key before. */
  #openBlock(key: Uint8Array, keyBytes: number, shared: number): void {
    if (this.#blockCount === this.#blockEnds.length) {
      this.#blockEnds = grown(this.#blockEnds);
      this.#fenceEnds = grown(this.#fenceEnds);
    }
    if (this.#entryCount === 0) {
      this.#firstKey = Uint8Array.prototype.slice.call(key, 0, keyBytes);
    } else {
      const end = this.#fenceBytes + shared + 1;
      if (end > this.#fences.length) {
        const wider = new Uint8Array(2 * end);
        wider.set(this.#fences);
        this.#fences = wider;
      }
      this.#fences.set(key.subarray(0, shared + 1), this.#fenceBytes);
      this.#fenceBytes = end;
    }
    this.#fenceEnds[this.#blockCount] = this.#fenceBytes;
    this.#length += CHECKSUM_BYTES;
    this.#restartCount = 0;
    this.#intervalCount = 0;
  }

  #closeBlock(): void {
    const bytes = this.#bytes;
    let at = this.#length;
    const count = this.#restartCount;
    for (let index = 0; index < count; index++) {
      const restart = this.#restarts[index] as number;
      bytes[at++] = restart;
      bytes[at++] = restart >>> 8;
    }
    bytes[at++] = count;
    bytes[at++] = count >>> 8;
    const start = this.#blockStart;
    const checksum = crc32c(bytes.subarray(start + CHECKSUM_BYTES, at), this.#seed);
    bytes[start] = checksum;
    bytes[start + 1] = checksum >>> 8;
    bytes[start + 2] = checksum >>> 16;
    bytes[start + 3] = checksum >>> 24;
    this.#blockEnds[this.#blockCount++] = at;
    this.#length = at;
    this.#blockStart = at;
  }

  /** Makes room for the end of a block, the begin of one, and an entry. */
  #makeRoom(entryBytes: number): void {
    const needed = this.#length + entryBytes + 4 * RESTARTS_MAX + 64;
    if (needed <= this.#bytes.length) return;
    const wider = uninitialisedBytes(Math.max(needed, 2 * this.#bytes.length));
    wider.set(this.#bytes);
    this.#bytes = wider;
  }
}

function grown(numbers: Uint32Array): Uint32Array<ArrayBuffer> {
  const wider = new Uint32Array(2 * numbers.length);
  wider.set(numbers);
  return wider;
}

function writeLength(bytes: Uint8Array, at: number, length: number): number {
  if (length < 128) {
    bytes[at] = length;
    return at + 1;
  }
  bytes[at] = length | 128;
  bytes[at + 1] = length >>> 7;
  return at + 2;
}
