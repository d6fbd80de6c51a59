/**
 * What must be true of the two pools once everything has come to rest.
 *
 * - Every bucket is open, and its shards have open headers of its own, and no others.
 * - Every chunk that an entry or a part of a running upload names is there, and is as long as it must
 *   be; the bytes have the MD5 that the entry says (plain entity tags only).
 * - Every chunk is named by exactly one of them.
 * - No intent and no garbage is left, no part without its upload.
 *
 * Not checked: which of two concurrent writes won, which is the tests' own business; the order of
 * listings.
 */
import { createHash } from 'node:crypto';
import { hexOfBytes } from '@dozo/base';
import type { Shard, TransactionStore } from '@dozo/replica';
import { decodeChunks, decodeEntry } from '../src/store/entry-record.ts';
import {
  bucketIdOfShard,
  CHUNK_KEY,
  chunkNameOf,
  chunkRoutingKey,
  chunksKeyOf,
  directoryShard,
  entryKey,
  HEADER_KEY,
  KeyKind,
  objectKeyOf,
  partNameOf,
  uploadNameOf,
} from '../src/store/keys.ts';
import { chunkCountOf, decodeBucket, decodeHeader, decodePart } from '../src/store/records.ts';
import type { BlobRef } from '../src/store/records.ts';
import { POOLS } from './gateway-harness.ts';

/** Everything that is wrong, in words; empty if nothing is. */
export async function checkStore(store: TransactionStore): Promise<string[]> {
  const checker = new Checker(store);
  await checker.run();
  return checker.problems;
}

class Checker {
  readonly problems: string[] = [];
  readonly #store: TransactionStore;
  /** Bucket ids of the directory, and how many headers of each were seen. */
  readonly #headers = new Map<string, number>();
  readonly #named = new Set<string>();

  constructor(store: TransactionStore) {
    this.#store = store;
  }

  async run(): Promise<void> {
    const shardCounts = new Map<string, number>();
    for await (const item of this.#store.scan(directoryShard(POOLS.index), {})) {
      const record = decodeBucket(item.value);
      const id = hexOfBytes(record.bucketId);
      if (record.state !== 'open') this.problems.push(`bucket ${id} is ${record.state}`);
      shardCounts.set(id, record.shardCount);
    }
    for await (const routingKey of this.#store.routingKeys(POOLS.index)) {
      const bucketId = bucketIdOfShard(routingKey);
      if (bucketId === undefined) continue;
      const id = hexOfBytes(bucketId);
      if (!shardCounts.has(id)) this.problems.push(`a shard of bucket ${id}, which is gone`);
      await this.#checkShard({ pool: POOLS.index, routingKey }, id);
    }
    for (const [id, count] of shardCounts) {
      const found = this.#headers.get(id) ?? 0;
      if (found !== count) this.problems.push(`bucket ${id} has ${String(found)} open headers`);
    }
    for await (const routingKey of this.#store.routingKeys(POOLS.data)) {
      if (chunkNameOf(routingKey) === undefined) this.problems.push('a strange key among chunks');
      if (!this.#named.has(hexOfBytes(routingKey))) {
        this.problems.push(`chunk ${hexOfBytes(routingKey)} is named by nobody`);
      }
    }
  }

  async #checkShard(shard: Shard, bucketId: string): Promise<void> {
    const uploads = new Set<string>();
    const parts: { readonly uploadId: string; readonly blob: BlobRef }[] = [];
    for await (const item of this.#store.scan(shard, {})) {
      switch (item.key[0]) {
        case KeyKind.header:
          if (Buffer.compare(item.key, HEADER_KEY) === 0) this.#checkHeader(item.value, bucketId);
          break;
        case KeyKind.entry:
          await this.#checkEntry(shard, item.key, item.value);
          break;
        case KeyKind.upload:
          uploads.add(hexOfBytes(uploadNameOf(item.key).uploadId));
          break;
        case KeyKind.part: {
          const uploadId = hexOfBytes(partNameOf(item.key).uploadId);
          parts.push({ uploadId, blob: decodePart(item.value).blob });
          break;
        }
        case KeyKind.chunks: {
          const entry = await this.#store.stat(shard, entryKey(objectKeyOf(item.key)));
          if (entry?.version !== item.version) this.problems.push('chunks without their entry');
          break;
        }
        case KeyKind.intent:
          this.problems.push('an intent is left');
          break;
        case KeyKind.garbage:
          this.problems.push('garbage is left');
          break;
        default:
          this.problems.push(`a key of kind ${String(item.key[0])}`);
      }
    }
    for (const { uploadId, blob } of parts) {
      if (!uploads.has(uploadId)) this.problems.push('a part without its upload');
      await this.#readBlob(shard, blob, `part of ${uploadId}`);
    }
  }

  #checkHeader(value: Uint8Array, bucketId: string): void {
    if (decodeHeader(value).state !== 'open') this.problems.push(`a closed header of ${bucketId}`);
    else this.#headers.set(bucketId, (this.#headers.get(bucketId) ?? 0) + 1);
  }

  async #checkEntry(shard: Shard, key: Uint8Array, value: Uint8Array): Promise<void> {
    const entry = decodeEntry(value);
    const name = objectKeyOf(key);
    const pieces: Uint8Array[] = [];
    const chunks = await this.#store.get(shard, chunksKeyOf(key));
    if ((chunks !== undefined) !== entry.chunked)
      this.problems.push(`${name} has no chunks, or some`);
    const parts = chunks === undefined ? [] : decodeChunks(chunks.value);
    for (const part of parts) pieces.push(await this.#readBlob(shard, part.blob, name));
    const body = entry.data ?? Buffer.concat(pieces);
    if (body.length !== entry.sizeBytes) this.problems.push(`${name} is too short`);
    const md5 = createHash('md5').update(body).digest('hex');
    if (entry.etag.length === 32 && md5 !== entry.etag)
      this.problems.push(`${name} has other bytes`);
  }

  async #readBlob(shard: Shard, blob: BlobRef, owner: string): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for (let number = 0; number < chunkCountOf(blob); number += 1) {
      const routingKey = chunkRoutingKey(shard.routingKey, blob.blobId, number);
      const name = hexOfBytes(routingKey);
      if (this.#named.has(name)) this.problems.push(`chunk ${name} is named twice`);
      this.#named.add(name);
      const item = await this.#store.get({ pool: POOLS.data, routingKey }, CHUNK_KEY);
      if (item === undefined) this.problems.push(`${owner} lacks chunk ${String(number)}`);
      else pieces.push(item.value);
    }
    return Buffer.concat(pieces);
  }
}
