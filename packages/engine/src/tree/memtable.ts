/**
 * The newest part of the merge tree: what was written since the last flush, in memory.
 *
 * Point entries stand in a B+ tree, range deletes in a set of intervals that hides only what older
 * sources know. So when a range delete comes, the memtable's own entries in the range go first; an
 * entry that comes later stands beside the interval and wins over it. That order within a source is why
 * range deletes need no sequence numbers.
 *
 * It does not bound itself: whoever fills it looks at `sizeBytes` and has it flushed.
 */
import { TreeIndex } from '../key-index.ts';
import type { IndexRange, IndexRow, IndexView } from '../key-index.ts';
import { RangeSet } from './range-set.ts';
import { ENTRY_INLINE, TreeEntry } from './tree-entry.ts';

/**
 * Heap bytes of an entry beside its key: the object, its slots in a leaf that is two thirds full, the
 * head of the key's string, numbers that do not fit a small integer. Measured with 200,000 entries.
 */
const ENTRY_OVERHEAD_BYTES = 136;

/** Heap bytes of an inline value beside its bytes: the head of a string, and what it is rounded up by. */
const INLINE_OVERHEAD_BYTES = 20;

/**
 * What an interval counts. More than it takes, even with the longest keys: the set is copied whenever it
 * grows, and every read looks into it, so a memtable is to be full before it has very many.
 */
const INTERVAL_BYTES = 4096;

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
   */
  get(name: string): TreeEntry | undefined;
  /** Up to `limit` of its point entries, deletes included. */
  rows(range: IndexRange, limit: number): IndexRow<TreeEntry>[];
}

/** See the file comment. */
export class MemTable implements MemTableView {
  readonly #index = new TreeIndex<TreeEntry>();
  #ranges = RangeSet.EMPTY;
  #heapBytes = 0;
  #dataBytes = 0;

  get entryCount(): number {
    return this.#index.size;
  }

  get ranges(): RangeSet {
    return this.#ranges;
  }

  get isEmpty(): boolean {
    return this.#index.size === 0 && this.#ranges.isEmpty;
  }

  /** What it takes of the heap, estimated. */
  get sizeBytes(): number {
    return this.#heapBytes + this.#ranges.size * INTERVAL_BYTES;
  }

  /** Bytes of keys and inline values: about what tables made of it hold. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  get(name: string): TreeEntry | undefined {
    return lookUp(this.#index, this.#ranges, name);
  }

  /** Sets what is known of a name. Returns the point entry that it had, a delete too. */
  set(name: string, entry: TreeEntry): TreeEntry | undefined {
    const before = this.#index.set(name, entry);
    this.#count(name, entry, 1);
    if (before !== undefined) this.#count(name, before, -1);
    return before;
  }

  /**
   * Deletes the names in `[from, to)`: removes its own entries there and hides those of older sources.
   * Returns what was removed, deletes too, in key order.
   */
  deleteRange(from: string, to: string): readonly IndexRow<TreeEntry>[] {
    if (to <= from) return [];
    const removed = this.#index.deleteRange(from, to);
    for (const { key, entry } of removed) this.#count(key, entry, -1);
    this.#ranges = this.#ranges.add(from, to);
    return removed;
  }

  rows(range: IndexRange, limit: number): IndexRow<TreeEntry>[] {
    return this.#index.rows(range, limit);
  }

  /** A view of this moment. Costs nothing now; the next changes copy the nodes that they touch. */
  snapshot(): MemTableView {
    return new MemTableSnapshot(this.#index.snapshot(), this.#ranges);
  }

  #count(name: string, entry: TreeEntry, sign: 1 | -1): void {
    const inlineBytes = entry.kind === ENTRY_INLINE ? INLINE_OVERHEAD_BYTES + entry.valueBytes : 0;
    this.#heapBytes += sign * (ENTRY_OVERHEAD_BYTES + name.length + inlineBytes);
    this.#dataBytes += sign * (name.length + (entry.kind === ENTRY_INLINE ? entry.valueBytes : 0));
  }
}

class MemTableSnapshot implements MemTableView {
  readonly #index: IndexView<TreeEntry>;
  readonly ranges: RangeSet;

  constructor(index: IndexView<TreeEntry>, ranges: RangeSet) {
    this.#index = index;
    this.ranges = ranges;
  }

  get entryCount(): number {
    return this.#index.size;
  }

  get(name: string): TreeEntry | undefined {
    return lookUp(this.#index, this.ranges, name);
  }

  rows(range: IndexRange, limit: number): IndexRow<TreeEntry>[] {
    return this.#index.rows(range, limit);
  }
}

function lookUp(
  index: IndexView<TreeEntry>,
  ranges: RangeSet,
  name: string,
): TreeEntry | undefined {
  const entry = index.get(name);
  if (entry !== undefined) return entry;
  return !ranges.isEmpty && ranges.covers(name) ? COVERED : undefined;
}
