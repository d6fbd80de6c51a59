/**
 * Reads one data block: finding a key, and walking entries in both directions.
 *
 *     uint32 checksum | entries | uint16 offset of each restart | uint16 count of restarts
 *
 * Every function takes the whole block, whose checksum the caller has compared (`isBlockIntact`), and
 * works at once. Keys that it gives out are copies, inline values are views into the block.
 */
import { assert, binaryStringOf, readUint16 } from '@dozo/base';
import type { TreeEntry } from '../tree/tree-entry.ts';
import { EntryReader, entriesEndOf, entryOfTail } from './entry-reader.ts';
import { LENGTH_END } from './table-format.ts';

/** The entry of `key` in a block, deletes too; undefined when the block has none. */
export function findInBlock(block: Uint8Array, key: Uint8Array): TreeEntry | undefined {
  const tail = tailInBlock(block, key);
  if (tail < 0) return undefined;
  const start = tailStartOf(tail);
  return entryOfTail(block, start, start + (tail % LENGTH_END));
}

/** Where a tail that {@link tailInBlock} has found begins. */
export function tailStartOf(tail: number): number {
  return Math.floor(tail / LENGTH_END);
}

/**
 * Where the tail of the entry of `key` lies in a block: its start times `LENGTH_END`, plus its length. One
 * number, so that nothing is allocated; -1 when the block has no such entry.
 */
export function tailInBlock(block: Uint8Array, key: Uint8Array): number {
  const end = entriesEndOf(block, 0, block.length);
  const keyBytes = key.length;
  let at = restartBefore(block, end, key);
  // How many bytes the key shares with the entry before `at`, which is less than the key.
  let match = 0;
  while (at < end) {
    let shared = block[at++] as number;
    if (shared >= 128) shared = (shared & 127) | ((block[at++] as number) << 7);
    let unshared = block[at++] as number;
    if (unshared >= 128) unshared = (unshared & 127) | ((block[at++] as number) << 7);
    let tailBytes = block[at++] as number;
    if (tailBytes >= 128) tailBytes = (tailBytes & 127) | ((block[at++] as number) << 7);
    // An entry that shares less differs from the one before where that is the same as the key, and
    // entries ascend: it is greater. One that shares more differs from the key as that one does.
    if (shared < match) return -1;
    const tailStart = at + unshared;
    if (shared === match) {
      while (at < tailStart && match < keyBytes && block[at] === key[match]) {
        at++;
        match++;
      }
      if (at === tailStart) {
        if (match === keyBytes) return tailStart * LENGTH_END + tailBytes;
      } else if (match === keyBytes || (block[at] as number) > (key[match] as number)) {
        return -1;
      }
    }
    at = tailStart + tailBytes;
  }
  return -1;
}

/** A place in a block: on an entry, or on none. */
export class BlockCursor {
  readonly #block: Uint8Array;
  readonly #reader = new EntryReader();
  #entryStart = 0;
  #isValid = false;

  /** On no entry; a `seek` comes first. */
  constructor(block: Uint8Array) {
    this.#block = block;
    this.#reader.open(block, 0, block.length);
  }

  /** Whether it is on an entry. */
  get isValid(): boolean {
    return this.#isValid;
  }

  /** The key of the entry as a binary string. */
  get key(): string {
    assert(this.#isValid, 'the cursor is on no entry');
    return binaryStringOf(this.#reader.key, 0, this.#reader.keyBytes);
  }

  /** The entry itself. */
  get entry(): TreeEntry {
    assert(this.#isValid, 'the cursor is on no entry');
    return entryOfTail(this.#block, this.#reader.tailStart, this.#reader.tailEnd);
  }

  /** Goes to the first entry. This and the others tell whether it is on an entry now. */
  seekToFirst(): boolean {
    this.#reader.open(this.#block, 0, this.#block.length);
    return this.next();
  }

  /** Goes to the last entry. */
  seekToLast(): boolean {
    return this.#seekBefore(this.#reader.end);
  }

  /** Goes to the first entry whose key is not less than `key`. */
  seek(key: Uint8Array): boolean {
    const reader = this.#reader;
    reader.restartAt(restartBefore(this.#block, reader.end, key));
    while (this.next()) {
      if (compareKeys(reader.key, reader.keyBytes, key, key.length) >= 0) return true;
    }
    return false;
  }

  /** Goes to the last entry whose key is less than `key`. */
  seekBelow(key: Uint8Array): boolean {
    return this.seek(key) ? this.previous() : this.seekToLast();
  }

  /** Goes to the next entry. Not after it has left the block: then it stays on none. */
  next(): boolean {
    this.#entryStart = this.#reader.position;
    this.#isValid = this.#reader.next();
    return this.#isValid;
  }

  /** Goes to the entry before. */
  previous(): boolean {
    return this.#seekBefore(this.#entryStart);
  }

  /** Goes to the entry that ends at `position`. */
  #seekBefore(position: number): boolean {
    const reader = this.#reader;
    reader.restartAt(lastRestartBelow(this.#block, reader.end, position));
    this.#isValid = false;
    while (reader.position < position) {
      if (!this.next()) return false;
    }
    return this.#isValid;
  }
}

/** Where the search for `key` begins: the last restart whose key is not greater, or the first. */
function restartBefore(block: Uint8Array, end: number, key: Uint8Array): number {
  if (end < 0) return 0;
  let low = 0;
  let high = readUint16(block, block.length - 2);
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (isRestartGreater(block, readUint16(block, end + 2 * middle), key)) high = middle;
    else low = middle;
  }
  return readUint16(block, end + 2 * low);
}

/** Whether the key of the restart at `position`, which is there in full, is greater than `key`. */
function isRestartGreater(block: Uint8Array, position: number, key: Uint8Array): boolean {
  let at = position + 1;
  let keyBytes = block[at++] as number;
  if (keyBytes >= 128) keyBytes = (keyBytes & 127) | ((block[at++] as number) << 7);
  if ((block[at++] as number) >= 128) at++;
  const length = Math.min(keyBytes, key.length);
  for (let index = 0; index < length; index++, at++) {
    const difference = (block[at] as number) - (key[index] as number);
    if (difference !== 0) return difference > 0;
  }
  return keyBytes > key.length;
}

/** The last restart below `position`, or the first. */
function lastRestartBelow(block: Uint8Array, end: number, position: number): number {
  if (end < 0) return 0;
  let low = 0;
  let high = readUint16(block, block.length - 2);
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (readUint16(block, end + 2 * middle) >= position) high = middle;
    else low = middle;
  }
  return readUint16(block, end + 2 * low);
}

/** Compares `left[0, leftBytes)` with `right[0, rightBytes)`; a prefix is less. */
export function compareKeys(
  left: Uint8Array,
  leftBytes: number,
  right: Uint8Array,
  rightBytes: number,
): number {
  const length = Math.min(leftBytes, rightBytes);
  for (let index = 0; index < length; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return leftBytes - rightBytes;
}
