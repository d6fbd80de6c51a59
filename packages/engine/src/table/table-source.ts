/**
 * Checked reads of a table's blocks from the device.
 *
 * Every block is compared with its checksum. One that is not right is read once more past the page
 * cache, whose pages may be from before another machine wrote there; only then is it damaged.
 */
import { hasCode } from '@dozo/base';
import type { Counters } from '../counters.ts';
import { indexDamaged } from '../errors.ts';
import type { ReadMode } from '../log-walk.ts';
import type { TestSwitches } from '../test-switches.ts';
import { isBlockIntact } from './table-format.ts';
import type { BlockPlace, TableMeta } from './table-meta.ts';

/** Reads bytes of tables. Offsets count from the begin of the table. */
export interface TableReads {
  /** The bytes belong to the caller. Rejects with the device's read errors. */
  read(meta: TableMeta, offset: number, sizeBytes: number): Promise<Uint8Array>;
}

/** Where tables are read from. */
export interface TableSource extends TableReads {
  /** The same, past the page cache. */
  readonly uncached: TableReads;
  /** The device, for messages. */
  readonly path: string;
  /** Byte offset on the device. */
  place(meta: TableMeta, offset: number): number;
}

export interface CheckedTableSourceOptions {
  readonly source: TableSource;
  readonly counters: Pick<Counters, 'checksumErrorCount' | 'staleReadCount'>;
  readonly switches?: Pick<TestSwitches, 'skipReadChecks' | 'skipTableChecks'>;
}

/** See the file comment. */
export class CheckedTableSource {
  readonly #source: TableSource;
  readonly #counters: CheckedTableSourceOptions['counters'];
  readonly #isUnchecked: boolean;

  constructor(options: CheckedTableSourceOptions) {
    this.#source = options.source;
    this.#counters = options.counters;
    const { skipReadChecks = false, skipTableChecks = false } = options.switches ?? {};
    this.#isUnchecked = skipReadChecks || skipTableChecks;
  }

  /** One block as it is read first, in memory of its own; undefined when it is not right. */
  async readOne(meta: TableMeta, place: BlockPlace): Promise<Uint8Array | undefined> {
    const bytes = await this.#source.read(meta, place.offset, place.sizeBytes);
    return this.isIntact(meta, bytes) ? ownMemory(bytes) : undefined;
  }

  /**
   * Blocks that lie in a row, in one read, each in memory of its own; undefined for those that are not
   * right. All of them are undefined when the device could not read the row: one bad sector must not
   * take its neighbours along.
   */
  async readRow(
    meta: TableMeta,
    places: readonly BlockPlace[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const first = places[0];
    const last = places.at(-1);
    if (first === undefined || last === undefined) return [];
    let row: Uint8Array;
    try {
      const sizeBytes = last.offset + last.sizeBytes - first.offset;
      row = await this.#source.read(meta, first.offset, sizeBytes);
    } catch (error) {
      if (hasCode(error, 'DEVICE_READ_FAILED')) return places.map(() => undefined);
      throw error;
    }
    return places.map(({ offset, sizeBytes }) => {
      const start = offset - first.offset;
      const bytes = row.subarray(start, start + sizeBytes);
      // A copy: a view would keep the whole row in memory as long as one block of it is cached.
      return this.isIntact(meta, bytes) ? bytes.slice() : undefined;
    });
  }

  /** A block that was not right, as it is on the disk. Rejects with `INDEX_DAMAGED`. */
  async readAgain(meta: TableMeta, place: BlockPlace): Promise<Uint8Array> {
    const bytes = await this.#source.uncached.read(meta, place.offset, place.sizeBytes);
    if (!isBlockIntact(bytes, meta.seed))
      throw this.damaged(meta, place, 'its checksum does not match');
    this.#counters.staleReadCount++;
    return ownMemory(bytes);
  }

  /** Bytes of a table, unchecked. */
  readRaw(
    meta: TableMeta,
    offset: number,
    sizeBytes: number,
    mode: ReadMode = 'cached',
  ): Promise<Uint8Array> {
    const reads = mode === 'cached' ? this.#source : this.#source.uncached;
    return reads.read(meta, offset, sizeBytes);
  }

  isIntact(meta: TableMeta, block: Uint8Array): boolean {
    return this.#isUnchecked || isBlockIntact(block, meta.seed);
  }

  /** Byte offset on the device. */
  place(meta: TableMeta, offset: number): number {
    return this.#source.place(meta, offset);
  }

  /** The error of a damaged block, counted. */
  damaged(meta: TableMeta, place: BlockPlace, reason: string): Error {
    this.#counters.checksumErrorCount++;
    const { segment } = meta;
    const offset = this.#source.place(meta, place.offset);
    return indexDamaged(this.#source.path, { segment, offset, sizeBytes: place.sizeBytes }, reason);
  }
}

/** The bytes with nothing else in their buffer, as what is cached should be. */
function ownMemory(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
}
