/**
 * What the tree holds at one moment: memtables over a version of tables, newest first.
 *
 * The first source that says something about a key wins. A source's point entry counts before its range
 * deletes, and those hide only what older sources know: memtable.ts says why.
 *
 * A view does not change where its memtables do not: it is as good a snapshot as they are. Over the
 * memtable that is being written, `get` is of the moment of the call; a walk (`rows`, `entries`) is of
 * one moment only over `MemTable.snapshot()`. The tables of the version must stay as long as the view is
 * used; the view holds nothing by itself.
 */
import { bytesOfBinaryString } from '@dozo/base';
import type { IndexRange, IndexRow } from './index-range.ts';
import { SCAN_PAGE_ROWS } from '../limits.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import { hashOfKey } from '../table/bloom.ts';
import type { KeyHash } from '../table/bloom.ts';
import type { TableMeta } from '../table/table-meta.ts';
import type { CursorRange } from './entry-cursor.ts';
import type { MemTableView } from './memtable.ts';
import { MergeCursor, MergeSource } from './merge-cursor.ts';
import type { RangeSet } from './range-set.ts';
import { MemTableCursor, MemTableRanges, RunCursor, RunRanges } from './source-cursors.ts';
import type { TableLookup } from './table-lookup.ts';
import { ENTRY_DELETE } from './tree-entry.ts';
import type { TreeEntry } from './tree-entry.ts';
import type { RunFinder } from './run-finder.ts';
import { hasRanges, overlaps } from './version.ts';
import type { Version } from './version.ts';

/** From this limit on `rows` lets tables read ahead: a page of a scan takes several blocks. */
const READ_AHEAD_ROWS_MIN = 64;

/** A row of a tree: never a delete. */
export type TreeRow = IndexRow<TreeEntry>;

export interface TreeViewOptions {
  /** Newest first. */
  readonly memtables: readonly MemTableView[];
  readonly version: Version;
  readonly lookup: TableLookup;
  /** Lets others have the thread: called by walks over much that is hidden, every millisecond or so. */
  readonly breathe: () => Promise<void>;
}

/** See the file comment. */
export class TreeView {
  readonly version: Version;
  readonly #memtables: readonly MemTableView[];
  readonly #lookup: TableLookup;
  readonly #breathe: () => Promise<void>;

  constructor({ memtables, version, lookup, breathe }: TreeViewOptions) {
    this.version = version;
    this.#memtables = memtables;
    this.#lookup = lookup;
    this.#breathe = breathe;
  }

  /**
   * The entry of a name; undefined when it is absent or deleted. At once where a memtable or blocks in
   * memory decide.
   *
   * @param key the bytes of `name`, where the caller has them.
   */
  get(name: string, key?: Uint8Array): MaybePromise<TreeEntry | undefined> {
    for (const memtable of this.#memtables) {
      const entry = memtable.get(name, key);
      if (entry !== undefined) return visible(entry);
    }
    if (this.version.runs.length === 0) return undefined;
    const bytes = key ?? bytesOfBinaryString(name);
    return this.#getFromRuns(0, name, bytes, hashOfKey(bytes));
  }

  /**
   * Up to `limit` rows with keys in `[from, to)`, ascending, or descending with `reverse`; fewer only
   * where there are no more. `to` undefined: past the last key.
   */
  rows(range: IndexRange, limit: number): MaybePromise<TreeRow[]> {
    const rows: TreeRow[] = [];
    if (limit <= 0 || isEmptyRange(range)) return rows;
    return collect(this.#merge(range, limit), rows, limit);
  }

  /**
   * All rows of a range in pages of up to {@link SCAN_PAGE_ROWS}, read ahead. None is empty. To be ended
   * early with `return`, as a loop does.
   */
  async *entries(range: IndexRange): AsyncGenerator<TreeRow[], void, undefined> {
    if (isEmptyRange(range)) return;
    const merge = this.#merge(range, Number.POSITIVE_INFINITY);
    for (;;) {
      const page = await collect(merge, [], SCAN_PAGE_ROWS);
      if (page.length > 0) yield page;
      if (page.length < SCAN_PAGE_ROWS) return;
    }
  }

  #getFromRuns(
    first: number,
    name: string,
    key: Uint8Array,
    hash: KeyHash,
  ): MaybePromise<TreeEntry | undefined> {
    const { finders } = this.version;
    for (let at = first; at < finders.length; at++) {
      const table = (finders[at] as RunFinder).tableFor(name);
      if (table === undefined) continue;
      const entry = this.#lookup.get(table, key, hash);
      if (entry instanceof Promise) return this.#getAfter(entry, table, at, name, key, hash);
      if (entry !== undefined) return visible(entry);
      if (table.rangeCount === 0) continue;
      const ranges = this.#lookup.ranges(table);
      if (ranges instanceof Promise) return this.#rangesAfter(ranges, at, name, key, hash);
      if (ranges.covers(name)) return undefined;
    }
    return undefined;
  }

  async #getAfter(
    waiting: Promise<TreeEntry | undefined>,
    table: TableMeta,
    at: number,
    name: string,
    key: Uint8Array,
    hash: KeyHash,
  ): Promise<TreeEntry | undefined> {
    const entry = await waiting;
    if (entry !== undefined) return visible(entry);
    if (table.rangeCount > 0) {
      return this.#rangesAfter(this.#lookup.ranges(table), at, name, key, hash);
    }
    return this.#getFromRuns(at + 1, name, key, hash);
  }

  async #rangesAfter(
    waiting: MaybePromise<RangeSet>,
    at: number,
    name: string,
    key: Uint8Array,
    hash: KeyHash,
  ): Promise<TreeEntry | undefined> {
    const ranges = await waiting;
    if (ranges.covers(name)) return undefined;
    return this.#getFromRuns(at + 1, name, key, hash);
  }

  #merge(range: IndexRange, limit: number): MergeCursor {
    const { from, to, reverse } = range;
    const cursorRange: CursorRange = { from, to, reverse, readAhead: limit >= READ_AHEAD_ROWS_MIN };
    const sources: MergeSource[] = [];
    for (const memtable of this.#memtables) {
      const cursor = new MemTableCursor(memtable, cursorRange, limit);
      const { ranges } = memtable;
      sources.push(
        new MergeSource(cursor, ranges.isEmpty ? undefined : new MemTableRanges(ranges)),
      );
    }
    for (const run of this.version.runs) {
      // A run without a table there has neither entries nor ranges there.
      if (!overlaps(run, from, to)) continue;
      const cursor = new RunCursor(run, this.#lookup, cursorRange);
      const ranges = hasRanges(run) ? new RunRanges(run, this.#lookup) : undefined;
      sources.push(new MergeSource(cursor, ranges));
    }
    return new MergeCursor({ sources, reverse, breathe: this.#breathe });
  }
}

function visible(entry: TreeEntry): TreeEntry | undefined {
  return entry.kind === ENTRY_DELETE ? undefined : entry;
}

function isEmptyRange({ from, to }: IndexRange): boolean {
  return to !== undefined && to <= from;
}

/** Takes rows from a merge until there are `limit` of them or no more. */
function collect(merge: MergeCursor, rows: TreeRow[], limit: number): MaybePromise<TreeRow[]> {
  while (rows.length < limit) {
    const isThere = merge.next();
    if (typeof isThere !== 'boolean') return collectAfter(isThere, merge, rows, limit);
    if (!isThere) break;
    rows.push({ key: merge.key, entry: merge.entry });
  }
  return rows;
}

async function collectAfter(
  first: Promise<boolean>,
  merge: MergeCursor,
  rows: TreeRow[],
  limit: number,
): Promise<TreeRow[]> {
  let isThere = await first;
  while (isThere) {
    rows.push({ key: merge.key, entry: merge.entry });
    if (rows.length >= limit) break;
    const next = merge.next();
    isThere = typeof next === 'boolean' ? next : await next;
  }
  return rows;
}
