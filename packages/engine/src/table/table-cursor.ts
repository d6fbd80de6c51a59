/**
 * Walks the entries of one table in either direction, block by block through the cache.
 *
 * A step inside a block, or into one that is cached, is synchronous. With read-ahead, a block that is
 * missing is read together with those that come next, twice as many from read to read; the cursor holds
 * what it was given until it has passed it, so that a small cache makes it read nothing twice.
 */
import { bytesOfBinaryString } from '@dozo/base';
import { TABLE_READ_AHEAD_BYTES_MAX, TABLE_READ_AHEAD_BYTES_MIN } from '../limits.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { CursorRange, EntryCursor } from '../tree/entry-cursor.ts';
import { TreeEntry } from '../tree/tree-entry.ts';
import { BlockCursor } from './block.ts';
import { blockCountOf, blockPlaceAt, findInIndex } from './index-block.ts';
import type { BlockPlace, TableMeta } from './table-meta.ts';

/** Where a cursor gets blocks from: `TableReader` has the words. */
export interface BlockReads {
  index(meta: TableMeta): MaybePromise<Uint8Array>;
  block(meta: TableMeta, place: BlockPlace): MaybePromise<Uint8Array>;
  cachedBlock(meta: TableMeta, place: BlockPlace): Uint8Array | undefined;
  row(
    meta: TableMeta,
    places: readonly BlockPlace[],
    wanted: number,
  ): Promise<(Uint8Array | undefined)[]>;
}

const NO_BYTES = new Uint8Array(0);
const NO_ENTRY = TreeEntry.delete(0);

/** See the file comment. */
export class TableCursor implements EntryCursor {
  readonly #reads: BlockReads;
  readonly #meta: TableMeta;
  readonly #range: CursorRange;
  #index: Uint8Array = NO_BYTES;
  /** The last block that it may go to. */
  #finalBlock = 0;
  #blockNumber = -1;
  #block: BlockCursor | undefined;
  /** What was read ahead: blocks from `#rowStart` on, some of them missing. */
  #row: readonly (Uint8Array | undefined)[] = [];
  #rowStart = 0;
  #aheadBytes = TABLE_READ_AHEAD_BYTES_MIN;
  #key = '';
  #isEnded = false;

  constructor(reads: BlockReads, meta: TableMeta, range: CursorRange) {
    this.#reads = reads;
    this.#meta = meta;
    this.#range = range;
  }

  get key(): string {
    return this.#key;
  }

  get entry(): TreeEntry {
    return this.#block?.entry ?? NO_ENTRY;
  }

  next(): MaybePromise<boolean> {
    if (this.#isEnded) return false;
    const block = this.#block;
    if (block !== undefined) {
      const isOn = this.#range.reverse ? block.previous() : block.next();
      return isOn ? this.#arrive(block) : this.#enter(this.#nextNumber());
    }
    const index = this.#reads.index(this.#meta);
    return index instanceof Promise ? index.then((read) => this.#begin(read)) : this.#begin(index);
  }

  #begin(index: Uint8Array): MaybePromise<boolean> {
    this.#index = index;
    const { from, to, reverse } = this.#range;
    const low = findInIndex(index, bytesOfBinaryString(from));
    const high =
      to === undefined ? blockCountOf(index) - 1 : findInIndex(index, bytesOfBinaryString(to));
    // A table of range deletes alone has no blocks: both are -1.
    if (low < 0) return this.#end();
    this.#finalBlock = reverse ? low : high;
    return this.#enter(reverse ? high : low);
  }

  #enter(blockNumber: number): MaybePromise<boolean> {
    const isPast = this.#range.reverse
      ? blockNumber < this.#finalBlock
      : blockNumber > this.#finalBlock;
    if (isPast) return this.#end();
    const block = this.#blockAt(blockNumber);
    return block instanceof Promise
      ? block.then((read) => this.#open(blockNumber, read))
      : this.#open(blockNumber, block);
  }

  /** Goes to the first entry of a block in the direction; in the first block, of the range. */
  #open(blockNumber: number, bytes: Uint8Array): MaybePromise<boolean> {
    const { from, to, reverse } = this.#range;
    const isFirst = this.#blockNumber < 0;
    const block = new BlockCursor(bytes);
    this.#block = block;
    this.#blockNumber = blockNumber;
    let isOn: boolean;
    if (reverse) {
      const isWhole = !isFirst || to === undefined;
      isOn = isWhole ? block.seekToLast() : block.seekBelow(bytesOfBinaryString(to));
    } else {
      isOn = isFirst ? block.seek(bytesOfBinaryString(from)) : block.seekToFirst();
    }
    return isOn ? this.#arrive(block) : this.#enter(this.#nextNumber());
  }

  #arrive(block: BlockCursor): boolean {
    const { from, to, reverse } = this.#range;
    const { key } = block;
    const isInside = reverse ? key >= from : to === undefined || key < to;
    if (!isInside) return this.#end();
    this.#key = key;
    return true;
  }

  #end(): false {
    this.#isEnded = true;
    this.#block = undefined;
    this.#row = [];
    return false;
  }

  #nextNumber(): number {
    return this.#range.reverse ? this.#blockNumber - 1 : this.#blockNumber + 1;
  }

  #blockAt(blockNumber: number): MaybePromise<Uint8Array> {
    const held = this.#row[blockNumber - this.#rowStart];
    if (held !== undefined) return held;
    const place = blockPlaceAt(this.#index, blockNumber);
    if (!this.#range.readAhead) return this.#reads.block(this.#meta, place);
    return this.#reads.cachedBlock(this.#meta, place) ?? this.#readRow(blockNumber, place);
  }

  async #readRow(blockNumber: number, place: BlockPlace): Promise<Uint8Array> {
    const { reverse } = this.#range;
    const places = [place];
    let restBytes = this.#aheadBytes - place.sizeBytes;
    const step = reverse ? -1 : 1;
    for (let next = blockNumber; next !== this.#finalBlock && restBytes > 0;) {
      next += step;
      const ahead = blockPlaceAt(this.#index, next);
      restBytes -= ahead.sizeBytes;
      if (restBytes >= 0) places.push(ahead);
    }
    if (reverse) places.reverse();
    const wanted = reverse ? places.length - 1 : 0;
    const row = await this.#reads.row(this.#meta, places, wanted);
    this.#aheadBytes = Math.min(2 * this.#aheadBytes, TABLE_READ_AHEAD_BYTES_MAX);
    this.#row = row;
    this.#rowStart = blockNumber - wanted;
    return row[wanted] ?? this.#reads.block(this.#meta, place);
  }
}
