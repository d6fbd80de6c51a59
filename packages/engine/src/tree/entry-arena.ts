/**
 * Where the entries of a memtable lie: records in chunks outside the heap, one behind the other, so that
 * the garbage collector has nothing to look at and nothing to move.
 *
 *     record: int32 lengths | uint32 shadow bytes | float64 shadow ordinal | key | tail | room
 *     lengths: 11 bits of key bytes, 14 of tail bytes, 7 of room in units
 *
 * A record begins at a multiple of 8 bytes; its *number*, counted in those units over all chunks, names
 * the entry. The tail is that of a table's entry (entry-reader.ts), so that a flush copies it. A key never
 * changes where it lies. A tail may be written over as long as no snapshot knows the record; the memtable
 * sees to that. Space of records that are gone comes back with the whole arena only.
 *
 * Chunks of a memtable that is in tables serve the next one ({@link ChunkPool}): nobody may hold a view of
 * them then.
 */
import { assert, binaryStringOf, uninitialisedBytes, writeBinaryString } from '@dozo/base';
import { KEY_BYTES_MAX } from '../limits.ts';
import {
  entryOfTail,
  numberEnd,
  readNumber,
  tailBytesOf,
  writeTail,
} from '../table/entry-reader.ts';
import { ENTRY_INLINE, ENTRY_POINTER, SHADOW_GONE, TreeEntry } from './tree-entry.ts';
import type { EntryKind } from './tree-entry.ts';

/** Records begin at multiples of so many bytes. */
const UNIT_BYTES = 8;
const UNIT_SHIFT = 3;
/** Units of a chunk: 256 KiB, which is mapped and given back as a whole by the usual allocators. */
const CHUNK_SHIFT = 15;
const CHUNK_UNITS = 1 << CHUNK_SHIFT;
const CHUNK_BYTES = CHUNK_UNITS * UNIT_BYTES;
const UNIT_MASK = CHUNK_UNITS - 1;
/** Entry numbers are small integers. */
const CHUNK_COUNT_MAX = 2 ** 31 / CHUNK_UNITS;

const HEADER_BYTES = 16;
const KEY_BITS = 11;
const KEY_MASK = (1 << KEY_BITS) - 1;
const TAIL_BITS = 14;
const TAIL_MASK = (1 << TAIL_BITS) - 1;
const ROOM_SHIFT = KEY_BITS + TAIL_BITS;
const ROOM_UNITS_MAX = 127;

assert(KEY_BYTES_MAX <= KEY_MASK, 'the length of a key fits its bits');

/** Stands where the rest of a chunk is not used. No record has an empty key. */
const END_OF_CHUNK = 0;

/** No entry. */
export const NO_ENTRY = -1;

/** A piece of memory, seen in the three ways that records need. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
}

function newChunk(): Chunk {
  const bytes = uninitialisedBytes(CHUNK_BYTES);
  const { buffer, byteOffset } = bytes;
  const words = new Int32Array(buffer, byteOffset, CHUNK_BYTES / 4);
  return { bytes, words, doubles: new Float64Array(buffer, byteOffset, CHUNK_BYTES / 8) };
}

/** Chunks that wait to be used again. */
export class ChunkPool {
  readonly #countMax: number;
  readonly #chunks: Chunk[] = [];

  /** @param bytesMax what is kept at most. */
  constructor(bytesMax: number) {
    this.#countMax = Math.ceil(bytesMax / CHUNK_BYTES);
  }

  take(): Chunk {
    return this.#chunks.pop() ?? newChunk();
  }

  give(chunks: readonly Chunk[]): void {
    this.#chunks.push(...chunks.slice(0, this.#countMax - this.#chunks.length));
  }
}

/** See the file comment. */
export class EntryArena {
  /** By number; a cleared arena lets go of those that it had. */
  #chunks: (Chunk | undefined)[] = [];
  readonly #pool: ChunkPool;
  /** Number that the next record gets, and where its chunk ends. */
  #end = 0;
  #chunkEnd = 0;
  /** Units of records, those that are gone included. */
  #unitCount = 0;
  /** The first chunk that is not let go. */
  #firstChunk = 0;
  #isView = false;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  /** The number that the next record gets, if it fits the chunk: all from now on have this or a higher one. */
  get end(): number {
    return this.#end;
  }

  /** The number from which on records have not been let go. */
  get begin(): number {
    return this.#firstChunk << CHUNK_SHIFT;
  }

  get sizeBytes(): number {
    return this.#unitCount * UNIT_BYTES;
  }

  /**
   * Makes room for a record and writes its key. Returns the number that it has if {@link add} follows;
   * until then nothing has been added.
   */
  prepare(name: string, entry: TreeEntry): number {
    const sizeBytes = HEADER_BYTES + name.length + tailBytesOf(entry);
    assert(name.length > 0 && name.length <= KEY_BYTES_MAX, 'a key has 1 to 1,536 bytes');
    if (this.#end + unitsOf(sizeBytes) > this.#chunkEnd) this.#openChunk();
    const { bytes } = this.#chunkOf(this.#end);
    writeBinaryString(name, bytes, keyStartOf(this.#end));
    return this.#end;
  }

  /** Adds the record whose key has just been prepared. */
  add(keyBytes: number, entry: TreeEntry, shadowOrdinal: number, shadowBytes: number): void {
    const number = this.#end;
    const { bytes, words, doubles } = this.#chunkOf(number);
    const at = keyStartOf(number) + keyBytes;
    const tailBytes = writeTail(entry, bytes, at) - at;
    const unit = number & UNIT_MASK;
    words[2 * unit] = keyBytes | (tailBytes << KEY_BITS);
    words[2 * unit + 1] = shadowBytes;
    doubles[unit + 1] = shadowOrdinal;
    const units = unitsOf(HEADER_BYTES + keyBytes + tailBytes);
    this.#end = number + units;
    this.#unitCount += units;
  }

  /** Writes another tail over that of a record, if there is room; says whether there was. */
  rewrite(number: number, entry: TreeEntry): boolean {
    const { bytes, words } = this.#chunkOf(number);
    const lengths = words[wordOf(number)] as number;
    const keyBytes = lengths & KEY_MASK;
    const units = unitsOfRecord(lengths);
    const tailBytes = tailBytesOf(entry);
    const room = units - unitsOf(HEADER_BYTES + keyBytes + tailBytes);
    if (room < 0 || room > ROOM_UNITS_MAX) return false;
    writeTail(entry, bytes, keyStartOf(number) + keyBytes);
    words[wordOf(number)] = keyBytes | (tailBytes << KEY_BITS) | (room << ROOM_SHIFT);
    return true;
  }

  /**
   * Lets go of all records. Their numbers are not given again; false where they have become too high.
   *
   * @param isShared whether there are views, which go on with what they have.
   */
  clear(isShared: boolean): boolean {
    if (this.#chunks.length > CHUNK_COUNT_MAX / 2) return false;
    this.#firstChunk = this.#chunks.length;
    if (!isShared) this.#giveBack();
    this.#chunks = new Array<undefined>(this.#firstChunk).fill(undefined);
    this.#end = this.#chunkEnd = this.begin;
    this.#unitCount = 0;
    return true;
  }

  /** What a snapshot needs: the same records, for as long as it likes. */
  view(): EntryArena {
    const view = new EntryArena(this.#pool);
    view.#chunks = this.#chunks;
    view.#end = this.#end;
    view.#firstChunk = this.#firstChunk;
    view.#isView = true;
    return view;
  }

  /** Gives the chunks to others. Whoever still looks into this arena fails. */
  release(): void {
    this.#giveBack();
    this.#chunks = [];
  }

  /** Forgets the chunks, without giving them to others: snapshots may look at them. */
  forget(): void {
    this.#chunks = [];
  }

  /** The record behind one; `end` where there is none. */
  next(number: number): number {
    const next = number + unitsOfRecord(this.#lengthsOf(number));
    return this.skipEnd(next);
  }

  /** The number itself, or the begin of the next chunk where the rest of one is not used. */
  skipEnd(number: number): number {
    if (number >= this.#end || (number & UNIT_MASK) === 0) return number;
    return this.#lengthsOf(number) === END_OF_CHUNK
      ? ((number >>> CHUNK_SHIFT) + 1) << CHUNK_SHIFT
      : number;
  }

  keyBytesOf(number: number): number {
    return this.#lengthsOf(number) & KEY_MASK;
  }

  /** The chunk of a record: its key is `[keyStartOf, keyStartOf + keyBytesOf)`, and the tail follows. */
  bytesOf(number: number): Uint8Array {
    return this.#chunkOf(number).bytes;
  }

  tailBytesOf(number: number): number {
    return (this.#lengthsOf(number) >>> KEY_BITS) & TAIL_MASK;
  }

  /** The key as a binary string. */
  nameOf(number: number): string {
    const { bytes, words } = this.#chunkOf(number);
    const start = keyStartOf(number);
    return binaryStringOf(bytes, start, start + ((words[wordOf(number)] as number) & KEY_MASK));
  }

  kindOf(number: number): EntryKind {
    return this.bytesOf(number)[this.#tailStartOf(number)] as EntryKind;
  }

  /** Bytes of the value; 0 for a delete. */
  valueBytesOf(number: number): number {
    const bytes = this.bytesOf(number);
    const start = this.#tailStartOf(number);
    const kind = bytes[start];
    const at = numberEnd(bytes, start + 1);
    if (kind === ENTRY_INLINE) return start + this.tailBytesOf(number) - at;
    if (kind !== ENTRY_POINTER) return 0;
    return readNumber(bytes, numberEnd(bytes, numberEnd(bytes, at)));
  }

  /** A pointer's ordinal; 0 for the others. */
  ordinalOf(number: number): number {
    const bytes = this.bytesOf(number);
    const start = this.#tailStartOf(number);
    return bytes[start] === ENTRY_POINTER ? readNumber(bytes, numberEnd(bytes, start + 1)) : 0;
  }

  /**
   * The entry. Its value is a copy, but for a view that nobody writes over: there it lies in the arena, which
   * it keeps from going.
   */
  entryOf(number: number): TreeEntry {
    const { bytes, words } = this.#chunkOf(number);
    const lengths = words[wordOf(number)] as number;
    const start = keyStartOf(number) + (lengths & KEY_MASK);
    const end = start + ((lengths >>> KEY_BITS) & TAIL_MASK);
    const entry = entryOfTail(bytes, start, end);
    if (this.#isView || entry.kind !== ENTRY_INLINE) return entry;
    return TreeEntry.copied(entry.lsn, entry.bytes);
  }

  shadowOrdinalOf(number: number): number {
    return this.#chunkOf(number).doubles[(number & UNIT_MASK) + 1] as number;
  }

  shadowBytesOf(number: number): number {
    return (this.#chunkOf(number).words[wordOf(number) + 1] as number) >>> 0;
  }

  setShadow(number: number, ordinal: number, sizeBytes: number): void {
    const { words, doubles } = this.#chunkOf(number);
    words[wordOf(number) + 1] = sizeBytes;
    doubles[(number & UNIT_MASK) + 1] = ordinal;
  }

  /** Says that no key has this entry any more. */
  markGone(number: number): void {
    this.setShadow(number, SHADOW_GONE, 0);
  }

  /** Compares the key of a record with another: less than 0 where it is before it. */
  compareKey(number: number, from: number, key: Uint8Array, start: number, length: number): number {
    const { bytes, words } = this.#chunkOf(number);
    const keyBytes = (words[wordOf(number)] as number) & KEY_MASK;
    const at = keyStartOf(number);
    const shared = keyBytes < length ? keyBytes : length;
    for (let index = from; index < shared; index++) {
      const difference = (bytes[at + index] as number) - (key[start + index] as number);
      if (difference !== 0) return difference;
    }
    return keyBytes - length;
  }

  /**
   * Compares the first `count` bytes of the key of a record, which has so many, with another key: greater
   * than 0 where they are above it, 0 where the other key begins with them.
   */
  compareBegin(
    number: number,
    count: number,
    key: Uint8Array,
    start: number,
    length: number,
  ): number {
    const { bytes } = this.#chunkOf(number);
    const at = keyStartOf(number);
    const shared = count < length ? count : length;
    for (let index = 0; index < shared; index++) {
      const difference = (bytes[at + index] as number) - (key[start + index] as number);
      if (difference !== 0) return difference;
    }
    return length < count ? 1 : 0;
  }

  /** How many of the first `limit` bytes the key of a record shares with another key. */
  sharedBytes(
    number: number,
    limit: number,
    key: Uint8Array,
    start: number,
    length: number,
  ): number {
    const { bytes, words } = this.#chunkOf(number);
    const keyBytes = (words[wordOf(number)] as number) & KEY_MASK;
    const at = keyStartOf(number);
    const end = Math.min(keyBytes, length, limit);
    let index = 0;
    while (index < end && bytes[at + index] === key[start + index]) index++;
    return index;
  }

  /** Four bytes of a key from `skip` on, as a number that compares as they do. */
  prefixOf(number: number, skip: number): number {
    const { bytes, words } = this.#chunkOf(number);
    const keyBytes = (words[wordOf(number)] as number) & KEY_MASK;
    const at = keyStartOf(number);
    return prefixAt(bytes, at + skip, at + keyBytes);
  }

  #giveBack(): void {
    this.#pool.give(this.#chunks.filter((chunk) => chunk !== undefined));
  }

  #tailStartOf(number: number): number {
    return keyStartOf(number) + this.keyBytesOf(number);
  }

  #lengthsOf(number: number): number {
    return this.#chunkOf(number).words[wordOf(number)] as number;
  }

  #chunkOf(number: number): Chunk {
    return this.#chunks[number >>> CHUNK_SHIFT] as Chunk;
  }

  #openChunk(): void {
    if (this.#end < this.#chunkEnd) {
      this.#chunkOf(this.#end).words[wordOf(this.#end)] = END_OF_CHUNK;
    }
    const at = this.#chunks.length;
    assert(at < CHUNK_COUNT_MAX, 'a memtable has grown without being flushed');
    this.#chunks.push(this.#pool.take());
    this.#end = at << CHUNK_SHIFT;
    this.#chunkEnd = this.#end + CHUNK_UNITS;
  }
}

/** Where the key of a record begins in its chunk. */
export function keyStartOf(number: number): number {
  return ((number & UNIT_MASK) << UNIT_SHIFT) + HEADER_BYTES;
}

/** Four bytes of `[at, end)` as a number that compares as they do; zeros where there are fewer. */
export function prefixAt(bytes: Uint8Array, at: number, end: number): number {
  const left = end - at;
  // The sign bit is turned over, because numbers are signed and bytes are not.
  if (left >= 4) {
    return (
      (((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number)) ^
      0x8000_0000
    );
  }
  let prefix = 0;
  if (left > 0) prefix = (bytes[at] as number) << 24;
  if (left > 1) prefix |= (bytes[at + 1] as number) << 16;
  if (left > 2) prefix |= (bytes[at + 2] as number) << 8;
  return prefix ^ 0x8000_0000;
}

function wordOf(number: number): number {
  return (number & UNIT_MASK) << 1;
}

function unitsOf(sizeBytes: number): number {
  return (sizeBytes + UNIT_BYTES - 1) >>> UNIT_SHIFT;
}

function unitsOfRecord(lengths: number): number {
  const sizeBytes = HEADER_BYTES + (lengths & KEY_MASK) + ((lengths >>> KEY_BITS) & TAIL_MASK);
  return unitsOf(sizeBytes) + (lengths >>> ROOM_SHIFT);
}
