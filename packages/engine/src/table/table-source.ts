/**
 * Checked reads of a table's blocks from the device.
 *
 * Every block is compared with its checksum. One that is not right, or that the device could not read, is
 * read once more past the page cache, whose pages may be from before another machine wrote there; only
 * then is it damaged. What cannot be read is damage of the table like any other: the rest lives on.
 */
import { hasCode } from '@dozo/base';
import type { Counters } from '../counters.ts';
import type { DamagedTables } from '../damaged-tables.ts';
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
  /** Reads what is in memory, at once; false: ask `read`, and `into` has any bytes. */
  readCached(meta: TableMeta, offset: number, into: Uint8Array): boolean;
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
  /** Is told of every table in which something is damaged. */
  readonly damaged?: DamagedTables;
  readonly switches?: Pick<TestSwitches, TableSwitch>;
}

/** What of the handling of damaged tables a test can switch off. */
export type TableSwitch =
  'skipReadChecks' | 'skipTableChecks' | 'failOnUnreadTables' | 'moveTablesUnchecked';

/** See the file comment. Every method rejects as well with what the device says when it is closed. */
export class CheckedTableSource {
  readonly #source: TableSource;
  readonly #counters: CheckedTableSourceOptions['counters'];
  readonly #damaged: DamagedTables | undefined;
  readonly #isUnchecked: boolean;
  readonly #failsUnread: boolean;

  constructor(options: CheckedTableSourceOptions) {
    this.#source = options.source;
    this.#counters = options.counters;
    this.#damaged = options.damaged;
    const { skipReadChecks = false, skipTableChecks = false } = options.switches ?? {};
    this.#failsUnread = options.switches?.failOnUnreadTables === true;
    this.#isUnchecked = skipReadChecks || skipTableChecks;
  }

  /** Reads one block at once; undefined when that cannot be, false when what was read is not right. */
  readCached(meta: TableMeta, offset: number, into: Uint8Array): boolean | undefined {
    return this.#source.readCached(meta, offset, into) ? this.isIntact(meta, into) : undefined;
  }

  /** One block as it is read first, in memory of its own; undefined when it is not right. */
  async readOne(meta: TableMeta, place: BlockPlace): Promise<Uint8Array | undefined> {
    const bytes = await this.readStretch(meta, place.offset, place.sizeBytes);
    return bytes !== undefined && this.isIntact(meta, bytes) ? ownMemory(bytes) : undefined;
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
    const row = await this.readStretch(
      meta,
      first.offset,
      last.offset + last.sizeBytes - first.offset,
    );
    if (row === undefined) return places.map(() => undefined);
    return places.map(({ offset, sizeBytes }) => {
      const start = offset - first.offset;
      const bytes = row.subarray(start, start + sizeBytes);
      // A copy: a view would keep the whole row in memory as long as one block of it is cached.
      return this.isIntact(meta, bytes) ? bytes.slice() : undefined;
    });
  }

  /** A block that was not right, as it is on the disk. Rejects with `INDEX_DAMAGED`. */
  async readAgain(meta: TableMeta, place: BlockPlace): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = await this.#source.uncached.read(meta, place.offset, place.sizeBytes);
    } catch (error) {
      const reason = `the device cannot read it (${this.#unreadReason(error)})`;
      throw this.damaged(meta, place, reason, error);
    }
    if (!isBlockIntact(bytes, meta.seed))
      throw this.damaged(meta, place, 'its checksum does not match');
    this.#counters.staleReadCount++;
    return ownMemory(bytes);
  }

  /**
   * Bytes of a table, unchecked; undefined when the device could not read all of them: one bad sector must
   * not take its neighbours along.
   */
  async readStretch(
    meta: TableMeta,
    offset: number,
    sizeBytes: number,
  ): Promise<Uint8Array | undefined> {
    try {
      return await this.#source.read(meta, offset, sizeBytes);
    } catch (error) {
      this.#unreadReason(error);
      return undefined;
    }
  }

  /** Bytes of a table, unchecked. Rejects with the device's read errors. */
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

  /** The error of a damaged block, counted, and its table noted. */
  damaged(meta: TableMeta, place: BlockPlace, reason: string, cause?: unknown): Error {
    this.#counters.checksumErrorCount++;
    this.#damaged?.note(meta.number);
    const { segment } = meta;
    const offset = this.#source.place(meta, place.offset);
    const at = { segment, offset, sizeBytes: place.sizeBytes };
    return indexDamaged(this.#source.path, at, reason, cause);
  }

  /** Why the device could not read what a table says lies there: damage of the table. Throws any other error. */
  #unreadReason(error: unknown): string {
    if (this.#failsUnread || !hasCode(error, 'DEVICE_READ_FAILED')) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

/** The bytes with nothing else in their buffer, as what is cached should be. */
function ownMemory(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
}
