/**
 * What must be known of a table to read it: its place, its parts, its bounds and some statistics.
 *
 * It stands in checkpoint pages, and without the place once more in the footer of the table itself,
 * for whoever looks at a device without its checkpoint. docs/formats/table.md has the layout.
 */
import { binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import type { ByteReader, ByteWriter } from '@dozo/base';
import { BLOCK_BYTES, KEY_BYTES_MAX } from '../limits.ts';

/** A part of a table: `offset` counts from the begin of the table. */
export interface BlockPlace {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Where a table lies. */
export interface TablePlace {
  readonly segment: number;
  /** The use of the segment. */
  readonly ordinal: number;
  /** Byte offset in the segment, a multiple of `BLOCK_BYTES`. */
  readonly offset: number;
}

/** What a table is, wherever it lies. */
export interface TableContent {
  /** Unique for ever on this device. */
  readonly number: number;
  /** What its checksums go on from, see `tableSeedOf`. */
  readonly seed: number;
  /** All of it, a multiple of `BLOCK_BYTES`. */
  readonly sizeBytes: number;
  /** The data blocks lie before it, from the begin of the table on. */
  readonly filter: BlockPlace;
  readonly ranges: BlockPlace | undefined;
  readonly index: BlockPlace;
  /** Deletes and pointers included. */
  readonly entryCount: number;
  readonly deleteCount: number;
  readonly pointerCount: number;
  readonly rangeCount: number;
  /** Bytes of keys and inline values, for statistics. */
  readonly dataBytes: number;
  /** The highest LSN of its entries; 0 without entries. */
  readonly lsnMax: number;
  /** Bounds `[smallest, end)` of keys and range deletes, as binary strings. */
  readonly smallest: string;
  readonly end: string;
}

/** A table on the device. */
export interface TableMeta extends TableContent, TablePlace {}

/** Bytes of a bound: a key, and one byte where it is the key just after a longest one. */
export const BOUND_BYTES_MAX = KEY_BYTES_MAX + 1;

/** What of a table's meta its content is, without the bounds: numbers in the order of the format. */
const CONTENT_FIXED_BYTES = 8 + 4 + 4 + 6 * 4 + 4 * 4 + 8 + 8;

/** Bytes of an encoded {@link TableContent} at most. */
export const TABLE_CONTENT_BYTES_MAX = CONTENT_FIXED_BYTES + 2 * (2 + BOUND_BYTES_MAX);

/** Bytes that {@link encodeTableMeta} writes. */
export function tableMetaBytesOf(meta: TableMeta): number {
  return 16 + CONTENT_FIXED_BYTES + 4 + meta.smallest.length + meta.end.length;
}

/** Writes a table's meta: its place and then its content. */
export function encodeTableMeta(writer: ByteWriter, meta: TableMeta): void {
  writer.uint32(meta.segment).uint64(meta.ordinal).uint32(meta.offset);
  encodeTableContent(writer, meta);
}

/** Throws `CodecError`. */
export function decodeTableMeta(reader: ByteReader): TableMeta {
  const segment = reader.uint32();
  const ordinal = reader.uint64();
  const offset = reader.uint32();
  if (offset % BLOCK_BYTES !== 0) throw reader.invalid('a table begins inside a block');
  return { segment, ordinal, offset, ...decodeTableContent(reader) };
}

/** Writes a table's meta without its place. */
export function encodeTableContent(writer: ByteWriter, content: TableContent): void {
  writer.uint64(content.number).uint32(content.seed).uint32(content.sizeBytes);
  for (const place of [content.filter, content.ranges, content.index]) {
    writer.uint32(place?.offset ?? 0).uint32(place?.sizeBytes ?? 0);
  }
  writer.uint32(content.entryCount).uint32(content.deleteCount);
  writer.uint32(content.pointerCount).uint32(content.rangeCount);
  writer.uint64(content.dataBytes).uint64(content.lsnMax);
  for (const bound of [content.smallest, content.end]) {
    writer.uint16(bound.length).bytes(bytesOfBinaryString(bound));
  }
}

/** Throws `CodecError`. */
export function decodeTableContent(reader: ByteReader): TableContent {
  const number = reader.uint64();
  const seed = reader.uint32();
  const sizeBytes = reader.uint32();
  if (sizeBytes === 0 || sizeBytes % BLOCK_BYTES !== 0) {
    throw reader.invalid('the size of a table is not a multiple of a block');
  }
  const filter = decodePlace(reader, 0, sizeBytes);
  const ranges = decodePlace(reader, filter.offset + filter.sizeBytes, sizeBytes);
  const hasRanges = ranges.sizeBytes > 0;
  const before = hasRanges ? ranges : filter;
  const index = decodePlace(reader, before.offset + before.sizeBytes, sizeBytes);
  if (filter.sizeBytes === 0 || index.sizeBytes === 0) throw reader.invalid('a part is missing');
  const content = {
    number,
    seed,
    sizeBytes,
    filter,
    ranges: hasRanges ? ranges : undefined,
    index,
    entryCount: reader.uint32(),
    deleteCount: reader.uint32(),
    pointerCount: reader.uint32(),
    rangeCount: reader.uint32(),
    dataBytes: reader.uint64(),
    lsnMax: reader.uint64(),
    smallest: decodeBound(reader),
    end: decodeBound(reader),
  };
  if (content.smallest >= content.end) throw reader.invalid('the bounds of a table are empty');
  if (content.deleteCount + content.pointerCount > content.entryCount) {
    throw reader.invalid('the counts of a table contradict each other');
  }
  if (hasRanges !== content.rangeCount > 0) throw reader.invalid('ranges are missing');
  return content;
}

/** A part that begins at `offsetMin` or later and ends inside the table; 0 and 0 where there is none. */
function decodePlace(reader: ByteReader, offsetMin: number, offsetEnd: number): BlockPlace {
  const place = { offset: reader.uint32(), sizeBytes: reader.uint32() };
  if (place.offset === 0 && place.sizeBytes === 0) return place;
  if (place.offset < offsetMin || place.offset + place.sizeBytes > offsetEnd) {
    throw reader.invalid('a part of a table is not where it can be');
  }
  return place;
}

function decodeBound(reader: ByteReader): string {
  const sizeBytes = reader.uint16();
  if (sizeBytes > BOUND_BYTES_MAX) throw reader.invalid('a bound is too long');
  return binaryStringOf(reader.view(sizeBytes));
}
