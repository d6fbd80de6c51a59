/**
 * A checkpoint page: a piece of a checkpoint, as the value of a record.
 *
 * A checkpoint names the tables of the tree, the pieces of log that hold live values, and two counters.
 * The first byte of a page tells what it holds:
 *
 *     1  tables: uint8 level | uint32 run | the table's meta, see `table/table-meta.ts`
 *     2  segments: uint32 segment | uint64 ordinal | uint32 seed | uint32 end | uint64 live bytes
 *     3  counters: uint64 keys | uint64 next table number
 */
import { ByteReader, ByteWriter } from '@dozo/base';
import { decodeTableMeta, encodeTableMeta, tableMetaBytesOf } from './table/table-meta.ts';
import type { TableMeta } from './table/table-meta.ts';

const TABLES = 1;
const SEGMENTS = 2;
const COUNTERS = 3;

/** Bytes of a row of the table of segments. */
export const SEGMENT_ROW_BYTES = 28;
/** Bytes of a table's place in the tree, in front of its meta. */
const TABLE_PLACE_BYTES = 5;

/** What must be known of a piece of log to read records in it. */
export interface SegmentRow {
  readonly segment: number;
  readonly ordinal: number;
  /** The CRC-32C of the nonce of the claim that wrote it. */
  readonly seed: number;
  /** Byte offset in the segment where its last group ends. */
  readonly end: number;
  /** Bytes of records that the tables of the checkpoint point to. */
  readonly liveBytes: number;
}

/** A table and where in the tree it stands. */
export interface PlacedTable {
  readonly level: number;
  /** In level 0 the runs are numbered from the newest on; 0 elsewhere. */
  readonly run: number;
  readonly meta: TableMeta;
}

/** What a checkpoint says besides. */
export interface CheckpointCounters {
  /** Keys that the tables show. */
  readonly keyCount: number;
  /** No table has this number or a higher one. */
  readonly nextTableNumber: number;
}

/** What a page holds. */
export type CheckpointPage =
  | { readonly kind: 'tables'; readonly tables: readonly PlacedTable[] }
  | { readonly kind: 'segments'; readonly rows: readonly SegmentRow[] }
  | { readonly kind: 'counters'; readonly counters: CheckpointCounters };

/** Encodes as many tables from `start` on as fit `capacityBytes`, at least one, and says where it stopped. */
export function encodeTables(
  tables: readonly PlacedTable[],
  start: number,
  capacityBytes: number,
): { readonly page: Uint8Array; readonly next: number } {
  let next = start;
  let sizeBytes = 1;
  for (; next < tables.length; next++) {
    const table = tables[next] as PlacedTable;
    const bytes = TABLE_PLACE_BYTES + tableMetaBytesOf(table.meta);
    if (next > start && sizeBytes + bytes > capacityBytes) break;
    sizeBytes += bytes;
  }
  const writer = new ByteWriter(sizeBytes);
  writer.uint8(TABLES);
  for (const { level, run, meta } of tables.slice(start, next)) {
    writer.uint8(level).uint32(run);
    encodeTableMeta(writer, meta);
  }
  return { page: writer.finish(), next };
}

/** Encodes rows of the table of segments. */
export function encodeSegmentRows(rows: readonly SegmentRow[]): Uint8Array {
  const writer = new ByteWriter(1 + SEGMENT_ROW_BYTES * rows.length);
  writer.uint8(SEGMENTS);
  for (const row of rows) {
    writer.uint32(row.segment).uint64(row.ordinal).uint32(row.seed).uint32(row.end);
    writer.uint64(row.liveBytes);
  }
  return writer.finish();
}

export function encodeCounters({ keyCount, nextTableNumber }: CheckpointCounters): Uint8Array {
  return new ByteWriter(17).uint8(COUNTERS).uint64(keyCount).uint64(nextTableNumber).finish();
}

/** Throws `CodecError`. */
export function decodeCheckpointPage(bytes: Uint8Array): CheckpointPage {
  const reader = new ByteReader(bytes, 'a checkpoint page');
  const kind = reader.uint8();
  switch (kind) {
    case TABLES: {
      const tables: PlacedTable[] = [];
      while (reader.remaining > 0) {
        tables.push({ level: reader.uint8(), run: reader.uint32(), meta: decodeTableMeta(reader) });
      }
      return { kind: 'tables', tables };
    }
    case SEGMENTS: {
      const rows: SegmentRow[] = [];
      while (reader.remaining > 0) rows.push(decodeRow(reader));
      return { kind: 'segments', rows };
    }
    case COUNTERS: {
      const counters = { keyCount: reader.uint64(), nextTableNumber: reader.uint64() };
      reader.expectEnd();
      return { kind: 'counters', counters };
    }
    default:
      throw reader.invalid('its kind is unknown');
  }
}

function decodeRow(reader: ByteReader): SegmentRow {
  return {
    segment: reader.uint32(),
    ordinal: reader.uint64(),
    seed: reader.uint32(),
    end: reader.uint32(),
    liveBytes: reader.uint64(),
  };
}
