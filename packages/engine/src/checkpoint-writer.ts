/**
 * Cuts a checkpoint into pages, as many at a time as go into one group.
 *
 * What it says is taken in one turn, between two groups: the tables of the tree, the live bytes that
 * they account for, and the place in the log from which the memtables are replayed on top of them.
 */
import type { Catalog } from './catalog.ts';
import {
  SEGMENT_ROW_BYTES,
  encodeCounters,
  encodeSegmentRows,
  encodeTables,
} from './checkpoint-page.ts';
import type { CheckpointCounters, PlacedTable, SegmentRow } from './checkpoint-page.ts';
import type { Geometry } from './geometry.ts';
import { CHECKPOINT_PAGE_BYTES } from './limits.ts';
import type { LogWriter } from './log-writer.ts';
import type { LogPosition } from './log-position.ts';
import type { PagePlace } from './manifest.ts';
import { RECORD_CHECKPOINT_PAGE, recordBytesOf, valueChecksums } from './record.ts';
import type { FinishedCheckpoint } from './written-log.ts';

const EMPTY = new Uint8Array(0);

/** See the file comment. */
export class CheckpointWriter {
  readonly number: number;
  readonly #start: LogPosition;
  readonly #tables: readonly PlacedTable[];
  #tableAt = 0;
  readonly #segmentRows: SegmentRow[];
  #counters: CheckpointCounters | undefined;
  readonly #pageBytes: number;
  readonly #pages: PagePlace[] = [];
  /** Encoded, and handed out next. */
  #ready: Uint8Array | undefined;

  /** @param position where the log goes on: everything before is in the memtables or in tables. */
  constructor(catalog: Catalog, number: number, pageBytes: number, position: LogPosition) {
    const { start, tables, rows, counters } = catalog.beginCheckpoint(number, position);
    this.number = number;
    this.#start = start;
    this.#tables = tables;
    // The table does not know yet where the open segment ends. What it holds so far ends at the
    // start, and it may be full: then no part of the replayed log will name a better end.
    this.#segmentRows = rows.map((row) =>
      row.ordinal === start.ordinal && row.end === 0 ? { ...row, end: start.offset } : row,
    );
    this.#counters = counters;
    this.#pageBytes = pageBytes;
  }

  /** The next pages, one at least and as many as go together into one group; none when all were taken. */
  nextPages(): Uint8Array[] {
    const pages: Uint8Array[] = [];
    let sizeBytes = 0;
    for (;;) {
      this.#ready ??= this.#encodeNext();
      if (this.#ready === undefined) return pages;
      sizeBytes += this.#ready.length;
      if (pages.length > 0 && sizeBytes > this.#pageBytes) return pages;
      pages.push(this.#ready);
      this.#ready = undefined;
    }
  }

  #encodeNext(): Uint8Array | undefined {
    if (this.#counters !== undefined) {
      const page = encodeCounters(this.#counters);
      this.#counters = undefined;
      return page;
    }
    if (this.#segmentRows.length > 0) {
      const rowsPerPage = Math.floor((this.#pageBytes - 1) / SEGMENT_ROW_BYTES);
      return encodeSegmentRows(this.#segmentRows.splice(0, rowsPerPage));
    }
    if (this.#tableAt === this.#tables.length) return undefined;
    const { page, next } = encodeTables(this.#tables, this.#tableAt, this.#pageBytes);
    this.#tableAt = next;
    return page;
  }

  /** Pages are durable there. */
  addPlaces(places: readonly PagePlace[]): void {
    this.#pages.push(...places);
  }

  finish(): FinishedCheckpoint {
    return { number: this.number, start: this.#start, pages: this.#pages };
  }
}

/** Bytes of the pages of one group: what one step of a checkpoint writes. */
export function checkpointPageBytesOf({ segmentPayloadBytes }: Geometry): number {
  return Math.min(CHECKPOINT_PAGE_BYTES, segmentPayloadBytes / 4);
}

/** What pages take in a group. */
export function pagesBytesOf(pages: readonly Uint8Array[]): number {
  return pages.reduce((bytes, page) => bytes + recordBytesOf(0, page.length), 0);
}

/** Adds pages of a checkpoint to the group under construction, and returns where they will lie. */
export function addPages(
  log: LogWriter,
  number: number,
  pages: readonly Uint8Array[],
): PagePlace[] {
  const { groupSegment: segment, groupOrdinal: ordinal } = log;
  return pages.map((value) => {
    const offset = log.add({
      type: RECORD_CHECKPOINT_PAGE,
      key: EMPTY,
      value,
      checksums: valueChecksums(value, log.seed),
      lsn: number,
    });
    return { segment, ordinal, offset, valueBytes: value.length };
  });
}
