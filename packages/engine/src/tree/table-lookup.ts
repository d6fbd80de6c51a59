/**
 * What the tree asks of whoever reads tables. A narrow face, so that the tree's own logic can be tested
 * over tables in memory.
 */
import type { MaybePromise } from '../maybe-promise.ts';
import type { KeyHash } from '../table/bloom.ts';
import type { TableMeta } from '../table/table-meta.ts';
import type { CursorRange, EntryCursor } from './entry-cursor.ts';
import type { RangeSet } from './range-set.ts';
import type { TreeEntry } from './tree-entry.ts';

/** Answers at once where the blocks are in memory; a promise otherwise, which may reject. */
export interface TableLookup {
  /**
   * The table's point entry for a key, a delete too; undefined where it has none. Does not look at the
   * range deletes.
   *
   * @param hash `hashOfKey(key)`.
   */
  get(table: TableMeta, key: Uint8Array, hash: KeyHash): MaybePromise<TreeEntry | undefined>;

  /** The table's range deletes. Asked only of tables that have some (`rangeCount`). */
  ranges(table: TableMeta): MaybePromise<RangeSet>;

  /** Walks the table's point entries in `[from, to)`. Reads nothing before its first `next`. */
  cursor(table: TableMeta, range: CursorRange): EntryCursor;
}
