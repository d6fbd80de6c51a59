/**
 * The entry of an object: everything that is known of a key, and a small body.
 *
 *     0       1       2              8            14          30             32
 *     | 01    | kind  | modified u48 | size u48   | MD5       | parts u16    | ...
 *     ... checksum | headers | kind 0: body
 *
 * The first 32 bytes are the *head*: all that a conditional write and a listing have to know, read
 * without the rest. `kind` is 0 for a body inside the entry and 1 for one in chunks. `parts` is the
 * number behind the dash of a multipart entity tag, else 0. Numbers are little endian.
 *
 * Where the chunks are stands in a record of its own beside the entry, put and deleted with it in one
 * transaction. That such a record is absent is what a small PUT has to know of what it replaces, and
 * it can say so as a precondition without reading anything; and neither a listing nor the sweep has
 * to read what it does not need.
 *
 *     | 01 | parts u16 | for each: number u16 | blob id 16 | size u48 | chunk bytes u32 | checksum |
 *
 * Every PUT writes an entry and every GET reads one, so the codec works on a Buffer directly; what
 * does not fit throws a `CodecError` all the same. The format page is docs/formats/s3-metadata.md.
 */
import { assert, CodecError } from '@dozo/base';
import { BLOB_ID_BYTES, KEPT_HEADERS_BYTES_MAX } from '../limits.ts';
import type { ObjectChecksum, ObjectHeaders } from '../protocol/index.ts';
import { keptHeadersBytes, readKeptHeaders, writeKeptHeaders } from './kept-headers.ts';
import type { BlobRef } from './records.ts';
import { algorithmOf, checksumTypeOf, numberOfAlgorithm, numberOfChecksumType } from './records.ts';

/** Bytes of the head. */
export const ENTRY_HEAD_BYTES = 32;

const FORMAT_VERSION = 1;
const KIND_INLINE = 0;
const KIND_CHUNKED = 1;
const PART_BYTES = 2 + BLOB_ID_BYTES + 6 + 4;

/** What the head says. */
export interface EntryHead {
  readonly chunked: boolean;
  readonly lastModifiedMs: number;
  readonly sizeBytes: number;
  /** Hexadecimal MD5, and for a multipart object `-` and the number of parts; without quotes. */
  readonly etag: string;
}

/** A piece of an object's body, in the order of the body. */
export interface ObjectPart {
  /** `[1, 10000]` in a multipart object, 0 for a body that was sent in one piece. */
  readonly partNumber: number;
  readonly blob: BlobRef;
  readonly checksum: ObjectChecksum | undefined;
}

/** What describes an object besides where its bytes are. */
export interface ObjectDescription {
  readonly lastModifiedMs: number;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly checksum: ObjectChecksum | undefined;
  readonly headers: ObjectHeaders;
}

/** A decoded entry. */
export interface ObjectEntry extends EntryHead, ObjectDescription {
  /** The body, a view of the record, unless it is in chunks. */
  readonly data: Buffer | undefined;
}

/** Encodes an entry with its body inside; the pieces make up the body, in order. */
export function encodeInlineEntry(object: ObjectDescription, body: readonly Uint8Array[]): Buffer {
  const record = Buffer.allocUnsafe(descriptionBytes(object) + object.sizeBytes);
  let offset = writeDescription(record, object, KIND_INLINE);
  for (const piece of body) {
    record.set(piece, offset);
    offset += piece.length;
  }
  assert(offset === record.length, 'the pieces are the whole body');
  return record;
}

/** Encodes an entry whose body is in chunks; to be put with {@link encodeChunks} beside it. */
export function encodeChunkedEntry(object: ObjectDescription): Buffer {
  const record = Buffer.allocUnsafe(descriptionBytes(object));
  const end = writeDescription(record, object, KIND_CHUNKED);
  assert(end === record.length, 'the size was computed right');
  return record;
}

/** Encodes where the chunks of an object are. */
export function encodeChunks(parts: readonly ObjectPart[]): Buffer {
  let sizeBytes = 3;
  for (const part of parts) sizeBytes += PART_BYTES + checksumBytes(part.checksum);
  const record = Buffer.allocUnsafe(sizeBytes);
  let offset = record.writeUInt8(FORMAT_VERSION, 0);
  offset = record.writeUInt16LE(parts.length, offset);
  for (const { partNumber, blob, checksum } of parts) {
    offset = record.writeUInt16LE(partNumber, offset);
    record.set(blob.blobId, offset);
    offset = record.writeUIntLE(blob.sizeBytes, offset + BLOB_ID_BYTES, 6);
    offset = record.writeUInt32LE(blob.chunkBytes, offset);
    offset = writeChecksum(record, checksum, offset);
  }
  assert(offset === sizeBytes, 'the size was computed right');
  return record;
}

/** The counterpart of {@link encodeChunks}. */
export function decodeChunks(value: Uint8Array): ObjectPart[] {
  const record = bufferOf(value);
  checkVersion(record);
  const cursor = new Cursor(record, 1);
  const parts: ObjectPart[] = [];
  for (let count = cursor.uint(2); count > 0; count -= 1) parts.push(cursor.part());
  cursor.expectEnd();
  return parts;
}

/** Decodes the head; `value` may end behind it. */
export function decodeHead(value: Uint8Array): EntryHead {
  const record = bufferOf(value);
  if (record.length < ENTRY_HEAD_BYTES) throw damaged('CODEC_TOO_SHORT', 0, 'the head is cut off');
  checkVersion(record);
  const kind = record[1];
  if (kind !== KIND_INLINE && kind !== KIND_CHUNKED) {
    throw damaged('CODEC_INVALID', 1, 'its kind is not known');
  }
  const partCount = record.readUInt16LE(30);
  const md5 = record.toString('hex', 14, 30);
  return {
    chunked: kind === KIND_CHUNKED,
    lastModifiedMs: record.readUIntLE(2, 6),
    sizeBytes: record.readUIntLE(8, 6),
    etag: partCount === 0 ? md5 : `${md5}-${partCount}`,
  };
}

/** Decodes a whole entry. */
export function decodeEntry(value: Uint8Array): ObjectEntry {
  const head = decodeHead(value);
  const cursor = new Cursor(bufferOf(value), ENTRY_HEAD_BYTES);
  const checksum = cursor.checksum();
  const headers = cursor.headers();
  const { chunked, lastModifiedMs, sizeBytes, etag } = head;
  const description = { chunked, lastModifiedMs, sizeBytes, etag, checksum, headers };
  if (chunked) {
    cursor.expectEnd();
    return { ...description, data: undefined };
  }
  const data = cursor.rest();
  if (data.length !== sizeBytes) {
    throw damaged('CODEC_INVALID', 8, 'its size is not that of the body inside');
  }
  return { ...description, data };
}

/** The checksum of an entry of which at least the head and the checksum are in `value`. */
export function decodeEntryChecksum(value: Uint8Array): ObjectChecksum | undefined {
  return new Cursor(bufferOf(value), ENTRY_HEAD_BYTES).checksum();
}

function checkVersion(record: Buffer): void {
  if (record[0] === FORMAT_VERSION) return;
  const found = String(record[0]);
  throw damaged('CODEC_INVALID', 0, `its format is version ${found}, this software reads 1`);
}

function descriptionBytes(object: ObjectDescription): number {
  const headersBytes = keptHeadersBytes(object.headers);
  assert(headersBytes <= KEPT_HEADERS_BYTES_MAX, 'headers are bounded before they come here');
  return ENTRY_HEAD_BYTES + checksumBytes(object.checksum) + headersBytes;
}

function checksumBytes(checksum: ObjectChecksum | undefined): number {
  return checksum === undefined ? 1 : 3 + checksum.value.length;
}

function writeDescription(record: Buffer, object: ObjectDescription, kind: number): number {
  const { etag } = object;
  record[0] = FORMAT_VERSION;
  record[1] = kind;
  record.writeUIntLE(object.lastModifiedMs, 2, 6);
  record.writeUIntLE(object.sizeBytes, 8, 6);
  assert(record.write(etag.slice(0, 32), 14, 'hex') === 16, 'an entity tag begins with an MD5');
  record.writeUInt16LE(etag.length > 33 ? Number(etag.slice(33)) : 0, 30);
  const offset = writeChecksum(record, object.checksum, ENTRY_HEAD_BYTES);
  return writeKeptHeaders(record, object.headers, offset);
}

function writeChecksum(record: Buffer, checksum: ObjectChecksum | undefined, at: number): number {
  if (checksum === undefined) return record.writeUInt8(0, at);
  let offset = record.writeUInt8(numberOfAlgorithm(checksum.algorithm), at);
  offset = record.writeUInt8(numberOfChecksumType(checksum.type), offset);
  offset = record.writeUInt8(checksum.value.length, offset);
  return offset + record.write(checksum.value, offset, 'latin1');
}

function bufferOf(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value)
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function damaged(
  code: 'CODEC_TOO_SHORT' | 'CODEC_INVALID',
  offset: number,
  reason: string,
): CodecError {
  return new CodecError(`Reading an object's entry at offset ${offset}: ${reason}.`, {
    code,
    what: 'entry',
    offset,
  });
}

/** Reads the fields behind the head, and never past the end. */
class Cursor {
  readonly #record: Buffer;
  #offset: number;

  constructor(record: Buffer, offset: number) {
    this.#record = record;
    this.#offset = offset;
  }

  uint(sizeBytes: number): number {
    const offset = this.#take(sizeBytes);
    return this.#record.readUIntLE(offset, sizeBytes);
  }

  text(sizeBytes: number): string {
    const offset = this.#take(sizeBytes);
    return this.#record.toString('latin1', offset, offset + sizeBytes);
  }

  headers(): ObjectHeaders {
    const { headers, end } = readKeptHeaders(this.#record, this.#offset);
    this.#offset = end;
    return headers;
  }

  checksum(): ObjectChecksum | undefined {
    const number = this.uint(1);
    if (number === 0) return undefined;
    const algorithm = algorithmOf(number);
    const type = checksumTypeOf(this.uint(1));
    if (algorithm === undefined || type === undefined) {
      throw damaged('CODEC_INVALID', this.#offset, 'its checksum is of an unknown kind');
    }
    return { algorithm, type, value: this.text(this.uint(1)) };
  }

  part(): ObjectPart {
    const partNumber = this.uint(2);
    const idOffset = this.#take(BLOB_ID_BYTES);
    const blobId = Buffer.from(this.#record.subarray(idOffset, idOffset + BLOB_ID_BYTES));
    const blob = { blobId, sizeBytes: this.uint(6), chunkBytes: this.uint(4) };
    if (blob.chunkBytes === 0) throw damaged('CODEC_INVALID', this.#offset, 'a chunk is empty');
    const checksum = this.checksum();
    return { partNumber, blob, checksum };
  }

  rest(): Buffer {
    return this.#record.subarray(this.#offset);
  }

  expectEnd(): void {
    if (this.#offset !== this.#record.length) {
      throw damaged('CODEC_INVALID', this.#offset, 'bytes are left over');
    }
  }

  #take(sizeBytes: number): number {
    const offset = this.#offset;
    if (offset + sizeBytes > this.#record.length) {
      throw damaged('CODEC_TOO_SHORT', offset, `${sizeBytes} bytes are needed here`);
    }
    this.#offset = offset + sizeBytes;
    return offset;
  }
}
