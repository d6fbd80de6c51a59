/**
 * Cuts a checkpoint into pages, one at a time.
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
import type { FinishedCheckpoint } from './log-writer.ts';
import type { LogPosition } from './log-position.ts';
import type { PagePlace } from './manifest.ts';

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

  constructor(catalog: Catalog, number: number, pageBytes: number) {
    const { start, tables, rows, counters } = catalog.beginCheckpoint(number);
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

  /** The next page, or `undefined` when there are no more. */
  nextPage(): Uint8Array | undefined {
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

  /** A page is durable there. */
  addPlace(place: PagePlace): void {
    this.#pages.push(place);
  }

  finish(): FinishedCheckpoint {
    return { number: this.number, start: this.#start, pages: this.#pages };
  }
}
