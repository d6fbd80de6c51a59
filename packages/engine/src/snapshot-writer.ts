/**
 * Cuts an index snapshot into pages, one at a time, from a view that does not change.
 *
 * The view and the position are taken together between two groups: whatever is written to the log
 * from that position on is replayed on top of the pages.
 */
import type { Catalog } from './catalog.ts';
import { EntryPageBuilder, encodeSegmentRows } from './index-page.ts';
import type { SegmentRow } from './index-page.ts';
import type { IndexRow, IndexView } from './key-index.ts';
import type { FinishedSnapshot, LogPosition } from './log-writer.ts';
import type { PagePlace } from './manifest.ts';

/** Rows that are taken from the view at once. */
const ROWS_AT_ONCE = 512;
const SEGMENT_ROW_BYTES = 20;

/** See the file comment. */
export class SnapshotWriter {
  readonly number: number;
  readonly #start: LogPosition;
  readonly #view: IndexView;
  readonly #segmentRows: SegmentRow[];
  readonly #pageBytes: number;
  readonly #pages: PagePlace[] = [];
  #rows: IndexRow[] = [];
  #rowAt = 0;
  #from = '';
  #isExhausted = false;

  constructor(catalog: Catalog, start: LogPosition, number: number, pageBytes: number) {
    this.number = number;
    this.#start = start;
    this.#view = catalog.index.snapshot();
    // The table does not know yet where the open segment ends. What it holds so far ends at the
    // start, and it may be full: then no part of the replayed log will name a better end.
    this.#segmentRows = catalog.segments
      .rows()
      .map((row) => (row.ordinal === start.ordinal ? { ...row, end: start.offset } : row));
    this.#pageBytes = pageBytes;
  }

  /** The next page, or `undefined` when there are no more. */
  nextPage(): Uint8Array | undefined {
    if (this.#segmentRows.length > 0) {
      const rowsPerPage = Math.floor((this.#pageBytes - 1) / SEGMENT_ROW_BYTES);
      return encodeSegmentRows(this.#segmentRows.splice(0, rowsPerPage));
    }
    const page = new EntryPageBuilder(this.#pageBytes);
    for (;;) {
      const row = this.#nextRow();
      if (row === undefined || !page.add(row.key, row.entry)) break;
      this.#rowAt++;
    }
    return page.isEmpty ? undefined : page.finish();
  }

  /** A page is durable there. */
  addPlace(place: PagePlace): void {
    this.#pages.push(place);
  }

  finish(): FinishedSnapshot {
    return { number: this.number, start: this.#start, pages: this.#pages };
  }

  #nextRow(): IndexRow | undefined {
    if (this.#rowAt === this.#rows.length && !this.#isExhausted) {
      this.#rows = this.#view.rows({ from: this.#from, reverse: false }, ROWS_AT_ONCE);
      this.#rowAt = 0;
      this.#isExhausted = this.#rows.length < ROWS_AT_ONCE;
      // The least key above the last one.
      this.#from = `${this.#rows.at(-1)?.key ?? ''}\0`;
    }
    return this.#rows[this.#rowAt];
  }
}
