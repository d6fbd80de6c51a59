/**
 * Blocks of tables in memory, within a bound in bytes.
 *
 * Replacement is CLOCK with credit: blocks stand in a ring; a hit restores a block's credit, which is
 * one store; when room is needed a hand goes round, takes a credit from each block that it passes and
 * evicts those that have none. A new block stands just behind the hand and has none, so that a scan
 * evicts what it brought itself before anything that was asked for twice. Filters and indexes, which
 * every question to their table needs, get more credit than data blocks.
 *
 * Of each block at most one read is under way: who wants it meanwhile waits for the same, unless the device
 * has it in memory. Not everything that is read is kept: see {@link BlockCache.admits}.
 *
 * Source: F. Corbato, "A Paging Experiment with the Multics System" (1968); with counters: Y. Smaragdakis,
 * "General adaptive replacement policies" (2004), GCLOCK.
 */
import { assert } from '@dozo/base';
import { CACHED_BLOCK_OVERHEAD_BYTES } from '../limits.ts';
import type { RangeSet } from '../tree/range-set.ts';
import { mixed } from './bloom.ts';
import { DATA_BLOCK_BYTES } from './table-format.ts';

/** Marks of blocks: those of a cache of 4 GiB, which take 4 MiB. */
const MARKS_MAX = 2 ** 20;

/** What a cache has done since it was made, and what it holds. */
export interface BlockCacheStats {
  readonly limitBytes: number;
  /** Of the blocks, with what each costs beside its content. */
  readonly sizeBytes: number;
  readonly blockCount: number;
  readonly hitCount: number;
  /** Blocks that were asked for and had to be read. */
  readonly missCount: number;
  /** Questions that waited for a read that was under way already. */
  readonly sharedReadCount: number;
  readonly evictedCount: number;
}

/** A block that may be in the cache. Its bytes stay valid, for who holds them, after eviction too. */
export class CachedBlock {
  readonly bytes: Uint8Array;
  /** What the block means, once somebody has decoded it. Counted as part of it. */
  ranges: RangeSet | undefined;
  readonly table: CachedTable;
  readonly offset: number;
  readonly creditMax: number;
  credit = 0;
  /** Neighbours in the ring; itself while it is alone or in none. */
  before: CachedBlock = this;
  after: CachedBlock = this;

  constructor(table: CachedTable, offset: number, bytes: Uint8Array, creditMax: number) {
    this.table = table;
    this.offset = offset;
    this.bytes = bytes;
    this.creditMax = creditMax;
  }
}

/** A read under way of one block or of several in a row, and which of them this one is. */
interface PendingBlock {
  readonly blocks: Promise<readonly (Uint8Array | undefined)[]>;
  readonly position: number;
}

/** What is cached of one table. */
export class CachedTable {
  readonly number: number;
  readonly blocks = new Map<number, CachedBlock>();
  readonly pending = new Map<number, PendingBlock>();
  /** Forgotten: what is still being read for it is not kept. */
  isDropped = false;

  constructor(number: number) {
    this.number = number;
  }
}

/** Blocks to be read, in one read of the device. */
export interface BlockRequest {
  readonly table: number;
  /** Where in the table each block begins; none of them is cached or under way. */
  readonly offsets: readonly number[];
  /** How often the hand passes a block after its last hit before it evicts it; undefined: it is not kept. */
  readonly creditMax: number | undefined;
}

/** How a block is kept that was read elsewhere. */
export interface AddOptions {
  readonly creditMax: number;
  /** Whether another block may go for it. */
  readonly mayEvict: boolean;
}

/** See the file comment. */
export class BlockCache {
  readonly #limitBytes: number;
  /** Of blocks that were asked for and not kept, those lately: about as many as there is room for, in bounds. */
  readonly #marks: Int32Array;
  readonly #tables = new Map<number, CachedTable>();
  /** The next block that the hand looks at. */
  #hand: CachedBlock | undefined;
  #sizeBytes = 0;
  #blockCount = 0;
  #hitCount = 0;
  #missCount = 0;
  #sharedReadCount = 0;
  #evictedCount = 0;

  constructor(limitBytes: number) {
    assert(limitBytes >= 0, 'a cache has a size');
    this.#limitBytes = limitBytes;
    this.#marks = new Int32Array(
      Math.max(1, Math.min(MARKS_MAX, Math.floor(limitBytes / DATA_BLOCK_BYTES))),
    );
  }

  /** What is cached of a table, to be asked for several of its blocks with {@link hit}; undefined: nothing. */
  tableOf(number: number): CachedTable | undefined {
    return this.#tables.get(number);
  }

  /** The block that begins at `offset` of `table`, if it is cached. */
  hit(table: CachedTable | undefined, offset: number): CachedBlock | undefined {
    const block = table?.blocks.get(offset);
    if (block === undefined) return undefined;
    block.credit = block.creditMax;
    this.#hitCount++;
    return block;
  }

  /** Whether a block is cached or being read; does not count as use. */
  isKnown(number: number, offset: number): boolean {
    const table = this.#tables.get(number);
    return table !== undefined && (table.blocks.has(offset) || table.pending.has(offset));
  }

  /**
   * The block if it is being read: a promise of its bytes, or of undefined when what was read is not
   * right. Rejects as that read does.
   */
  joinRead(number: number, offset: number): Promise<Uint8Array | undefined> | undefined {
    const pending = this.#tables.get(number)?.pending.get(offset);
    if (pending === undefined) return undefined;
    this.#sharedReadCount++;
    return pending.blocks.then((blocks) => blocks[pending.position]);
  }

  /**
   * Has blocks read, and keeps those that are right.
   *
   * @param read gives each block in memory of its own, or undefined for one that is not right.
   * @returns what `read` gives.
   */
  load(
    request: BlockRequest,
    read: () => Promise<readonly (Uint8Array | undefined)[]>,
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const { offsets, creditMax } = request;
    const table = this.#enter(request.table);
    this.#missCount++;
    const blocks = read().then(
      (loaded) => {
        this.#settle(table, offsets);
        for (const [position, bytes] of loaded.entries()) {
          if (bytes === undefined || creditMax === undefined) continue;
          this.#keep(table, offsets[position] as number, bytes, creditMax);
        }
        this.#leave(table);
        return loaded;
      },
      (error: unknown) => {
        this.#settle(table, offsets);
        this.#leave(table);
        throw error;
      },
    );
    for (const [position, offset] of offsets.entries()) {
      table.pending.set(offset, { blocks, position });
    }
    return blocks;
  }

  /** Keeps a block, in memory of its own, that was not read by {@link load}. */
  add(number: number, offset: number, bytes: Uint8Array, options: AddOptions): void {
    if (!options.mayEvict && !this.hasRoomFor(bytes.length)) return;
    const table = this.#enter(number);
    this.#keep(table, offset, bytes, options.creditMax);
    this.#leave(table);
  }

  /**
   * Whether a block that is about to be read is worth keeping: while there is room, and then one that was asked
   * for before, not long ago. Else a walk at random over much would do nothing but replace what is cached.
   *
   * Source: the doorkeeper of G. Einziger, R. Friedman, B. Manes, "TinyLFU" (2017).
   */
  admits(number: number, offset: number, sizeBytes: number): boolean {
    if (this.hasRoomFor(sizeBytes)) return true;
    const mark = mixed(Math.imul(number, 0x9e37_79b1) ^ offset);
    const slot = Math.floor(((mark >>> 0) / 2 ** 32) * this.#marks.length);
    const isKnown = this.#marks[slot] === mark;
    this.#marks[slot] = isKnown ? 0 : mark;
    return isKnown;
  }

  /** Counts a block that was asked for and not read by {@link load}. */
  countMiss(): void {
    this.#missCount++;
  }

  /** Whether a block of that size fits without another one being evicted. */
  hasRoomFor(sizeBytes: number): boolean {
    return this.#sizeBytes + sizeBytes + CACHED_BLOCK_OVERHEAD_BYTES <= this.#limitBytes;
  }

  /** Forgets a table, which nobody will ask for any more. */
  drop(number: number): void {
    const table = this.#tables.get(number);
    if (table === undefined) return;
    table.isDropped = true;
    this.#tables.delete(number);
    for (const block of table.blocks.values()) this.#unlink(block);
    table.blocks.clear();
  }

  stats(): BlockCacheStats {
    return {
      limitBytes: this.#limitBytes,
      sizeBytes: this.#sizeBytes,
      blockCount: this.#blockCount,
      hitCount: this.#hitCount,
      missCount: this.#missCount,
      sharedReadCount: this.#sharedReadCount,
      evictedCount: this.#evictedCount,
    };
  }

  #enter(number: number): CachedTable {
    let table = this.#tables.get(number);
    if (table === undefined) {
      table = new CachedTable(number);
      this.#tables.set(number, table);
    }
    return table;
  }

  /** A table without blocks and reads is forgotten. */
  #leave(table: CachedTable): void {
    if (table.isDropped || table.blocks.size > 0 || table.pending.size > 0) return;
    table.isDropped = true;
    this.#tables.delete(table.number);
  }

  #settle(table: CachedTable, offsets: readonly number[]): void {
    for (const offset of offsets) table.pending.delete(offset);
  }

  #keep(table: CachedTable, offset: number, bytes: Uint8Array, creditMax: number): void {
    const cost = costOf(bytes);
    if (table.isDropped || cost > this.#limitBytes || table.blocks.has(offset)) return;
    while (this.#sizeBytes + cost > this.#limitBytes) this.#evictOne(table);
    const block = new CachedBlock(table, offset, bytes, creditMax);
    table.blocks.set(offset, block);
    this.#sizeBytes += cost;
    this.#blockCount++;
    const hand = this.#hand;
    if (hand === undefined) {
      this.#hand = block;
      return;
    }
    block.before = hand.before;
    block.after = hand;
    hand.before.after = block;
    hand.before = block;
  }

  /** @param filling the table that is being added to: it stays, empty or not. */
  #evictOne(filling: CachedTable): void {
    let block = this.#hand;
    assert(block !== undefined, 'a cache that is full holds something');
    while (block.credit > 0) {
      block.credit--;
      block = block.after;
    }
    this.#hand = block;
    const { table } = block;
    table.blocks.delete(block.offset);
    this.#unlink(block);
    this.#evictedCount++;
    if (table !== filling) this.#leave(table);
  }

  #unlink(block: CachedBlock): void {
    this.#sizeBytes -= costOf(block.bytes);
    this.#blockCount--;
    if (this.#hand === block) this.#hand = block.after === block ? undefined : block.after;
    block.before.after = block.after;
    block.after.before = block.before;
    block.before = block;
    block.after = block;
  }
}

function costOf(bytes: Uint8Array): number {
  return bytes.length + CACHED_BLOCK_OVERHEAD_BYTES;
}
