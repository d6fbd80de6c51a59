/**
 * The one shape in which entries are walked, wherever they come from: memtables, tables, runs, levels.
 *
 * A step is synchronous while the entries are in memory, and a promise only where a block must be read
 * first: a merge of many sources awaits once a block and not once an entry.
 */
import type { IndexRange } from './index-range.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { TreeEntry } from './tree-entry.ts';

/** Stands before its first entry to begin with. Only what `next` gave true for may be looked at. */
export interface EntryCursor {
  /** The key where it stands, a binary string. */
  readonly key: string;
  /** The entry where it stands, of any kind: deletes too. May be decoded when asked for. */
  readonly entry: TreeEntry;
  /** Goes one entry on in its direction; false past the end. Not called again until it has answered. */
  next(): MaybePromise<boolean>;
}

/** What of a source is walked, and how eagerly. */
export interface CursorRange extends IndexRange {
  /**
   * Whether what comes next may be read before it is asked for. Not for short walks: those would read
   * more than they need.
   */
  readonly readAhead: boolean;
}
