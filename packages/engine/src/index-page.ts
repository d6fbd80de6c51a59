/**
 * An index page: a piece of an index snapshot, as the value of a record.
 *
 * A page holds entries in key order, or rows of the table of segments. Entries:
 *
 *     uint16 key bytes | key | uint32 segment | uint32 offset | uint32 value bytes | uint64 LSN
 *
 * Rows: uint32 segment | uint64 ordinal | uint32 seed | uint32 end. The first byte of a page tells
 * which of the two it holds.
 */
import { ByteReader, ByteWriter, binaryStringOf, readUint16, readUint32 } from '@dozo/base';
import { readUint64, writeBinaryString, writeUint16, writeUint32, writeUint64 } from '@dozo/base';
import { IndexEntry } from './key-index.ts';

const ENTRIES = 1;
const SEGMENTS = 2;

/** Bytes of an entry beside its key. */
const ENTRY_FIXED_BYTES = 22;

/** What must be known of a segment to read records in it. */
export interface SegmentRow {
  readonly segment: number;
  readonly ordinal: number;
  /** The CRC-32C of the nonce of the claim that wrote it. */
  readonly seed: number;
  /** Byte offset in the segment where its last group ends. */
  readonly end: number;
}

/** What a page holds. */
export type IndexPage =
  | { readonly kind: 'entries'; readonly entries: readonly (readonly [string, IndexEntry])[] }
  | { readonly kind: 'segments'; readonly rows: readonly SegmentRow[] };

/** Bytes that an entry with such a key takes of an index snapshot. */
export function indexEntryBytesOf(keyBytes: number): number {
  return ENTRY_FIXED_BYTES + keyBytes;
}

/** Collects entries up to a size. */
export class EntryPageBuilder {
  readonly #bytes: Uint8Array;
  #length = 1;

  constructor(capacityBytes: number) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#bytes[0] = ENTRIES;
  }

  get isEmpty(): boolean {
    return this.#length === 1;
  }

  /** Adds an entry, or returns false when it does not fit any more. */
  add(key: string, entry: IndexEntry): boolean {
    const end = this.#length + indexEntryBytesOf(key.length);
    if (end > this.#bytes.length) return false;
    const at = this.#length;
    writeUint16(this.#bytes, at, key.length);
    writeBinaryString(key, this.#bytes, at + 2);
    const fields = at + 2 + key.length;
    writeUint32(this.#bytes, fields, entry.segment);
    writeUint32(this.#bytes, fields + 4, entry.offset);
    writeUint32(this.#bytes, fields + 8, entry.valueBytes);
    writeUint64(this.#bytes, fields + 12, entry.lsn);
    this.#length = end;
    return true;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Encodes rows of the table of segments. */
export function encodeSegmentRows(rows: readonly SegmentRow[]): Uint8Array {
  const writer = new ByteWriter(1 + 20 * rows.length);
  writer.uint8(SEGMENTS);
  for (const row of rows) {
    writer.uint32(row.segment).uint64(row.ordinal).uint32(row.seed).uint32(row.end);
  }
  return writer.finish();
}

/** Throws `CodecError`. */
export function decodeIndexPage(bytes: Uint8Array): IndexPage {
  const reader = new ByteReader(bytes, 'an index page');
  const kind = reader.uint8();
  if (kind === ENTRIES) return { kind: 'entries', entries: decodeEntries(bytes, reader) };
  if (kind !== SEGMENTS) throw reader.invalid('its kind is unknown');
  const rows: SegmentRow[] = [];
  while (reader.remaining > 0) {
    rows.push({
      segment: reader.uint32(),
      ordinal: reader.uint64(),
      seed: reader.uint32(),
      end: reader.uint32(),
    });
  }
  return { kind: 'segments', rows };
}

function decodeEntries(bytes: Uint8Array, reader: ByteReader): (readonly [string, IndexEntry])[] {
  const entries: (readonly [string, IndexEntry])[] = [];
  let at = 1;
  while (at < bytes.length) {
    const keyBytes = at + 2 <= bytes.length ? readUint16(bytes, at) : 0;
    const fields = at + 2 + keyBytes;
    if (keyBytes === 0 || fields + 20 > bytes.length) throw reader.invalid('an entry is cut off');
    const entry = new IndexEntry(
      readUint32(bytes, fields),
      readUint32(bytes, fields + 4),
      readUint32(bytes, fields + 8),
      readUint64(bytes, fields + 12),
    );
    entries.push([binaryStringOf(bytes, at + 2, fields), entry]);
    at = fields + 20;
  }
  return entries;
}
