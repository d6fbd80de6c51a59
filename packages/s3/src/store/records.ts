/**
 * The small records of the index: directory, shard header, intent, upload, part and garbage.
 *
 * Every record begins with the version of its own format, one byte, and ends where its fields end;
 * what does not fit is damage and throws a `CodecError`. Numbers are little endian. The entry, which
 * every request reads, has a codec of its own. The format page is docs/formats/s3-metadata.md.
 */
import { ByteReader, ByteWriter } from '@dozo/base';
import {
  BLOB_ID_BYTES,
  BUCKET_ID_BYTES,
  BUCKET_NAME_LENGTH_MAX,
  BUCKET_SHARD_COUNT_MAX,
  KEPT_HEADERS_BYTES_MAX,
  OBJECT_KEY_BYTES_MAX,
  UPLOAD_ID_BYTES,
} from '../limits.ts';
import type {
  ChecksumAlgorithm,
  ChecksumType,
  ObjectChecksum,
  ObjectHeaders,
  UploadChecksum,
} from '../protocol/index.ts';
import { keptHeadersBytes, readKeptHeaders, writeKeptHeaders } from './kept-headers.ts';

const FORMAT_VERSION = 1;
/** Bytes of an owner's name, a checksum in text, and an entity tag. */
const TEXT_BYTES_MAX = 255;

/**
 * What is being done with a bucket.
 *
 * - `opening`: headers are being made or opened again; then `open`.
 * - `closing`: headers are being closed, to see whether the bucket is empty.
 * - `removing`: it was empty behind closed headers; they go, then the record.
 */
export type BucketState = 'opening' | 'open' | 'closing' | 'removing';

/** A bucket in the directory. */
export interface BucketRecord {
  readonly state: BucketState;
  /** Grows with every change of state; a header knows the epoch that last wrote it. */
  readonly epoch: number;
  readonly bucketId: Uint8Array;
  readonly createdMs: number;
  readonly shardCount: number;
  readonly owner: string;
}

/** The header of one shard. Its version is a precondition of every change in the shard. */
export interface ShardHeader {
  readonly state: 'open' | 'closed';
  readonly epoch: number;
  /** Where to ask whether the bucket still exists. */
  readonly bucketName: string;
}

/** A body that is being written, or was when its writer died. */
export interface IntentRecord {
  /** `collecting`: no commit can succeed any more, its chunks are being deleted. */
  readonly state: 'open' | 'collecting';
  /** Wall time of the last renewal, or of the mark. */
  readonly atMs: number;
  /** For people. */
  readonly objectKey: string;
}

/** A streamed body: its chunks are `[0, ceil(sizeBytes / chunkBytes))` of `blobId`. */
export interface BlobRef {
  readonly blobId: Uint8Array;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
}

/** The algorithms in the order of their numbers in records, from 1; 0 is none. */
const ALGORITHMS = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'SHA1',
  'SHA256',
] as const satisfies readonly ChecksumAlgorithm[];

/** A multipart upload. */
export interface UploadRecord {
  readonly initiatedMs: number;
  /**
   * A complete is looking at the parts: a part that is stored meanwhile takes the mark away, and so
   * makes the complete look again.
   */
  readonly armed: boolean;
  readonly headers: ObjectHeaders;
  /** What the parts' checksums are, and how that of the object is made of them. */
  readonly checksum: UploadChecksum | undefined;
}

/** A part of a multipart upload. */
export interface PartRecord {
  readonly lastModifiedMs: number;
  readonly blob: BlobRef;
  /** Hexadecimal MD5. */
  readonly etag: string;
  readonly checksum: ObjectChecksum | undefined;
}

/** What the collector has to do once it is due. */
export type GarbageRecord =
  | { readonly kind: 'blobs'; readonly blobs: readonly BlobRef[] }
  | {
      /** The upload has ended: its part records go, and the chunks of parts that nobody used. */
      readonly kind: 'upload';
      readonly uploadId: Uint8Array;
      /** Bit `partNumber & 7` of byte `partNumber >> 3`: the object uses the part's chunks. */
      readonly usedParts: Uint8Array;
    };

const BUCKET_STATES = ['opening', 'open', 'closing', 'removing'] as const;
const HEADER_STATES = ['open', 'closed'] as const;
const INTENT_STATES = ['open', 'collecting'] as const;
const CHECKSUM_TYPES = ['FULL_OBJECT', 'COMPOSITE'] as const;

/** The number of an algorithm in records, 1 or more. */
export function numberOfAlgorithm(algorithm: ChecksumAlgorithm): number {
  return ALGORITHMS.indexOf(algorithm) + 1;
}

/** The counterpart of {@link numberOfAlgorithm}. */
export function algorithmOf(number: number): ChecksumAlgorithm | undefined {
  return ALGORITHMS[number - 1];
}

/** The number of a checksum's type in records. */
export function numberOfChecksumType(type: ChecksumType): number {
  return CHECKSUM_TYPES.indexOf(type);
}

/** The counterpart of {@link numberOfChecksumType}. */
export function checksumTypeOf(number: number): ChecksumType | undefined {
  return CHECKSUM_TYPES[number];
}

export function encodeBucket(record: BucketRecord): Uint8Array {
  return begin()
    .uint8(BUCKET_STATES.indexOf(record.state))
    .uint64(record.epoch)
    .bytes(record.bucketId)
    .uint64(record.createdMs)
    .uint16(record.shardCount)
    .text(record.owner)
    .finish();
}

export function decodeBucket(value: Uint8Array): BucketRecord {
  const reader = open(value, 'bucket record');
  const record = {
    state: pick(reader, BUCKET_STATES),
    epoch: reader.uint64(),
    bucketId: reader.bytes(BUCKET_ID_BYTES),
    createdMs: reader.uint64(),
    shardCount: reader.uint16(),
    owner: reader.text(TEXT_BYTES_MAX),
  };
  if (record.shardCount < 1 || record.shardCount > BUCKET_SHARD_COUNT_MAX) {
    throw reader.invalid('the number of shards is out of range');
  }
  reader.expectEnd();
  return record;
}

export function encodeHeader(header: ShardHeader): Uint8Array {
  return begin()
    .uint8(HEADER_STATES.indexOf(header.state))
    .uint64(header.epoch)
    .text(header.bucketName)
    .finish();
}

export function decodeHeader(value: Uint8Array): ShardHeader {
  const reader = open(value, 'shard header');
  const header = {
    state: pick(reader, HEADER_STATES),
    epoch: reader.uint64(),
    bucketName: reader.text(BUCKET_NAME_LENGTH_MAX),
  };
  reader.expectEnd();
  return header;
}

export function encodeIntent(intent: IntentRecord): Uint8Array {
  return begin()
    .uint8(INTENT_STATES.indexOf(intent.state))
    .uint64(intent.atMs)
    .text(intent.objectKey)
    .finish();
}

export function decodeIntent(value: Uint8Array): IntentRecord {
  const reader = open(value, 'intent');
  const intent = {
    state: pick(reader, INTENT_STATES),
    atMs: reader.uint64(),
    objectKey: reader.text(OBJECT_KEY_BYTES_MAX),
  };
  reader.expectEnd();
  return intent;
}

export function encodeUpload(upload: UploadRecord): Uint8Array {
  const { checksum } = upload;
  const headers = Buffer.alloc(keptHeadersBytes(upload.headers));
  writeKeptHeaders(headers, upload.headers, 0);
  const writer = begin()
    .uint64(upload.initiatedMs)
    .boolean(upload.armed)
    .uint8(checksum === undefined ? 0 : ALGORITHMS.indexOf(checksum.algorithm) + 1)
    .uint8(checksum === undefined ? 0 : CHECKSUM_TYPES.indexOf(checksum.type))
    .sizedBytes(headers);
  return writer.finish();
}

export function decodeUpload(value: Uint8Array): UploadRecord {
  const reader = open(value, 'upload record');
  const initiatedMs = reader.uint64();
  const armed = reader.boolean();
  const algorithm = pickAlgorithm(reader);
  const type = pick(reader, CHECKSUM_TYPES);
  const { headers } = readKeptHeaders(Buffer.from(reader.sizedBytes(KEPT_HEADERS_BYTES_MAX)), 0);
  reader.expectEnd();
  const checksum = algorithm === undefined ? undefined : { algorithm, type };
  return { initiatedMs, armed, headers, checksum };
}

export function encodePart(part: PartRecord): Uint8Array {
  const writer = begin().uint64(part.lastModifiedMs).text(part.etag);
  writeBlob(writer, part.blob);
  writeChecksum(writer, part.checksum);
  return writer.finish();
}

export function decodePart(value: Uint8Array): PartRecord {
  const reader = open(value, 'part record');
  const lastModifiedMs = reader.uint64();
  const etag = reader.text(TEXT_BYTES_MAX);
  const blob = readBlob(reader);
  const checksum = readChecksum(reader);
  reader.expectEnd();
  return { lastModifiedMs, etag, blob, checksum };
}

export function encodeGarbage(garbage: GarbageRecord): Uint8Array {
  const writer = begin();
  if (garbage.kind === 'upload') {
    return writer.uint8(1).bytes(garbage.uploadId).sizedBytes(garbage.usedParts).finish();
  }
  writer.uint8(0).uint32(garbage.blobs.length);
  for (const blob of garbage.blobs) writeBlob(writer, blob);
  return writer.finish();
}

export function decodeGarbage(value: Uint8Array): GarbageRecord {
  const reader = open(value, 'garbage record');
  const kind = pick(reader, ['blobs', 'upload'] as const);
  let garbage: GarbageRecord;
  if (kind === 'upload') {
    const uploadId = reader.bytes(UPLOAD_ID_BYTES);
    garbage = { kind, uploadId, usedParts: reader.sizedBytes(8192) };
  } else {
    const blobs: BlobRef[] = [];
    for (let count = reader.uint32(); count > 0; count -= 1) blobs.push(readBlob(reader));
    garbage = { kind, blobs };
  }
  reader.expectEnd();
  return garbage;
}

function writeBlob(writer: ByteWriter, blob: BlobRef): void {
  writer.bytes(blob.blobId).uint64(blob.sizeBytes).uint32(blob.chunkBytes);
}

function readBlob(reader: ByteReader): BlobRef {
  const blob = {
    blobId: reader.bytes(BLOB_ID_BYTES),
    sizeBytes: reader.uint64(),
    chunkBytes: reader.uint32(),
  };
  if (blob.chunkBytes === 0) throw reader.invalid('a chunk has no bytes');
  return blob;
}

function writeChecksum(writer: ByteWriter, checksum: ObjectChecksum | undefined): void {
  if (checksum === undefined) writer.uint8(0);
  else {
    writer
      .uint8(ALGORITHMS.indexOf(checksum.algorithm) + 1)
      .uint8(CHECKSUM_TYPES.indexOf(checksum.type))
      .text(checksum.value);
  }
}

function readChecksum(reader: ByteReader): ObjectChecksum | undefined {
  const algorithm = pickAlgorithm(reader);
  if (algorithm === undefined) return undefined;
  return { algorithm, type: pick(reader, CHECKSUM_TYPES), value: reader.text(TEXT_BYTES_MAX) };
}

/** How many chunks a blob has. */
export function chunkCountOf(blob: BlobRef): number {
  return Math.ceil(blob.sizeBytes / blob.chunkBytes);
}

function begin(): ByteWriter {
  return new ByteWriter(128).uint8(FORMAT_VERSION);
}

function open(value: Uint8Array, what: string): ByteReader {
  const reader = new ByteReader(value, what);
  const version = reader.uint8();
  if (version !== FORMAT_VERSION) {
    throw reader.invalid(`its format is version ${version}, this software reads ${FORMAT_VERSION}`);
  }
  return reader;
}

function pick<Name>(reader: ByteReader, names: readonly Name[]): Name {
  const name = names[reader.uint8()];
  if (name === undefined) throw reader.invalid('a number stands for nothing that is known');
  return name;
}

function pickAlgorithm(reader: ByteReader): ChecksumAlgorithm | undefined {
  const number = reader.uint8();
  if (number === 0) return undefined;
  const algorithm = ALGORITHMS[number - 1];
  if (algorithm === undefined) throw reader.invalid('a checksum algorithm is not known');
  return algorithm;
}
