/**
 * Tables without a device: the merge tree's own logic over sorted arrays, with compaction by the plain
 * rules of the design. Answers at once or by a promise, as chance will have it.
 */
import { binaryStringOf } from '@dozo/base';
import type { SeededRandom } from '@dozo/base';
import type { MaybePromise } from '../src/maybe-promise.ts';
import type { KeyHash } from '../src/table/bloom.ts';
import type { TableMeta } from '../src/table/table-meta.ts';
import type { CursorRange, EntryCursor } from '../src/tree/entry-cursor.ts';
import type { MemTableView } from '../src/tree/memtable.ts';
import { RangeSet } from '../src/tree/range-set.ts';
import type { TableLookup } from '../src/tree/table-lookup.ts';
import { ENTRY_DELETE } from '../src/tree/tree-entry.ts';
import type { TreeEntry } from '../src/tree/tree-entry.ts';

export interface MemoryRow {
  readonly key: string;
  readonly entry: TreeEntry;
}

/** What a table, or the sum of several, says. */
export interface Content {
  readonly rows: readonly MemoryRow[];
  readonly ranges: RangeSet;
}

export interface CutOptions {
  /** Rows of a table. */
  readonly rowsMax: number;
  /** Keys at which a table ends in any case, in order. */
  readonly cuts?: readonly string[];
}

const PLACE = { offset: 0, sizeBytes: 1 };

/** Bytes that a row counts in `sizeBytes`. */
export const ROW_BYTES = 100;

/** See the file comment. */
export class TablesInMemory implements TableLookup {
  readonly #contents = new Map<number, Content>();
  readonly #random: SeededRandom;
  readonly #promiseChance: number;
  #number = 1;
  /** Rows that cursors have gone to, and single keys that were asked for. */
  rowCount = 0;
  getCount = 0;
  /** Cursors that have been begun. */
  cursorCount = 0;

  constructor(random: SeededRandom, promiseChance: number) {
    this.#random = random;
    this.#promiseChance = promiseChance;
  }

  get(table: TableMeta, key: Uint8Array, hash: KeyHash): MaybePromise<TreeEntry | undefined> {
    if (!Number.isInteger(hash.low)) throw new Error('A hash comes with each key.');
    this.getCount++;
    const name = binaryStringOf(key);
    const { rows } = this.content(table);
    const row = rows.find((one) => one.key === name);
    return this.#maybe(row?.entry);
  }

  ranges(table: TableMeta): MaybePromise<RangeSet> {
    if (table.rangeCount === 0) throw new Error('This table has no ranges to ask for.');
    return this.#maybe(this.content(table).ranges);
  }

  cursor(table: TableMeta, { from, to, reverse }: CursorRange): EntryCursor {
    const rows = this.content(table).rows.filter(
      ({ key }) => key >= from && (to === undefined || key < to),
    );
    if (reverse) rows.reverse();
    this.cursorCount++;
    let at = -1;
    return {
      get key(): string {
        return (rows[at] as MemoryRow).key;
      },
      get entry(): TreeEntry {
        return (rows[at] as MemoryRow).entry;
      },
      next: () => {
        at++;
        if (at < rows.length) this.rowCount++;
        return this.#maybe(at < rows.length);
      },
    };
  }

  content(table: TableMeta): Content {
    const content = this.#contents.get(table.number);
    if (content === undefined) throw new Error(`Table ${String(table.number)} is gone.`);
    return content;
  }

  drop(number: number): void {
    this.#contents.delete(number);
  }

  /** All that a memtable says. */
  contentOf(memtable: MemTableView): Content {
    const rows = memtable.rows({ from: '', reverse: false }, Number.POSITIVE_INFINITY);
    return { rows, ranges: memtable.ranges };
  }

  /** Sources merged, newest first, by the rule: a source's ranges hide what older sources have. */
  merge(sources: readonly Content[], dropsDeletes: boolean): Content {
    const rows = new Map<string, TreeEntry>();
    let ranges = RangeSet.EMPTY;
    for (const source of sources) {
      for (const { key, entry } of source.rows) {
        if (!rows.has(key) && !ranges.covers(key)) rows.set(key, entry);
      }
      ranges = ranges.union(source.ranges);
    }
    const kept = [...rows]
      .map(([key, entry]) => ({ key, entry }))
      .filter(({ entry }) => !dropsDeletes || entry.kind !== ENTRY_DELETE)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    return { rows: kept, ranges: dropsDeletes ? RangeSet.EMPTY : ranges };
  }

  /** Tables with this content, each with the part of the ranges that lies between its neighbours. */
  write(content: Content, { rowsMax, cuts = [] }: CutOptions): TableMeta[] {
    const starts = ['', ...cuts];
    const rest = [...cuts];
    let rowCount = 0;
    for (const { key } of content.rows) {
      const isCut = rest[0] !== undefined && key >= rest[0];
      while (rest[0] !== undefined && key >= rest[0]) rest.shift();
      if (rowCount >= rowsMax && !isCut) starts.push(key);
      rowCount = isCut || rowCount >= rowsMax ? 1 : rowCount + 1;
    }
    starts.sort();
    const tables: TableMeta[] = [];
    for (const [at, start] of starts.entries()) {
      const end = starts[at + 1];
      const rows = content.rows.filter(
        ({ key }) => key >= start && (end === undefined || key < end),
      );
      const ranges = content.ranges.clip(start, end);
      if (rows.length > 0 || !ranges.isEmpty) tables.push(this.#table({ rows, ranges }));
    }
    return tables;
  }

  #table(content: Content): TableMeta {
    const number = this.#number++;
    const { rows, ranges } = content;
    this.#contents.set(number, content);
    const bounds = [...rows.map(({ key }) => ({ from: key, to: `${key}\0` })), ...ranges.list()];
    return {
      ...{ number, segment: 0, ordinal: 0, offset: 0, seed: 0 },
      ...{ filter: PLACE, ranges: ranges.isEmpty ? undefined : PLACE, index: PLACE },
      ...{ pointerCount: 0, dataBytes: 0, lsnMax: 0 },
      sizeBytes: ROW_BYTES * (rows.length + ranges.size),
      entryCount: rows.length,
      deleteCount: rows.filter(({ entry }) => entry.kind === ENTRY_DELETE).length,
      rangeCount: ranges.size,
      smallest: bounds.reduce((key, { from }) => (from < key ? from : key), '\xff\xff'),
      end: bounds.reduce((key, { to }) => (to > key ? to : key), ''),
    };
  }

  #maybe<Value>(value: Value): MaybePromise<Value> {
    return this.#random.chance(this.#promiseChance) ? Promise.resolve(value) : value;
  }
}
