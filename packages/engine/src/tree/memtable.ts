/**
 * The newest part of the merge tree: what was written since the last flush, in memory.
 *
 * Point entries lie in an arena outside the heap (entry-arena.ts) with an ordered index over it
 * (entry-index.ts), range deletes in a set of intervals that hides only what older sources know. So when a
 * range delete comes, the memtable's own entries in the range go first; an entry that comes later stands
 * beside the interval and wins over it. That order within a source is why range deletes need no sequence
 * numbers.
 *
 * An entry has a number. What is asked by number is for walks that do not want an object for each entry;
 * numbers are of the memtable, or the snapshot, that gave them. What is given out as a `TreeEntry` has its
 * value for itself and never changes. A new value is written over the one before where no snapshot can see
 * that; elsewhere that one's room is lost until the memtable is flushed.
 *
 * It does not bound itself: whoever fills it looks at `sizeBytes` and has it flushed.
 */
import { bytesOfBinaryString } from '@dozo/base';
import type { IndexRange, IndexRow } from './index-range.ts';
import { ChunkPool, EntryArena, NO_ENTRY, keyStartOf } from './entry-arena.ts';
import { EntryIndex, findIn, numbersIn } from './entry-index.ts';
import type { IndexState } from './entry-index.ts';
import { RangeSet } from './range-set.ts';
import { ENTRY_INLINE, SHADOW_NONE, SHADOW_UNKNOWN, TreeEntry } from './tree-entry.ts';
import type { EntryKind } from './tree-entry.ts';

/** Bytes of the index for each entry: eight in a node that is two thirds full, and the node itself. */
const INDEX_BYTES_PER_ENTRY = 20;

/**
 * What an interval counts. Far more than it takes with keys of a usual length: the set is copied whenever it
 * grows, and every read looks into it, so a memtable is to be full before it has very many (8192).
 */
const INTERVAL_BYTES = 2048;

/** What a name has that a range delete covers and no later entry: older sources are not asked. */
export const COVERED = TreeEntry.delete(0);

/** What can be read of a memtable, as it is now or as it was at a snapshot. */
export interface MemTableView {
  /** Point entries, deletes included. */
  readonly entryCount: number;
  /** Its range deletes. They hide what older sources know, and none of its own entries. */
  readonly ranges: RangeSet;
  /**
   * What it says of a name: an entry, deletes included; {@link COVERED} where only a range delete does;
   * undefined where it says nothing and an older source must be asked.
   *
   * @param key the bytes of `name`, where the caller has them.
   */
  get(name: string, key?: Uint8Array): TreeEntry | undefined;
  /** Up to `limit` of its point entries, deletes included. */
  rows(range: IndexRange, limit: number): IndexRow<TreeEntry>[];
  /** The numbers of the same entries. */
  numbers(range: IndexRange, limit: number): readonly number[];
  nameOf(number: number): string;
  entryOf(number: number): TreeEntry;
}

/** An entry that is no more: what its successor must know. Of the moment; the next change makes it another. */
export interface Replaced {
  readonly kind: EntryKind;
  readonly valueBytes: number;
  readonly ordinal: number;
  readonly shadowOrdinal: number;
  readonly shadowBytes: number;
}

/** See the file comment. */
export class MemTable implements MemTableView {
  readonly #arena: EntryArena;
  readonly #index: EntryIndex;
  #ranges = RangeSet.EMPTY;
  #dataBytes = 0;
  #unsettledCount = 0;
  /** Below this entry all are settled or gone. */
  #unsettledFrom = 0;
  /** A snapshot may see the entries below this one. */
  #sharedEnd = 0;
  #isShared = false;
  readonly #replaced = {
    kind: 0 as EntryKind,
    valueBytes: 0,
    ordinal: 0,
    shadowOrdinal: 0,
    shadowBytes: 0,
  };

  /** @param pool where memory comes from and goes to; default: the system. */
  constructor(pool: ChunkPool = new ChunkPool(0)) {
    this.#arena = new EntryArena(pool);
    this.#index = new EntryIndex(this.#arena);
  }

  get entryCount(): number {
    return this.#index.size;
  }

  get ranges(): RangeSet {
    return this.#ranges;
  }

  get isEmpty(): boolean {
    return this.#index.size === 0 && this.#ranges.isEmpty;
  }

  /** The memory that it takes, but for the rest of its last chunk. */
  get sizeBytes(): number {
    const indexBytes = this.#index.size * INDEX_BYTES_PER_ENTRY;
    return this.#arena.sizeBytes + indexBytes + this.#ranges.size * INTERVAL_BYTES;
  }

  /** Bytes of keys and inline values: about what tables made of it hold. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  /** Entries of which nobody has looked what they hide. */
  get unsettledCount(): number {
    return this.#unsettledCount;
  }

  get(name: string, key?: Uint8Array): TreeEntry | undefined {
    if (this.#index.size > 0) {
      const number = this.#index.find(key ?? bytesOfBinaryString(name));
      if (number !== NO_ENTRY) return this.#arena.entryOf(number);
    }
    return coveredBy(this.#ranges, name);
  }

  /** The number of a name's entry; `NO_ENTRY` where it has none. */
  numberOf(name: string): number {
    return this.#index.size === 0 ? NO_ENTRY : this.#index.find(bytesOfBinaryString(name));
  }

  /**
   * Sets what is known of a name. Returns the point entry that it had, a delete too; the new one hides what
   * that one did. Where there was none, the new one hides nothing if a range delete covers it, and is
   * unsettled else.
   */
  set(name: string, entry: TreeEntry): Replaced | undefined {
    const arena = this.#arena;
    const prepared = arena.prepare(name, entry);
    const { length } = name;
    const before = this.#index.locate(arena.bytesOf(prepared), keyStartOf(prepared), length);
    this.#dataBytes += dataBytesOf(length, entry.kind, entry.valueBytes);
    if (before === NO_ENTRY) {
      const isCovered = !this.#ranges.isEmpty && this.#ranges.covers(name);
      arena.add(length, entry, isCovered ? SHADOW_NONE : SHADOW_UNKNOWN, 0);
      if (!isCovered) this.#unsettledCount++;
      this.#index.insert(prepared);
      return undefined;
    }
    const replaced = this.#remember(before);
    this.#dataBytes -= dataBytesOf(length, replaced.kind, replaced.valueBytes);
    if (before >= this.#sharedEnd && arena.rewrite(before, entry)) return replaced;
    arena.add(length, entry, replaced.shadowOrdinal, replaced.shadowBytes);
    this.#index.replace(prepared);
    arena.markGone(before);
    return replaced;
  }

  /**
   * Deletes the names in `[from, to)`: removes its own entries there and hides those of older sources.
   *
   * @param onRemoved is told of every entry that is removed, deletes too, in key order, before it is.
   */
  deleteRange(from: string, to: string, onRemoved?: (number: number) => void): void {
    if (to <= from) return;
    const numbers = this.#index.numbers({ from, to, reverse: false }, Number.POSITIVE_INFINITY);
    for (const number of numbers) onRemoved?.(number);
    for (const number of numbers) this.#remove(number);
    if (numbers.length > 0) this.#index.removeRange(from, to, numbers.length);
    if (this.#index.size === 0 && this.#arena.sizeBytes > 0) this.#clear();
    this.#ranges = this.#ranges.add(from, to);
  }

  rows(range: IndexRange, limit: number): IndexRow<TreeEntry>[] {
    return rowsOf(this.#arena, this.#index.numbers(range, limit));
  }

  numbers(range: IndexRange, limit: number): readonly number[] {
    return this.#index.numbers(range, limit);
  }

  nameOf(number: number): string {
    return this.#arena.nameOf(number);
  }

  entryOf(number: number): TreeEntry {
    return this.#arena.entryOf(number);
  }

  /** Its records, for a flush, which changes nothing. */
  get arena(): EntryArena {
    return this.#arena;
  }

  /** An entry that is there, as `set` gives one that was. */
  look(number: number): Replaced {
    return this.#remember(number);
  }

  isUnsettled(number: number): boolean {
    return this.#arena.shadowOrdinalOf(number) === SHADOW_UNKNOWN;
  }

  /**
   * Says what an entry hides in older sources.
   *
   * @param ordinal that of the pointer that it hides, or one of the `SHADOW_` constants.
   * @param sizeBytes length of the record to which that points.
   */
  setShadow(number: number, ordinal: number, sizeBytes: number): void {
    if (this.isUnsettled(number)) this.#unsettledCount--;
    if (ordinal === SHADOW_UNKNOWN) {
      this.#unsettledCount++;
      this.#unsettledFrom = Math.min(this.#unsettledFrom, number);
    }
    this.#arena.setShadow(number, ordinal, sizeBytes);
  }

  /** Names of the unsettled entries, in the order in which they came. */
  unsettledNames(): string[] {
    const arena = this.#arena;
    const names: string[] = [];
    let number = arena.skipEnd(Math.max(this.#unsettledFrom, arena.begin));
    let first = arena.end;
    for (; number < arena.end && names.length < this.#unsettledCount; number = arena.next(number)) {
      if (!this.isUnsettled(number)) continue;
      if (names.length === 0) first = number;
      names.push(arena.nameOf(number));
    }
    this.#unsettledFrom = first;
    return names;
  }

  /** A view of this moment. Costs nothing now; the next changes copy the nodes that they touch. */
  snapshot(): MemTableView {
    this.#isShared = true;
    this.#sharedEnd = this.#arena.end;
    return new MemTableSnapshot(this.#arena.view(), this.#index.snapshot(), this.#ranges);
  }

  /** Gives its memory to the next one, as far as no snapshot may look at it. It is used up. */
  release(): void {
    if (this.#isShared) this.#arena.forget();
    else this.#arena.release();
  }

  #remove(number: number): void {
    const arena = this.#arena;
    if (this.isUnsettled(number)) this.#unsettledCount--;
    const valueBytes = arena.valueBytesOf(number);
    this.#dataBytes -= dataBytesOf(arena.keyBytesOf(number), arena.kindOf(number), valueBytes);
    arena.markGone(number);
  }

  #clear(): void {
    if (!this.#arena.clear(this.#isShared)) return;
    // Snapshots see what was let go.
    this.#isShared = false;
  }

  #remember(number: number): Replaced {
    const arena = this.#arena;
    const replaced = this.#replaced;
    replaced.kind = arena.kindOf(number);
    replaced.valueBytes = arena.valueBytesOf(number);
    replaced.ordinal = arena.ordinalOf(number);
    replaced.shadowOrdinal = arena.shadowOrdinalOf(number);
    replaced.shadowBytes = arena.shadowBytesOf(number);
    return replaced;
  }
}

class MemTableSnapshot implements MemTableView {
  readonly #arena: EntryArena;
  readonly #index: IndexState;
  readonly ranges: RangeSet;

  constructor(arena: EntryArena, index: IndexState, ranges: RangeSet) {
    this.#arena = arena;
    this.#index = index;
    this.ranges = ranges;
  }

  get entryCount(): number {
    return this.#index.size;
  }

  get(name: string, key?: Uint8Array): TreeEntry | undefined {
    if (this.#index.size > 0) {
      const number = findIn(this.#index.root, this.#arena, key ?? bytesOfBinaryString(name));
      if (number !== NO_ENTRY) return this.#arena.entryOf(number);
    }
    return coveredBy(this.ranges, name);
  }

  rows(range: IndexRange, limit: number): IndexRow<TreeEntry>[] {
    return rowsOf(this.#arena, this.numbers(range, limit));
  }

  numbers(range: IndexRange, limit: number): readonly number[] {
    return numbersIn(this.#index.root, this.#arena, range, limit);
  }

  nameOf(number: number): string {
    return this.#arena.nameOf(number);
  }

  entryOf(number: number): TreeEntry {
    return this.#arena.entryOf(number);
  }
}

function rowsOf(arena: EntryArena, numbers: readonly number[]): IndexRow<TreeEntry>[] {
  return numbers.map((number) => ({ key: arena.nameOf(number), entry: arena.entryOf(number) }));
}

function coveredBy(ranges: RangeSet, name: string): TreeEntry | undefined {
  return !ranges.isEmpty && ranges.covers(name) ? COVERED : undefined;
}

function dataBytesOf(keyBytes: number, kind: EntryKind, valueBytes: number): number {
  return keyBytes + (kind === ENTRY_INLINE ? valueBytes : 0);
}
