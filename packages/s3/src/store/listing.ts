/**
 * Listings: one sorted stream out of the sorted streams of a bucket's shards.
 *
 * Each shard has a cursor that reads ahead by batches; the merge takes the least of all. A key that
 * contains the delimiter behind the prefix stands for all keys that begin alike: the merge gives one
 * common prefix and moves every cursor past them all, by a seek where they are not in its batch, so
 * that a directory of a million objects costs as much as one of two.
 *
 * Rows of objects are in the byte order of their keys; rows of uploads in the order of (key, upload
 * id), because the keys of their records are made so (see keys.ts). Each batch is of one moment;
 * a listing as a whole is not, as in S3.
 */
import { assert } from '@dozo/base';
import type { ScannedItem, Shard } from '@dozo/replica';
import { SHARD_ROWS_MAX } from '../limits.ts';
import { above, after } from './keys.ts';
import type { StoreContext } from './store-context.ts';

/** What to list, in terms of the keys of records. */
export interface MergeOptions<Row> {
  readonly shards: readonly Shard[];
  /** Where to begin, and the end of what there is. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly rowsMax: number;
  /** Length of the part of a record's key that no common prefix can be shorter than. */
  readonly prefixBytes: number;
  /** Bytes at the end of a record's key in which a delimiter is none. */
  readonly suffixBytes: number;
  /** As it stands in records' keys; empty: no common prefixes. */
  readonly delimiter: Uint8Array;
  /** A common prefix at or below this was already given, on the page before. */
  readonly seenPrefix?: Uint8Array;
  readonly decode: (item: ScannedItem) => Row;
}

/** A page of rows and common prefixes, in order. */
export interface MergedPage<Row> {
  readonly rows: readonly Row[];
  /** As they stand in records' keys. */
  readonly commonPrefixes: readonly Uint8Array[];
  readonly isTruncated: boolean;
  /** Key of the last row, or the last common prefix, whichever came last. */
  readonly last: Uint8Array | undefined;
}

/** Reads one page. */
export async function mergeShards<Row>(
  context: StoreContext,
  options: MergeOptions<Row>,
): Promise<MergedPage<Row>> {
  const { rowsMax } = options;
  const rows: Row[] = [];
  const commonPrefixes: Uint8Array[] = [];
  if (rowsMax === 0) return { rows, commonPrefixes, isTruncated: false, last: undefined };
  const merge = new Merge(context, options);
  await merge.begin();
  let last: Uint8Array | undefined;
  for (;;) {
    const cursor = merge.least();
    if (cursor === undefined) return { rows, commonPrefixes, isTruncated: false, last };
    const { key } = cursor.head();
    const commonPrefix = commonPrefixOf(key, options);
    const isSeen =
      commonPrefix !== undefined &&
      options.seenPrefix !== undefined &&
      Buffer.compare(commonPrefix, options.seenPrefix) <= 0;
    if (!isSeen) {
      if (rows.length + commonPrefixes.length === rowsMax) {
        return { rows, commonPrefixes, isTruncated: true, last };
      }
      last = commonPrefix ?? key;
      if (commonPrefix === undefined) rows.push(cursor.head().row);
      else commonPrefixes.push(commonPrefix);
    }
    if (commonPrefix === undefined) await merge.advance(cursor);
    else await merge.skipTo(above(commonPrefix));
  }
}

function commonPrefixOf<Row>(key: Uint8Array, options: MergeOptions<Row>): Uint8Array | undefined {
  const { delimiter, prefixBytes, suffixBytes } = options;
  if (delimiter.length === 0) return undefined;
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.length);
  const at = bytes.indexOf(delimiter, prefixBytes);
  const end = at + delimiter.length;
  return at < 0 || end > key.length - suffixBytes ? undefined : bytes.subarray(0, end);
}

/** A row that waits in a cursor. */
interface Waiting<Row> {
  readonly key: Uint8Array;
  readonly row: Row;
}

/** The cursors of all shards. */
class Merge<Row> {
  readonly #cursors: readonly Cursor<Row>[];

  constructor(context: StoreContext, options: MergeOptions<Row>) {
    // A page is spread over the shards about evenly; what is a little more needs no second batch.
    const share = Math.ceil((options.rowsMax * 1.5) / options.shards.length) + 4;
    // With a delimiter most of what is read ahead is passed over.
    const batchRows = Math.min(share, options.delimiter.length > 0 ? 32 : SHARD_ROWS_MAX);
    this.#cursors = options.shards.map((shard) => new Cursor(context, options, shard, batchRows));
  }

  async begin(): Promise<void> {
    await Promise.all(this.#cursors.map((cursor) => cursor.fill()));
  }

  /** The cursor with the least key; undefined at the end of all. */
  least(): Cursor<Row> | undefined {
    let least: Cursor<Row> | undefined;
    for (const cursor of this.#cursors) {
      if (cursor.isAtEnd) continue;
      if (least === undefined || Buffer.compare(cursor.head().key, least.head().key) < 0) {
        least = cursor;
      }
    }
    return least;
  }

  async advance(cursor: Cursor<Row>): Promise<void> {
    cursor.next();
    if (cursor.needsFill) await cursor.fill();
  }

  /** Moves all cursors to `key` or behind. */
  async skipTo(key: Uint8Array): Promise<void> {
    const filling: Promise<void>[] = [];
    for (const cursor of this.#cursors) {
      cursor.skipTo(key);
      if (cursor.needsFill) filling.push(cursor.fill());
    }
    if (filling.length > 0) await Promise.all(filling);
  }
}

/** One shard's stream. */
class Cursor<Row> {
  readonly #context: StoreContext;
  readonly #options: MergeOptions<Row>;
  readonly #shard: Shard;
  readonly #batchRows: number;
  #from: Uint8Array;
  #rows: Waiting<Row>[] = [];
  #index = 0;
  #hasMore = true;

  constructor(context: StoreContext, options: MergeOptions<Row>, shard: Shard, batchRows: number) {
    this.#context = context;
    this.#options = options;
    this.#shard = shard;
    this.#batchRows = batchRows;
    this.#from = options.from;
  }

  get isAtEnd(): boolean {
    return this.#index >= this.#rows.length;
  }

  get needsFill(): boolean {
    return this.isAtEnd && this.#hasMore;
  }

  head(): Waiting<Row> {
    const waiting = this.#rows[this.#index];
    assert(waiting !== undefined, 'asked only where there is a row');
    return waiting;
  }

  next(): void {
    this.#index += 1;
  }

  skipTo(key: Uint8Array): void {
    while (!this.isAtEnd && Buffer.compare(this.head().key, key) < 0) this.#index += 1;
    if (Buffer.compare(this.#from, key) < 0) this.#from = key;
  }

  /** Reads the next batch. */
  async fill(): Promise<void> {
    const { to, decode } = this.#options;
    if (Buffer.compare(this.#from, to) >= 0) {
      this.#hasMore = false;
      return;
    }
    const rows: Waiting<Row>[] = [];
    const range = { from: this.#from, to, limit: this.#batchRows };
    for await (const item of this.#context.store.scan(this.#shard, range)) {
      // Only what the page needs is kept: a value may hold a whole small object.
      rows.push({ key: item.key, row: decode(item) });
    }
    const last = rows.at(-1);
    this.#hasMore = rows.length === this.#batchRows;
    if (last !== undefined) this.#from = after(last.key);
    this.#rows = rows;
    this.#index = 0;
  }
}
