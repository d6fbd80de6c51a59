/**
 * Reads tables: single keys, walks in both directions, large runs for merges.
 *
 * A single key needs the filter of a table, its index and one data block, all of them through the block
 * cache. Where they are cached, or the device has them in memory, the answer is there at once, with no promise;
 * else each that is missing is read, once for all who ask at that time.
 */
import { CACHED_READ_BYTES_MAX, CodecError, hasCode, uninitialisedBytes } from '@dozo/base';
import type { Counters } from '../counters.ts';
import type { DamagedTables } from '../damaged-tables.ts';
import { STRETCH_BYTES_MAX, STRETCH_GAP_BYTES_MAX } from '../limits.ts';
import { STRETCHES_AT_ONCE, TABLE_RUN_BYTES } from '../limits.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { TestSwitches } from '../test-switches.ts';
import type { CursorRange, EntryCursor } from '../tree/entry-cursor.ts';
import { RangeSet } from '../tree/range-set.ts';
import type { TableLookup } from '../tree/table-lookup.ts';
import { ENTRY_INLINE, TreeEntry } from '../tree/tree-entry.ts';
import { findInBlock } from './block.ts';
import type { BlockCache, BlockRequest, CachedBlock, CachedTable } from './block-cache.ts';
import { mayContain } from './bloom.ts';
import type { KeyHash } from './bloom.ts';
import { blockCountOf, blockPlaceAt, findInIndex } from './index-block.ts';
import { decodeRanges } from './ranges-block.ts';
import { TableCursor } from './table-cursor.ts';
import { isBlockIntact } from './table-format.ts';
import type { BlockPlace, TableMeta } from './table-meta.ts';
import { CheckedTableSource } from './table-source.ts';
import type { TableReads, TableSource, TableSwitch } from './table-source.ts';
import { checkTable } from './verify-table.ts';
import type { TableCheck } from './verify-table.ts';
import { readWholeTable } from './whole-table.ts';

/** Blocks that are copied to the cache in one go: some tenths of a millisecond. */
const KEPT_BLOCKS_AT_ONCE = 64;

/** How often the hand of the cache passes a block without a hit before it evicts it. */
const DATA_CREDIT = 1;
const INDEX_CREDIT = 3;

export interface TableReaderOptions {
  readonly source: TableSource;
  readonly cache: BlockCache;
  readonly counters: Pick<Counters, 'checksumErrorCount' | 'staleReadCount'>;
  /** Is told of every table in which something is damaged, and of those that turn out to be sound. */
  readonly damaged?: DamagedTables;
  readonly switches?: Pick<TestSwitches, TableSwitch>;
}

/** Data blocks of a table that lie in a row, unchecked: what one step of a merge takes as a source. */
export interface DataRun {
  /** The number of its first block in the table. */
  readonly firstBlock: number;
  /** Fills its buffer, so that it can be moved to another thread. */
  readonly blocks: Uint8Array;
  /** Where each block ends in `blocks`. */
  readonly blockEnds: Uint32Array;
  /** Whether the table has no block after it. */
  readonly isLast: boolean;
}

/** Data blocks that are read together. */
interface Stretch {
  readonly start: number;
  end: number;
  /** Which of the wanted blocks it has. */
  readonly positions: number[];
}

/**
 * See the file comment. Everything rejects with `INDEX_DAMAGED`, also for what the device cannot read, and
 * with what it says when it is closed.
 */
export class TableReader implements TableLookup {
  readonly #checked: CheckedTableSource;
  readonly #cache: BlockCache;
  readonly #damaged: DamagedTables | undefined;
  readonly #uncached: TableReads;
  readonly #movesUnchecked: boolean;
  /** A block that is looked into at once and not kept. */
  readonly #scratch = new Uint8Array(CACHED_READ_BYTES_MAX);

  constructor(options: TableReaderOptions) {
    this.#checked = new CheckedTableSource(options);
    this.#cache = options.cache;
    this.#damaged = options.damaged;
    this.#uncached = options.source.uncached;
    this.#movesUnchecked = options.switches?.moveTablesUnchecked === true;
  }

  /**
   * The entry that a table has for a key, deletes too; undefined when it has none. A promise only when
   * something must be waited for. Knows nothing of range deletes. An inline value may be a view of a cached
   * block: nobody may change it, and who gives it to somebody outside the engine takes a copy.
   *
   * @param hash `hashOfKey(key)`, which a question to several tables computes once.
   */
  get(meta: TableMeta, key: Uint8Array, hash: KeyHash): MaybePromise<TreeEntry | undefined> {
    const table = this.#cache.tableOf(meta.number);
    const filter = this.#atOnce(table, meta, meta.filter);
    if (filter === undefined) return this.#getFrom(meta, key, hash);
    if (!mayContain(filter, hash)) return undefined;
    const index = this.#atOnce(table, meta, meta.index);
    if (index === undefined) return this.#getFrom(meta, key, hash, filter);
    const blockNumber = findInIndex(index, key);
    if (blockNumber < 0) return undefined;
    const place = blockPlaceAt(index, blockNumber);
    const cached = this.#cache.hit(table, place.offset);
    if (cached !== undefined) return findInBlock(cached.bytes, key);
    const creditMax = this.#creditOf(meta, place);
    const block = this.#readAtOnce(meta, place, creditMax);
    if (block === undefined) return this.#getBy(this.#read(meta, place, creditMax), key);
    const entry = findInBlock(block, key);
    // What is not kept is overwritten by the next look.
    return entry?.kind === ENTRY_INLINE ? TreeEntry.copied(entry.lsn, entry.value) : entry;
  }

  /** What a data block that was asked for gets as credit; undefined: it is not worth keeping. */
  #creditOf({ number }: TableMeta, { offset, sizeBytes }: BlockPlace): number | undefined {
    return this.#cache.admits(number, offset, sizeBytes) ? DATA_CREDIT : undefined;
  }

  /** A filter or an index that is in memory: in the cache, or as far as the device can tell without waiting. */
  #atOnce(
    table: CachedTable | undefined,
    meta: TableMeta,
    place: BlockPlace,
  ): Uint8Array | undefined {
    const cached = this.#cache.hit(table, place.offset)?.bytes;
    return cached ?? this.#readAtOnce(meta, place, INDEX_CREDIT);
  }

  /**
   * A block that is not cached, if the device has it in memory. If what it has is not right, the read past the
   * page cache has begun, which who asks next joins.
   *
   * @param creditMax undefined: it is not kept and lies in {@link #scratch}, until the next one does. Memory
   *   for it would cost more than the read.
   */
  #readAtOnce(
    meta: TableMeta,
    place: BlockPlace,
    creditMax: number | undefined,
  ): Uint8Array | undefined {
    const { offset, sizeBytes } = place;
    if (sizeBytes > CACHED_READ_BYTES_MAX) return undefined;
    const isKept = creditMax !== undefined;
    const bytes = isKept ? uninitialisedBytes(sizeBytes) : this.#scratch.subarray(0, sizeBytes);
    const isRight = this.#checked.readCached(meta, offset, bytes);
    if (isRight === undefined) return undefined;
    if (!isRight) {
      const request = { table: meta.number, offsets: [offset], creditMax };
      // Who joins it is told how it ends.
      this.#loadOnce(request, () => this.#checked.readAgain(meta, place)).catch(() => undefined);
      return undefined;
    }
    this.#cache.countMiss();
    if (isKept) this.#cache.add(meta.number, offset, bytes, { creditMax, mayEvict: true });
    return bytes;
  }

  /** Reads what is missing. */
  async #getFrom(
    meta: TableMeta,
    key: Uint8Array,
    hash: KeyHash,
    knownFilter?: Uint8Array,
  ): Promise<TreeEntry | undefined> {
    const filter = knownFilter ?? (await this.#read(meta, meta.filter, INDEX_CREDIT));
    if (knownFilter === undefined && !mayContain(filter, hash)) return undefined;
    const index = await this.index(meta);
    const blockNumber = findInIndex(index, key);
    if (blockNumber < 0) return undefined;
    const place = blockPlaceAt(index, blockNumber);
    const cached = this.#cached(meta, place.offset)?.bytes;
    return findInBlock(cached ?? (await this.#read(meta, place, this.#creditOf(meta, place))), key);
  }

  async #getBy(reading: Promise<Uint8Array>, key: Uint8Array): Promise<TreeEntry | undefined> {
    return findInBlock(await reading, key);
  }

  /** The range deletes of a table. */
  ranges(meta: TableMeta): MaybePromise<RangeSet> {
    const place = meta.ranges;
    if (place === undefined) return RangeSet.EMPTY;
    const block = this.#cached(meta, place.offset);
    if (block !== undefined) return (block.ranges ??= this.#decode(meta, place, block.bytes));
    return this.#readRanges(meta, place);
  }

  /** Walks the entries of a range, deletes too; not its range deletes. */
  cursor(meta: TableMeta, range: CursorRange): EntryCursor {
    return new TableCursor(this, meta, range);
  }

  /** The filter of a table. */
  filter(meta: TableMeta): MaybePromise<Uint8Array> {
    const { filter } = meta;
    return this.#cached(meta, filter.offset)?.bytes ?? this.#read(meta, filter, INDEX_CREDIT);
  }

  /** The index block of a table. */
  index(meta: TableMeta): MaybePromise<Uint8Array> {
    const { index } = meta;
    return this.#cached(meta, index.offset)?.bytes ?? this.#read(meta, index, INDEX_CREDIT);
  }

  /** A data block, through the cache. */
  block(meta: TableMeta, place: BlockPlace): MaybePromise<Uint8Array> {
    return this.#cached(meta, place.offset)?.bytes ?? this.#read(meta, place, DATA_CREDIT);
  }

  /** A data block if it is cached. */
  cachedBlock(meta: TableMeta, place: BlockPlace): Uint8Array | undefined {
    return this.#cached(meta, place.offset)?.bytes;
  }

  /**
   * Data blocks in a row, through the cache. Those that are neither there nor on their way are read in
   * one read.
   *
   * @param places in ascending order, each behind the one before.
   * @param wanted position of the one that must be there; the others are undefined where they are not
   *   right, or on their way by another read.
   */
  async row(
    meta: TableMeta,
    places: readonly BlockPlace[],
    wanted: number,
  ): Promise<(Uint8Array | undefined)[]> {
    const { number } = meta;
    const row: (Uint8Array | undefined)[] = places.map(() => undefined);
    let start = wanted;
    let end = wanted;
    const isFree = (place: BlockPlace | undefined): boolean =>
      place !== undefined && !this.#cache.isKnown(number, place.offset);
    while (isFree(places[end])) end++;
    while (start > 0 && isFree(places[start - 1])) start--;
    if (end > wanted) {
      const missing = places.slice(start, end);
      const offsets = missing.map(({ offset }) => offset);
      const request = { table: number, offsets, creditMax: DATA_CREDIT };
      const loaded = await this.#cache.load(request, () => this.#checked.readRow(meta, missing));
      for (const [position, bytes] of loaded.entries()) row[start + position] = bytes;
    }
    row[wanted] ??= await this.block(meta, places[wanted] as BlockPlace);
    return row;
  }

  /**
   * Some data blocks of a table, for a look at many keys at once: those that are cached from there, the
   * others in reads of stretches that nobody needs to keep. Undefined for a block that is damaged.
   *
   * @param numbers of blocks, ascending.
   */
  blocksAt(
    meta: TableMeta,
    index: Uint8Array,
    numbers: readonly number[],
  ): MaybePromise<readonly (Uint8Array | undefined)[]> {
    const places = numbers.map((number) => blockPlaceAt(index, number));
    const blocks = places.map((place) => this.cachedBlock(meta, place));
    return blocks.includes(undefined) ? this.#readMissing(meta, places, blocks) : blocks;
  }

  async #readMissing(
    meta: TableMeta,
    places: readonly BlockPlace[],
    blocks: (Uint8Array | undefined)[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const stretches = stretchesOf(places, blocks);
    for (let at = 0; at < stretches.length; at += STRETCHES_AT_ONCE) {
      const reads = stretches.slice(at, at + STRETCHES_AT_ONCE).map(async (stretch) => {
        const { start: from, end } = stretch;
        const bytes = await this.#checked.readStretch(meta, from, end - from);
        for (const position of stretch.positions) {
          const place = places[position] as BlockPlace;
          const start = place.offset - stretch.start;
          const block = bytes?.subarray(start, start + place.sizeBytes);
          const isRight = block !== undefined && this.#checked.isIntact(meta, block);
          blocks[position] = isRight ? block : await this.#unlessDamaged(meta, place);
        }
      });
      await Promise.all(reads);
    }
    return blocks;
  }

  async #unlessDamaged(meta: TableMeta, place: BlockPlace): Promise<Uint8Array | undefined> {
    try {
      return await this.block(meta, place);
    } catch (error) {
      if (hasCode(error, 'INDEX_DAMAGED')) return undefined;
      throw error;
    }
  }

  /**
   * The data blocks from `firstBlock` on, past the cache, as many as `sizeBytes` has room for and at
   * least one; undefined behind the last one. Nobody has checked them: a merge does, and has what it
   * finds damaged read again with {@link rereadRun}.
   */
  async readRun(
    meta: TableMeta,
    firstBlock: number,
    sizeBytes = TABLE_RUN_BYTES,
  ): Promise<DataRun | undefined> {
    const index = await this.index(meta);
    const count = blockCountOf(index);
    if (firstBlock >= count) return undefined;
    const start = blockPlaceAt(index, firstBlock).offset;
    const ends: number[] = [];
    for (let number = firstBlock; number < count; number++) {
      const place = blockPlaceAt(index, number);
      const end = place.offset + place.sizeBytes - start;
      if (end > sizeBytes && ends.length > 0) break;
      ends.push(end);
    }
    const blockEnds = Uint32Array.from(ends);
    const isLast = firstBlock + ends.length === count;
    const blocks = await this.#checked.readStretch(meta, start, ends.at(-1) ?? 0);
    if (blocks === undefined) return this.rereadRun(meta, { firstBlock, blockEnds, isLast });
    return { firstBlock, blocks, blockEnds, isLast };
  }

  /**
   * A run of `readRun` once more, each block checked: what is not right is read past the page cache.
   * Rejects with `INDEX_DAMAGED` for a block that is damaged on the disk.
   */
  async rereadRun(meta: TableMeta, run: Omit<DataRun, 'blocks'>): Promise<DataRun> {
    const { firstBlock, blockEnds, isLast } = run;
    const start = blockPlaceAt(await this.index(meta), firstBlock).offset;
    const sizeBytes = blockEnds.at(-1) ?? 0;
    const read = await this.#checked.readStretch(meta, start, sizeBytes);
    const blocks = read ?? new Uint8Array(sizeBytes);
    let blockStart = 0;
    for (const blockEnd of blockEnds) {
      // A merge checks in any case: what it would refuse again must not come back to it.
      const block = blocks.subarray(blockStart, blockEnd);
      if (read === undefined || !isBlockIntact(block, meta.seed)) {
        const place = { offset: start + blockStart, sizeBytes: blockEnd - blockStart };
        blocks.set(await this.#checked.readAgain(meta, place), blockStart);
      }
      blockStart = blockEnd;
    }
    return { firstBlock, blocks, blockEnds, isLast };
  }

  /**
   * Keeps blocks of a table that was just written from `bytes`: its filter and its index, which every
   * question to it needs, and of its data blocks as many as the cache has room for. A yield is a place for
   * others to get the thread.
   */
  *keepWritten(meta: TableMeta, bytes: Uint8Array): Generator<undefined, void> {
    this.#keep(meta, meta.filter, bytes, true);
    this.#keep(meta, meta.index, bytes, true);
    const { offset, sizeBytes } = meta.index;
    const index = bytes.subarray(offset, offset + sizeBytes);
    const count = blockCountOf(index);
    for (let number = 0; number < count; number++) {
      const place = blockPlaceAt(index, number);
      if (!this.#cache.hasRoomFor(place.sizeBytes)) return;
      this.#keep(meta, place, bytes, false);
      if (number % KEPT_BLOCKS_AT_ONCE === 0) yield;
    }
  }

  #keep(
    { number }: TableMeta,
    { offset, sizeBytes }: BlockPlace,
    bytes: Uint8Array,
    isIndex: boolean,
  ): void {
    const block = bytes.slice(offset, offset + sizeBytes);
    const creditMax = isIndex ? INDEX_CREDIT : DATA_CREDIT;
    this.#cache.add(number, offset, block, { creditMax, mayEvict: isIndex });
  }

  /** All of a table, past the page cache, checked in memory; undefined when it is damaged. */
  async whole(meta: TableMeta): Promise<Uint8Array | undefined> {
    const bytes = await readWholeTable(this.#uncached, meta, this.#movesUnchecked);
    if (bytes === undefined) {
      const all = { offset: 0, sizeBytes: meta.sizeBytes };
      this.#checked.damaged(meta, all, 'it is damaged, or the device cannot read it');
    } else if (!this.#movesUnchecked) {
      this.#damaged?.forget(meta.number);
    }
    return bytes;
  }

  /** Reads all of a table past the cache and checks it: see `verify-table.ts`. */
  async verify(meta: TableMeta): Promise<TableCheck> {
    const check = await checkTable(this.#checked, meta);
    if (check.damages.length === 0) this.#damaged?.forget(meta.number);
    else this.#damaged?.note(meta.number);
    return check;
  }

  #cached(meta: TableMeta, offset: number): CachedBlock | undefined {
    return this.#cache.hit(this.#cache.tableOf(meta.number), offset);
  }

  async #readRanges(meta: TableMeta, place: BlockPlace): Promise<RangeSet> {
    return this.#decode(meta, place, await this.#read(meta, place, INDEX_CREDIT));
  }

  #decode(meta: TableMeta, place: BlockPlace, bytes: Uint8Array): RangeSet {
    try {
      return decodeRanges(bytes);
    } catch (error) {
      if (error instanceof CodecError) throw this.#checked.damaged(meta, place, error.message);
      throw error;
    }
  }

  /** A block that is not cached: by the read that is under way, or by one of our own. */
  async #read(
    meta: TableMeta,
    place: BlockPlace,
    creditMax: number | undefined,
  ): Promise<Uint8Array> {
    const joined = await this.#cache.joinRead(meta.number, place.offset);
    if (joined !== undefined) return joined;
    const request = { table: meta.number, offsets: [place.offset], creditMax };
    const bytes = await this.#loadOnce(request, () => this.#checked.readOne(meta, place));
    if (bytes !== undefined) return bytes;
    // Everybody who waited for a read that was not right meets again at this one.
    const again = await this.#loadOnce(request, () => this.#checked.readAgain(meta, place));
    return again ?? this.#checked.readAgain(meta, place);
  }

  async #loadOnce(
    request: BlockRequest,
    read: () => Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array | undefined> {
    const joined = this.#cache.joinRead(request.table, request.offsets[0] as number);
    if (joined !== undefined) return joined;
    return (await this.#cache.load(request, async () => [await read()]))[0];
  }
}

/** The blocks that are missing, near ones together. */
function stretchesOf(
  places: readonly BlockPlace[],
  blocks: readonly (Uint8Array | undefined)[],
): readonly Stretch[] {
  const stretches: Stretch[] = [];
  let last: Stretch | undefined;
  for (const [position, { offset, sizeBytes }] of places.entries()) {
    if (blocks[position] !== undefined) continue;
    const end = offset + sizeBytes;
    const isNear = last !== undefined && offset - last.end <= STRETCH_GAP_BYTES_MAX;
    if (last !== undefined && isNear && end - last.start <= STRETCH_BYTES_MAX) {
      last.end = end;
      last.positions.push(position);
    } else {
      last = { start: offset, end, positions: [position] };
      stretches.push(last);
    }
  }
  return stretches;
}
