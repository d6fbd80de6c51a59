/**
 * A small store that is sound as long as it is alone: the naive daemon's, and the reader's after it.
 *
 * A block 0 with a magic, a table of rows (key, block, checksum), then blocks with one value each. A
 * put writes the value into a free block and flushes, then the row that points at it and flushes, and
 * only then acknowledges; the block that the row pointed at before is free again. Whenever it is
 * killed, every acknowledged record is there.
 *
 * Which rows and blocks are free is known from reading the table at the start, and kept in memory
 * from then on, as storage daemons do: nobody reads a whole disk to write one block. That is the
 * assumption which a second daemon breaks.
 *
 *     block 0   1 ... 64                     65 ...
 *     +-------+----------------------------+---------------------------+
 *     | magic | table: 64 rows of 64 bytes | one value a block         |
 *     +-------+----------------------------+---------------------------+
 *     row: key (44 bytes, zero padded) | block u32 | value bytes u32 | CRC-32C of the value | zeros
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { assert, crc32c } from '@dozo/base';

import type { Answer } from './records.ts';

const BLOCK_BYTES = 4_096;
const MAGIC = 'NAIVE STORE 1\n';
const TABLE_BLOCKS = 64;
const ROW_BYTES = 64;
const KEY_BYTES = 44;
const ROWS_PER_BLOCK = BLOCK_BYTES / ROW_BYTES;
const DATA_BLOCK_FIRST = 1 + TABLE_BLOCKS;

interface Row {
  readonly key: string;
  readonly block: number;
  readonly sizeBytes: number;
  readonly checksum: number;
}

/** Makes an empty store on a file or block device. */
export async function formatNaiveStore(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const blocks = Buffer.alloc(DATA_BLOCK_FIRST * BLOCK_BYTES);
    blocks.write(MAGIC, 'latin1');
    await file.write(blocks, 0, blocks.length, 0);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** One opened store. Calls of {@link put} must follow each other. */
export class NaiveStore {
  readonly #file: FileHandle;
  readonly #blockCount: number;
  /** The table, row by row; what this process believes of the disk. */
  readonly #rows: (Row | undefined)[];
  readonly #rowOf = new Map<string, number>();
  readonly #usedBlocks = new Set<number>();

  /** Made by {@link open}. */
  constructor(file: FileHandle, blockCount: number, rows: (Row | undefined)[]) {
    this.#file = file;
    this.#blockCount = blockCount;
    this.#rows = rows;
    rows.forEach((row, index) => {
      if (row === undefined) return;
      this.#rowOf.set(row.key, index);
      this.#usedBlocks.add(row.block);
    });
  }

  /** Opens a store of `sizeBytes` and reads its table. Takes no lock: that is the daemon's part. */
  static async open(path: string, sizeBytes: number): Promise<NaiveStore> {
    const file = await open(path, 'r+');
    const blocks = Buffer.alloc(DATA_BLOCK_FIRST * BLOCK_BYTES);
    await file.read(blocks, 0, blocks.length, 0);
    assert(
      blocks.toString('latin1', 0, MAGIC.length) === MAGIC,
      'the lab has formatted this store',
    );
    const rows = Array.from({ length: TABLE_BLOCKS * ROWS_PER_BLOCK }, (_, index) =>
      decodeRow(blocks.subarray(BLOCK_BYTES + index * ROW_BYTES).subarray(0, ROW_BYTES)),
    );
    return new NaiveStore(file, Math.floor(sizeBytes / BLOCK_BYTES), rows);
  }

  get recordCount(): number {
    return this.#rowOf.size;
  }

  /** Durable when it resolves. */
  async put(key: string, value: Uint8Array): Promise<void> {
    const block = this.#freeBlock();
    this.#usedBlocks.add(block);
    await this.#file.write(value, 0, value.length, block * BLOCK_BYTES);
    await this.#file.datasync();
    const index = this.#rowOf.get(key) ?? this.#rows.indexOf(undefined);
    assert(index >= 0, 'the table of the lab is large enough');
    const before = this.#rows[index];
    this.#rows[index] = { key, block, sizeBytes: value.length, checksum: crc32c(value) };
    this.#rowOf.set(key, index);
    await this.#writeTableBlock(Math.floor(index / ROWS_PER_BLOCK));
    await this.#file.datasync();
    if (before !== undefined) this.#usedBlocks.delete(before.block);
  }

  /** What a client would get. */
  async get(key: string): Promise<Answer> {
    const index = this.#rowOf.get(key);
    const row = index === undefined ? undefined : this.#rows[index];
    if (row === undefined) return 'absent';
    const value = Buffer.alloc(Math.min(row.sizeBytes, BLOCK_BYTES));
    await this.#file.read(value, 0, value.length, row.block * BLOCK_BYTES);
    return crc32c(value) === row.checksum ? value : 'unreadable';
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #freeBlock(): number {
    for (let block = DATA_BLOCK_FIRST; block < this.#blockCount; block += 1) {
      if (!this.#usedBlocks.has(block)) return block;
    }
    throw new Error('The disk of the naive store is full.');
  }

  async #writeTableBlock(tableBlock: number): Promise<void> {
    const block = Buffer.alloc(BLOCK_BYTES);
    const first = tableBlock * ROWS_PER_BLOCK;
    this.#rows.slice(first, first + ROWS_PER_BLOCK).forEach((row, index) => {
      if (row !== undefined) encodeRow(block.subarray(index * ROW_BYTES), row);
    });
    await this.#file.write(block, 0, BLOCK_BYTES, (1 + tableBlock) * BLOCK_BYTES);
  }
}

function encodeRow(into: Buffer, row: Row): void {
  into.write(row.key, 0, KEY_BYTES, 'latin1');
  into.writeUInt32LE(row.block, KEY_BYTES);
  into.writeUInt32LE(row.sizeBytes, KEY_BYTES + 4);
  into.writeUInt32LE(row.checksum, KEY_BYTES + 8);
}

function decodeRow(from: Buffer): Row | undefined {
  if (from[0] === 0) return undefined;
  return {
    key: from.toString('latin1', 0, KEY_BYTES).replace(/\0+$/, ''),
    block: from.readUInt32LE(KEY_BYTES),
    sizeBytes: from.readUInt32LE(KEY_BYTES + 4),
    checksum: from.readUInt32LE(KEY_BYTES + 8),
  };
}
