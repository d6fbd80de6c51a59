/**
 * The sources of a merge as cursors: a memtable, and a run of tables; and what their range deletes cover.
 */
import type { MaybePromise } from '../maybe-promise.ts';
import type { CursorRange, EntryCursor } from './entry-cursor.ts';
import type { MemTableView } from './memtable.ts';
import { RangeSet } from './range-set.ts';
import type { KeyInterval } from './range-set.ts';
import type { TableLookup } from './table-lookup.ts';
import type { TreeEntry } from './tree-entry.ts';
import { firstEndingPast } from './version.ts';
import type { Run } from './version.ts';

/** Rows that a memtable's cursor takes at once, at most. */
const MEMTABLE_PAGE_ROWS = 128;

const NO_NUMBERS: readonly number[] = [];

/** A cursor that can go on elsewhere. */
export interface SeekingCursor extends EntryCursor {
  /**
   * Leaves out what comes before `key` in its direction: the next entry is the first one not less than
   * `key`, or in reverse the last one less than it. `key` lies ahead.
   */
  skipTo(key: string): void;
}

/** What a source's range deletes cover. */
export interface SourceRanges {
  /** Makes `covering` ready for this key; a promise where ranges must be read first. */
  prepare(key: string): Promise<void> | undefined;
  /** The interval that covers the key which was prepared last. */
  covering(key: string): KeyInterval | undefined;
}

/** The part of a range that is left after a skip. */
function rangeFrom(range: CursorRange, key: string): CursorRange {
  return range.reverse ? { ...range, to: key } : { ...range, from: key };
}

/** Walks a memtable, or a snapshot of one, by pages. */
export class MemTableCursor implements SeekingCursor {
  readonly #memtable: MemTableView;
  #range: CursorRange;
  #pageRows: number;
  #page = NO_NUMBERS;
  #at = -1;
  #isLastPage = false;

  /** @param rowsWanted how many rows the caller will take, as far as known. */
  constructor(memtable: MemTableView, range: CursorRange, rowsWanted: number) {
    this.#memtable = memtable;
    this.#range = range;
    this.#pageRows = Math.max(1, Math.min(rowsWanted, MEMTABLE_PAGE_ROWS));
  }

  get key(): string {
    return this.#memtable.nameOf(this.#page[this.#at] as number);
  }

  get entry(): TreeEntry {
    return this.#memtable.entryOf(this.#page[this.#at] as number);
  }

  next(): boolean {
    if (++this.#at < this.#page.length) return true;
    if (this.#isLastPage) return false;
    const last = this.#page.at(-1);
    if (last !== undefined) {
      const key = this.#memtable.nameOf(last);
      this.#range = rangeFrom(this.#range, this.#range.reverse ? key : `${key}\0`);
    }
    this.#page = this.#memtable.numbers(this.#range, this.#pageRows);
    this.#at = 0;
    this.#isLastPage = this.#page.length < this.#pageRows;
    this.#pageRows = Math.min(2 * this.#pageRows, MEMTABLE_PAGE_ROWS);
    return this.#page.length > 0;
  }

  skipTo(key: string): void {
    this.#range = rangeFrom(this.#range, key);
    this.#page = NO_NUMBERS;
    this.#at = -1;
    this.#isLastPage = false;
  }
}

/** Walks a run: its tables in order, each opened when the one before has ended. */
export class RunCursor implements SeekingCursor {
  readonly #run: Run;
  readonly #lookup: TableLookup;
  #range: CursorRange;
  /** The table to open next. */
  #at: number;
  #cursor: EntryCursor | undefined;

  constructor(run: Run, lookup: TableLookup, range: CursorRange) {
    this.#run = run;
    this.#lookup = lookup;
    this.#range = range;
    this.#at = this.#firstTable();
  }

  get key(): string {
    return (this.#cursor as EntryCursor).key;
  }

  get entry(): TreeEntry {
    return (this.#cursor as EntryCursor).entry;
  }

  next(): MaybePromise<boolean> {
    for (;;) {
      const cursor = this.#cursor ?? this.#open();
      if (cursor === undefined) return false;
      const isThere = cursor.next();
      if (isThere === true) return true;
      if (isThere !== false) return this.#nextAfter(isThere);
      this.#cursor = undefined;
    }
  }

  skipTo(key: string): void {
    this.#range = rangeFrom(this.#range, key);
    this.#cursor = undefined;
    this.#at = this.#firstTable();
  }

  async #nextAfter(waiting: Promise<boolean>): Promise<boolean> {
    if (await waiting) return true;
    this.#cursor = undefined;
    return this.next();
  }

  /** A cursor on the next table that has a part in the range. */
  #open(): EntryCursor | undefined {
    const { from, to, reverse } = this.#range;
    if (to !== undefined && to <= from) return undefined;
    for (;;) {
      const table = this.#run[this.#at];
      if (table === undefined) return undefined;
      const isPast = reverse ? table.end <= from : to !== undefined && table.smallest >= to;
      if (isPast) return undefined;
      this.#at += reverse ? -1 : 1;
      if (table.entryCount === 0) continue;
      this.#cursor = this.#lookup.cursor(table, this.#range);
      return this.#cursor;
    }
  }

  #firstTable(): number {
    const { from, to, reverse } = this.#range;
    if (!reverse) return firstEndingPast(this.#run, from);
    if (to === undefined) return this.#run.length - 1;
    // The last table that begins below `to`.
    const at = firstEndingPast(this.#run, to);
    const table = this.#run[at];
    return table !== undefined && table.smallest < to ? at : at - 1;
  }
}

/** The range deletes of a memtable. */
export class MemTableRanges implements SourceRanges {
  readonly #ranges: RangeSet;

  constructor(ranges: RangeSet) {
    this.#ranges = ranges;
  }

  prepare(): undefined {
    return undefined;
  }

  covering(key: string): KeyInterval | undefined {
    return this.#ranges.covering(key);
  }
}

/** The range deletes of a run: those of the table in whose bounds the key lies, read when it gets there. */
export class RunRanges implements SourceRanges {
  readonly #run: Run;
  readonly #lookup: TableLookup;
  #ranges = RangeSet.EMPTY;
  /** Keys from `#low` on and below `#high` have been prepared: a table, or a gap between two. */
  #low = '';
  #high: string | undefined = '';

  constructor(run: Run, lookup: TableLookup) {
    this.#run = run;
    this.#lookup = lookup;
  }

  prepare(key: string): Promise<void> | undefined {
    if (key >= this.#low && (this.#high === undefined || key < this.#high)) return undefined;
    const at = firstEndingPast(this.#run, key);
    const table = this.#run[at];
    if (table === undefined || table.smallest > key) {
      this.#become(this.#run[at - 1]?.end ?? '', table?.smallest, RangeSet.EMPTY);
      return undefined;
    }
    const ranges = table.rangeCount === 0 ? RangeSet.EMPTY : this.#lookup.ranges(table);
    if (ranges instanceof Promise) {
      return ranges.then((set) => {
        this.#become(table.smallest, table.end, set);
      });
    }
    this.#become(table.smallest, table.end, ranges);
    return undefined;
  }

  covering(key: string): KeyInterval | undefined {
    return this.#ranges.covering(key);
  }

  #become(low: string, high: string | undefined, ranges: RangeSet): void {
    this.#low = low;
    this.#high = high;
    this.#ranges = ranges;
  }
}
