/**
 * Reads tables of which some are damaged, and passes over what is: for verify and repair, never for users.
 *
 * A damaged data block answers as one without entries would, so what it hid in older tables shows.
 */
import type { MaybePromise } from './maybe-promise.ts';
import { findInBlock } from './table/block.ts';
import type { KeyHash } from './table/bloom.ts';
import { blockPlaceAt, findInIndex } from './table/index-block.ts';
import { TableCursor } from './table/table-cursor.ts';
import type { BlockReads } from './table/table-cursor.ts';
import type { BlockPlace, TableMeta } from './table/table-meta.ts';
import type { TableReader } from './table/table-reader.ts';
import type { TableSalvage } from './table/table-salvage.ts';
import type { CursorRange, EntryCursor } from './tree/entry-cursor.ts';
import type { RangeSet } from './tree/range-set.ts';
import type { TableLookup } from './tree/table-lookup.ts';
import type { TreeEntry } from './tree/tree-entry.ts';

/** A data block with neither entries nor restarts. */
const NO_ENTRIES = new Uint8Array(8);

/** See the file comment. Rejects with `INDEX_DAMAGED` for what is damaged and was not said to be. */
export class LenientTables implements TableLookup {
  readonly #reader: TableReader;
  readonly #salvages: ReadonlyMap<number, TableSalvage>;

  /** @param salvages of the damaged tables, by number. */
  constructor(reader: TableReader, salvages: ReadonlyMap<number, TableSalvage>) {
    this.#reader = reader;
    this.#salvages = salvages;
  }

  get(table: TableMeta, key: Uint8Array, hash: KeyHash): MaybePromise<TreeEntry | undefined> {
    const salvage = this.#salvages.get(table.number);
    if (salvage === undefined) return this.#reader.get(table, key, hash);
    return this.#getFrom(new SalvagedBlocks(this.#reader, salvage), salvage, table, key);
  }

  ranges(table: TableMeta): MaybePromise<RangeSet> {
    return this.#salvages.get(table.number)?.ranges ?? this.#reader.ranges(table);
  }

  cursor(table: TableMeta, range: CursorRange): EntryCursor {
    const salvage = this.#salvages.get(table.number);
    if (salvage === undefined) return this.#reader.cursor(table, range);
    const blocks = new SalvagedBlocks(this.#reader, salvage);
    return new TableCursor(blocks, table, { ...range, readAhead: false });
  }

  async #getFrom(
    blocks: SalvagedBlocks,
    { index }: TableSalvage,
    table: TableMeta,
    key: Uint8Array,
  ): Promise<TreeEntry | undefined> {
    const blockNumber = findInIndex(index, key);
    if (blockNumber < 0) return undefined;
    return findInBlock(await blocks.block(table, blockPlaceAt(index, blockNumber)), key);
  }
}

/** The blocks of one damaged table. */
class SalvagedBlocks implements BlockReads {
  readonly #reader: TableReader;
  readonly #salvage: TableSalvage;

  constructor(reader: TableReader, salvage: TableSalvage) {
    this.#reader = reader;
    this.#salvage = salvage;
  }

  index(): Uint8Array {
    return this.#salvage.index;
  }

  block(meta: TableMeta, place: BlockPlace): MaybePromise<Uint8Array> {
    if (this.#salvage.badOffsets.has(place.offset)) return NO_ENTRIES;
    return this.#reader.block(meta, place);
  }

  cachedBlock(): undefined {
    return undefined;
  }

  row(meta: TableMeta, places: readonly BlockPlace[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(places.map(async (place) => this.block(meta, place)));
  }
}
