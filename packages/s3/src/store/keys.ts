/**
 * Names in the two pools: how buckets, entries, uploads and chunks are laid out as keys.
 *
 *     index pool, routing key `buckets`            the bucket directory
 *       bucket name                             -> directory record
 *     index pool, routing key bucketId shard       one shard of one bucket (8 + 2 bytes)
 *       00                                      -> shard header
 *       01 object key                           -> entry
 *       02 blobId                               -> intent
 *       03 shifted(object key) 00 uploadId      -> multipart upload
 *       04 uploadId partNumber                  -> part
 *       05 dueMs nonce                          -> garbage
 *       06 object key                           -> where the entry's chunks are, if it has any
 *     data pool, routing key bucketId shard blobId number    one chunk (8 + 2 + 16 + 4 bytes)
 *       00                                      -> bytes
 *
 * Numbers in keys are big endian, so that byte order is their order. An object key is UTF-8, whose
 * bytes never exceed F4; *shifted* adds one to each, which leaves 00 free as an end mark that sorts
 * below every longer key, so that uploads stand in the order of (key, upload id). A chunk's name
 * begins with the shard that its blob belongs to: whoever asks whether anybody names it has to look
 * into one shard only.
 *
 * The format page is docs/formats/s3-metadata.md.
 */
import { assert } from '@dozo/base';
import type { PoolId, Shard } from '@dozo/replica';
import {
  BLOB_ID_BYTES,
  BUCKET_ID_BYTES,
  GARBAGE_NONCE_BYTES,
  OBJECT_KEY_BYTES_MAX,
  UPLOAD_ID_BYTES,
} from '../limits.ts';

/** First byte of every key in a shard. */
export const KeyKind = {
  header: 0,
  entry: 1,
  intent: 2,
  upload: 3,
  part: 4,
  garbage: 5,
  chunks: 6,
} as const;

/** Past every key that begins with a prefix: no byte of ours at that place is FF. */
const ABOVE = 0xff;

/** Bytes of a shard's routing key. */
const SHARD_ROUTING_KEY_BYTES = BUCKET_ID_BYTES + 2;

/** Bytes of a chunk's routing key. */
const CHUNK_ROUTING_KEY_BYTES = SHARD_ROUTING_KEY_BYTES + BLOB_ID_BYTES + 4;

/** Where the bucket directory lives. */
export function directoryShard(pool: PoolId): Shard {
  return { pool, routingKey: Buffer.from('buckets', 'latin1') };
}

/** The directory's key of a bucket; its name is ASCII, checked by the protocol. */
export function directoryKey(bucketName: string): Buffer {
  return Buffer.from(bucketName, 'latin1');
}

/** Routing key of one shard of a bucket. */
export function shardRoutingKey(bucketId: Uint8Array, shardNumber: number): Buffer {
  const key = Buffer.allocUnsafe(SHARD_ROUTING_KEY_BYTES);
  key.set(bucketId, 0);
  key.writeUInt16BE(shardNumber, BUCKET_ID_BYTES);
  return key;
}

/** The bucket id in a shard's routing key; undefined for a routing key of another kind. */
export function bucketIdOfShard(routingKey: Uint8Array): Uint8Array | undefined {
  if (routingKey.length !== SHARD_ROUTING_KEY_BYTES) return undefined;
  return routingKey.subarray(0, BUCKET_ID_BYTES);
}

/** Key of the header in every shard. */
export const HEADER_KEY: Uint8Array = Buffer.of(KeyKind.header);

/** Key of the one value that a chunk's routing key holds. */
export const CHUNK_KEY: Uint8Array = Buffer.of(0);

/** Key of an object's entry: the kind, then the object key as UTF-8. */
export function entryKey(objectKey: string): Buffer {
  const length = Buffer.byteLength(objectKey);
  assert(length <= OBJECT_KEY_BYTES_MAX, 'object keys are checked before they come here');
  const key = Buffer.allocUnsafe(1 + length);
  key[0] = KeyKind.entry;
  key.write(objectKey, 1, 'utf8');
  return key;
}

/** Key of the record that says where an object's chunks are; beside the entry with this key. */
export function chunksKeyOf(key: Uint8Array): Buffer {
  const other = Buffer.from(key);
  other[0] = KeyKind.chunks;
  return other;
}

/** The object key that an entry's key names, or the key of its chunks. */
export function objectKeyOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + 1, key.length - 1).toString('utf8');
}

/**
 * The shard of an object key: FNV-1a over its bytes, finished as MurmurHash3 does, modulo the
 * number of shards. Part of the format: it decides where a key is looked for.
 *
 * @param key an entry's key, with the kind in front.
 */
export function shardNumberOf(key: Uint8Array, shardCount: number): number {
  let hash = 0x811c9dc5;
  for (let index = 1; index < key.length; index += 1) {
    hash = Math.imul(hash ^ (key[index] as number), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % shardCount;
}

/** Key of a blob's intent. */
export function intentKey(blobId: Uint8Array): Buffer {
  return withKind(KeyKind.intent, blobId);
}

/** Blob id in an intent's key. */
export function blobIdOfIntent(key: Uint8Array): Buffer {
  return Buffer.from(key.subarray(1));
}

/** Key of a multipart upload of an object key. */
export function uploadKey(objectKey: string, uploadId: Uint8Array): Buffer {
  return Buffer.concat([uploadKeyPrefix(objectKey), Buffer.of(0), uploadId]);
}

/** The beginning of the keys of all uploads whose object key begins with `prefix`. */
export function uploadKeyPrefix(prefix: string): Buffer {
  const key = entryKey(prefix);
  key[0] = KeyKind.upload;
  for (let index = 1; index < key.length; index += 1) key[index] = (key[index] as number) + 1;
  return key;
}

/** What an upload's key says. */
export function uploadNameOf(key: Uint8Array): { objectKey: string; uploadId: Buffer } {
  const end = key.length - UPLOAD_ID_BYTES;
  const shifted = Buffer.from(key.subarray(1, end - 1));
  for (let index = 0; index < shifted.length; index += 1) {
    shifted[index] = (shifted[index] as number) - 1;
  }
  return { objectKey: shifted.toString('utf8'), uploadId: Buffer.from(key.subarray(end)) };
}

/** Key of a part of an upload; part numbers begin with 1. */
export function partKey(uploadId: Uint8Array, partNumber: number): Buffer {
  const key = Buffer.allocUnsafe(1 + UPLOAD_ID_BYTES + 2);
  key[0] = KeyKind.part;
  key.set(uploadId, 1);
  key.writeUInt16BE(partNumber, 1 + UPLOAD_ID_BYTES);
  return key;
}

/** What a part's key says. */
export function partNameOf(key: Uint8Array): { uploadId: Buffer; partNumber: number } {
  const bytes = Buffer.from(key);
  return {
    uploadId: bytes.subarray(1, 1 + UPLOAD_ID_BYTES),
    partNumber: bytes.readUInt16BE(1 + UPLOAD_ID_BYTES),
  };
}

/** Key of a garbage record: `dueMs` first, so that what is due stands in front. */
export function garbageKey(dueMs: number, nonce: Uint8Array): Buffer {
  assert(nonce.length === GARBAGE_NONCE_BYTES, 'a nonce has its length');
  const key = Buffer.allocUnsafe(1 + 6 + GARBAGE_NONCE_BYTES);
  key[0] = KeyKind.garbage;
  key.writeUIntBE(dueMs, 1, 6);
  key.set(nonce, 7);
  return key;
}

/** When the garbage record with this key is due, in ms of wall time. */
export function dueMsOf(key: Uint8Array): number {
  return Buffer.from(key).readUIntBE(1, 6);
}

/** Routing key of chunk `number` of a blob. */
export function chunkRoutingKey(shard: Uint8Array, blobId: Uint8Array, number: number): Buffer {
  const key = Buffer.allocUnsafe(CHUNK_ROUTING_KEY_BYTES);
  key.set(shard, 0);
  key.set(blobId, SHARD_ROUTING_KEY_BYTES);
  key.writeUInt32BE(number, SHARD_ROUTING_KEY_BYTES + BLOB_ID_BYTES);
  return key;
}

/** What a chunk's routing key says. */
export interface ChunkName {
  /** Routing key of the shard that the blob belongs to. */
  readonly shardRoutingKey: Buffer;
  readonly blobId: Buffer;
  readonly number: number;
}

/** Reads a chunk's routing key; undefined for a routing key of another kind. */
export function chunkNameOf(routingKey: Uint8Array): ChunkName | undefined {
  if (routingKey.length !== CHUNK_ROUTING_KEY_BYTES) return undefined;
  const bytes = Buffer.from(routingKey);
  const idEnd = SHARD_ROUTING_KEY_BYTES + BLOB_ID_BYTES;
  return {
    shardRoutingKey: bytes.subarray(0, SHARD_ROUTING_KEY_BYTES),
    blobId: bytes.subarray(SHARD_ROUTING_KEY_BYTES, idEnd),
    number: bytes.readUInt32BE(idEnd),
  };
}

/** The range of all keys of one kind, or of those of that kind that begin with `prefix`. */
export function kindRange(kind: number, prefix?: Uint8Array): { from: Buffer; to: Buffer } {
  const from = withKind(kind, prefix ?? EMPTY);
  return prefix === undefined
    ? { from, to: Buffer.of(kind + 1) }
    : { from, to: Buffer.concat([from, Buffer.of(ABOVE)]) };
}

/** A key above every key that begins with `prefix`, for prefixes of our own keys. */
export function above(prefix: Uint8Array): Buffer {
  return Buffer.concat([prefix, Buffer.of(ABOVE)]);
}

/** The first key after `key`. */
export function after(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}

const EMPTY = Buffer.alloc(0);

function withKind(kind: number, rest: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(1 + rest.length);
  key[0] = kind;
  key.set(rest, 1);
  return key;
}
