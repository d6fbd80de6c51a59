/**
 * Scans: rows of an index view, with their values read ahead in bounded windows.
 *
 * The records of a window that lie close to each other on the device are read together: objects that
 * were written in one go, or moved together by reclaim, cost one read for many.
 */
import { binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import type { KeyRange, Lsn, ScanEntry, ScanOptions } from './engine-types.ts';
import type { IndexRange, IndexRow } from './tree/index-range.ts';
import { READ_GAP_BYTES_MAX, SCAN_PAGE_ROWS, SCAN_WINDOW_BYTES } from './limits.ts';
import type { LogSource } from './log-walk.ts';
import { headBytesOf, recordBytesOf } from './record.ts';
import { isPromise } from './maybe-promise.ts';
import type { MaybePromise } from './maybe-promise.ts';
import type { RecordReader } from './record-reader.ts';
import type { SegmentTable } from './segment-table.ts';
import { ENTRY_INLINE } from './tree/tree-entry.ts';
import type { TreeEntry } from './tree/tree-entry.ts';
import { readUnlessBroken } from './verify-values.ts';

/** A row of the tree. */
type Row = IndexRow<TreeEntry>;

/** Rows of the tree, as they are or were at some moment, without deletes. */
export interface RowSource {
  rows(range: IndexRange, limit: number): MaybePromise<readonly Row[]>;
}

/** Where a scan gets its bytes from. */
export interface ScanSource {
  readonly view: RowSource;
  readonly segments: SegmentTable;
  readonly reader: RecordReader;
  readonly source: LogSource;
  /** Throws when the view may not be used any more; a promise when that must be found out first. */
  readonly enter: () => Promise<void> | undefined;
  /**
   * Begins a read, and keeps what it reads from being written again until it has ended. Throws when the
   * view may not be used any more.
   */
  readonly hold: <Result>(read: () => MaybePromise<Result>) => MaybePromise<Result>;
}

/** The range of an index for the range of a caller. */
function indexRangeOf(range: KeyRange): IndexRange {
  return {
    from: range.from === undefined ? '' : binaryStringOf(range.from),
    to: range.to === undefined ? undefined : binaryStringOf(range.to),
    reverse: range.reverse ?? false,
  };
}

/** Walks a view. Rejects with `VALUE_DAMAGED`, or the device's read error, at the row whose value it is. */
export async function* scanRows(
  scan: ScanSource,
  range: KeyRange,
  options: ScanOptions,
): AsyncGenerator<ScanEntry> {
  let rest = indexRangeOf(range);
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  while (left > 0) {
    const entering = scan.enter();
    if (entering !== undefined) await entering;
    const reading = scan.hold(() => scan.view.rows(rest, Math.min(left, SCAN_PAGE_ROWS)));
    const rows = isPromise(reading) ? await reading : reading;
    if (options.values === false) {
      for (const row of rows) yield rowOf(row);
    } else {
      yield* rowsWithValues(scan, rows);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < Math.min(left, SCAN_PAGE_ROWS)) return;
    left -= rows.length;
    rest = rest.reverse ? { ...rest, to: last.key } : { ...rest, from: `${last.key}\0` };
  }
}

async function* rowsWithValues(scan: ScanSource, rows: readonly Row[]): AsyncGenerator<ScanEntry> {
  let start = 0;
  while (start < rows.length) {
    const entering = scan.enter();
    if (entering !== undefined) await entering;
    const end = windowEnd(rows, start);
    const window = rows.slice(start, end);
    const bytesOf = await scan.hold(() => readWindow(scan, window));
    for (const row of window) {
      const again = scan.enter();
      if (again !== undefined) await again;
      const bytes = bytesOf.get(row);
      if (bytes === undefined) {
        yield { ...rowOf(row), value: row.entry.copyOfValue() };
        continue;
      }
      const headBytes = headBytesOf(row.key.length, row.entry.valueBytes);
      // A copy, so that one small value does not hold on to the whole window. What is not right there
      // is read again for itself, which says what is wrong with it.
      const value =
        scan.reader.problemOf(row.key, row.entry, bytes) === undefined
          ? bytes.slice(headBytes)
          : await scan.hold(() => scan.reader.read(row.key, row.entry));
      yield { ...rowOf(row), value };
    }
    start = end;
  }
}

/** The first row that does not belong to the window which begins at `start`. */
function windowEnd(rows: readonly Row[], start: number): number {
  let bytes = 0;
  for (let index = start; index < rows.length; index++) {
    bytes += recordBytes(rows[index] as Row);
    if (bytes > SCAN_WINDOW_BYTES && index > start) return index;
  }
  return rows.length;
}

/** The whole records of those rows whose values lie in the log, read with as few reads as their places allow. */
async function readWindow(scan: ScanSource, rows: readonly Row[]): Promise<Map<Row, Uint8Array>> {
  const sorted = rows
    .filter(({ entry }) => entry.kind !== ENTRY_INLINE)
    .sort(
      (left, right) =>
        left.entry.ordinal - right.entry.ordinal || left.entry.offset - right.entry.offset,
    );
  const runs: Row[][] = [];
  for (const row of sorted) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const isNear =
      last?.entry.ordinal === row.entry.ordinal &&
      row.entry.offset - (last.entry.offset + recordBytes(last)) <= READ_GAP_BYTES_MAX;
    if (run !== undefined && isNear) run.push(row);
    else runs.push([row]);
  }
  const bytesOf = new Map<Row, Uint8Array>();
  await Promise.all(runs.map((run) => readRun(scan, run, bytesOf)));
  return bytesOf;
}

async function readRun(
  scan: ScanSource,
  run: readonly Row[],
  bytesOf: Map<Row, Uint8Array>,
): Promise<void> {
  const first = run[0] as Row;
  const last = run.at(-1) as Row;
  const start = first.entry.offset;
  const end = last.entry.offset + recordBytes(last);
  const segment = scan.segments.segmentOf(first.entry.ordinal);
  const read =
    segment === undefined
      ? undefined
      : await readUnlessBroken(() => scan.source.read(segment, start, end - start));
  // Each row whose segment is not known, or near which the device cannot read, is read for itself.
  const bytes = read ?? new Uint8Array(end - start);
  for (const row of run) {
    const at = row.entry.offset - start;
    bytesOf.set(row, bytes.subarray(at, at + recordBytes(row)));
  }
}

function recordBytes(row: Row): number {
  return recordBytesOf(row.key.length, row.entry.valueBytes);
}

function rowOf(row: Row): ScanEntry {
  const { lsn, valueBytes } = row.entry;
  return { key: bytesOfBinaryString(row.key), lsn: lsn as Lsn, sizeBytes: valueBytes };
}
