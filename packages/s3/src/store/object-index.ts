/**
 * Objects: find one, replace one, delete one.
 *
 * Every change of a key is one transaction on the key's shard that depends on the shard's header (the
 * bucket is open) and on the record of the chunks that it drops, or on there being none: they go to
 * the shard's garbage queue in the same transaction. The first attempt supposes that there are none,
 * so that a small PUT reads nothing. A conditional change also depends on the entry that was judged.
 * Lost races are tried again from the start, so that a condition is judged anew each time.
 */
import { hasCode } from '@dozo/base';
import type { Precondition, Put, Shard, Transaction, Version } from '@dozo/replica';
import { S3Error } from '../errors.ts';
import { ATTEMPTS_MAX, GARBAGE_NONCE_BYTES } from '../limits.ts';
import type { BlobStore } from './blob-store.ts';
import { intentLost } from './blob-writer.ts';
import type { BlobWriter } from './blob-writer.ts';
import type { BucketCache, ShardHandle } from './bucket-cache.ts';
import { noSuchBucket } from './bucket-directory.ts';
import {
  decodeChunks,
  decodeEntry,
  decodeHead,
  encodeChunkedEntry,
  encodeChunks,
  encodeInlineEntry,
  ENTRY_HEAD_BYTES,
} from './entry-record.ts';
import type { EntryHead, ObjectDescription, ObjectEntry, ObjectPart } from './entry-record.ts';
import { chunksKeyOf, entryKey, garbageKey, shardNumberOf } from './keys.ts';
import { encodeGarbage } from './records.ts';
import type { BlobRef, GarbageRecord } from './records.ts';
import type { StoreContext } from './store-context.ts';

/** A bucket's name and a key in it. */
export interface ObjectName {
  readonly bucket: string;
  readonly key: string;
}

/** An object as it was read. */
export interface FoundObject {
  /** Where its chunks belong. */
  readonly shard: Shard;
  readonly key: Uint8Array;
  readonly version: Version;
  readonly entry: ObjectEntry;
}

/** Judges what is there before it is replaced; throws to refuse. */
export type Guard = (existing: EntryHead | undefined) => void;

/** A change of one key. */
export interface Change {
  /** The new entry; undefined deletes. */
  readonly record: Uint8Array | undefined;
  /** Where the new entry's chunks are, if it has any. */
  readonly chunks: Uint8Array | undefined;
  /** Undefined: replace whatever is there. */
  readonly guard: Guard | undefined;
  /** The change belongs to exactly this shard of exactly this bucket. */
  readonly shard?: ShardHandle;
  /** Further conditions and changes in the same shard. */
  readonly preconditions?: readonly Precondition[];
  readonly puts?: readonly Put[];
  readonly deletes?: readonly Uint8Array[];
  /** What becomes garbage with this change, besides what the old entry drops. */
  readonly garbage?: GarbageRecord;
}

/** Why to try again: somebody changed the bucket, or the object; or there is room again. */
type Lost = 'header' | 'object' | 'room';

const HEAD_RANGE = { start: 0, end: ENTRY_HEAD_BYTES };

/** See the file comment. */
export class ObjectIndex {
  readonly #context: StoreContext;
  readonly #cache: BucketCache;
  readonly #blobs: BlobStore;

  readonly #relieve: () => Promise<boolean>;

  /** @param relieve tries to make room on a full device; resolves with whether it made some. */
  constructor(
    context: StoreContext,
    cache: BucketCache,
    blobs: BlobStore,
    relieve: () => Promise<boolean>,
  ) {
    this.#context = context;
    this.#cache = cache;
    this.#blobs = blobs;
    this.#relieve = relieve;
  }

  /** Finds an object. @throws S3Error `NoSuchBucket`, `NoSuchKey` */
  async find(name: ObjectName): Promise<FoundObject> {
    const key = entryKey(name.key);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const bucket = await this.#cache.bucket(name.bucket);
      const shard = bucket.shards[shardNumberOf(key, bucket.shards.length)] as Shard;
      const item = await this.#context.store.get(shard, key);
      if (item !== undefined) {
        return { shard, key, version: item.version, entry: decodeEntry(item.value) };
      }
      if (await this.#cache.isCurrent(bucket)) {
        throw new S3Error('NoSuchKey', { fields: { Key: name.key } });
      }
    }
    throw tooManyRaces();
  }

  /** Where the chunks of a found object are; undefined where it was replaced since. */
  async partsOf(found: FoundObject): Promise<ObjectPart[] | undefined> {
    if (!found.entry.chunked) return [];
    const item = await this.#context.store.get(found.shard, chunksKeyOf(found.key));
    // One transaction put both, so they have one version.
    return item?.version === found.version ? decodeChunks(item.value) : undefined;
  }

  /** Stores an object whose body is small enough to lie in its entry. */
  putInline(
    name: ObjectName,
    object: ObjectDescription,
    body: readonly Uint8Array[],
    guard: Guard | undefined,
  ): Promise<void> {
    const record = encodeInlineEntry(object, body);
    return this.change(name, { record, chunks: undefined, guard });
  }

  /**
   * Makes a finished blob the body of an object. On failure the writer is still to be abandoned.
   *
   * @throws S3Error `RequestTimeout` where the intent was collected; what {@link change} throws.
   */
  async putChunked(
    name: ObjectName,
    object: ObjectDescription,
    writer: BlobWriter,
    guard: Guard | undefined,
  ): Promise<void> {
    const part: ObjectPart = { partNumber: 0, blob: writer.ref(), checksum: undefined };
    try {
      await this.change(name, {
        record: encodeChunkedEntry(object),
        chunks: encodeChunks([part]),
        guard,
        shard: writer.shard,
        ...writer.commit(),
      });
    } catch (error) {
      throw failedIndexOf(error) === undefined ? error : intentLost();
    }
  }

  /** Deletes an object; one that is not there is no error. */
  async delete(name: ObjectName, guard: Guard | undefined): Promise<void> {
    await this.change(name, { record: undefined, chunks: undefined, guard });
  }

  /**
   * Applies a change of one key.
   *
   * @throws S3Error `NoSuchBucket`; `SlowDown` or `ConditionalRequestConflict` when others always
   *   won; what the guard throws. Rejects as `transact` does, but for `PRECONDITION_FAILED` of what
   *   it can read again; a failed precondition of `change.preconditions` is passed on.
   */
  async change(name: ObjectName, change: Change): Promise<void> {
    const key = entryKey(name.key);
    // A delete has looked at the entry anyway; a put hopes that it need not look at all.
    let mayHaveChunks = change.record === undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const shard =
        this.#cache.remembered(name.bucket, key) ?? (await this.#cache.shard(name.bucket, key));
      if (change.shard !== undefined && !isSameShard(change.shard, shard)) {
        throw noSuchBucket(name.bucket);
      }
      const lost = await this.#attempt(name, key, shard, change, mayHaveChunks);
      if (lost === undefined) return;
      if (lost === 'header') this.#cache.forgetShard(name.bucket, shard);
      else if (lost === 'object') mayHaveChunks = true;
    }
    throw change.guard === undefined
      ? tooManyRaces()
      : new S3Error('ConditionalRequestConflict', { fields: { Key: name.key } });
  }

  /** Tries once. @returns undefined when applied, else what has changed. */
  async #attempt(
    name: ObjectName,
    key: Uint8Array,
    shard: ShardHandle,
    change: Change,
    mayHaveChunks: boolean,
  ): Promise<Lost | undefined> {
    const { store, mechanisms } = this.#context;
    const chunksKey = chunksKeyOf(key);
    const preconditions: Precondition[] = mechanisms.headerPrecondition ? [shard.isOpen] : [];
    const headerCount = preconditions.length;
    if (change.guard !== undefined) {
      const old = await store.get(shard, key, HEAD_RANGE);
      change.guard(old === undefined ? undefined : decodeHead(old.value));
      if (mechanisms.entryPrecondition) preconditions.push(unchanged(key, old?.version));
    } else if (change.record === undefined && (await store.stat(shard, key)) === undefined) {
      return (await this.#isOpen(name.bucket, shard)) ? undefined : 'header';
    }
    const oldChunks = mayHaveChunks ? await store.get(shard, chunksKey) : undefined;
    if (mechanisms.entryPrecondition) preconditions.push(unchanged(chunksKey, oldChunks?.version));
    const ownCount = preconditions.length;
    if (change.preconditions !== undefined) preconditions.push(...change.preconditions);
    const dropped =
      oldChunks === undefined ? NONE : decodeChunks(oldChunks.value).map((part) => part.blob);
    const transaction = this.#transactionOf(shard, key, change, { preconditions, dropped });
    try {
      await store.transact(transaction);
      return undefined;
    } catch (error) {
      if (change.record === undefined && dropped.length > 0 && hasCode(error, 'STORE_FULL')) {
        return this.#deleteOnFullDevice(shard, key, preconditions, dropped);
      }
      if (hasCode(error, 'STORE_FULL') && (await this.#relieve())) return 'room';
      const index = failedIndexOf(error);
      if (index === undefined || index >= ownCount) throw error;
      return index < headerCount ? 'header' : 'object';
    }
  }

  #transactionOf(
    shard: ShardHandle,
    key: Uint8Array,
    change: Change,
    old: { readonly preconditions: readonly Precondition[]; readonly dropped: readonly BlobRef[] },
  ): Transaction {
    const { limits, mechanisms } = this.#context;
    const { preconditions, dropped } = old;
    const { record, chunks, garbage } = change;
    const puts: Put[] = [];
    const deletes: Uint8Array[] = [];
    if (record === undefined) deletes.push(key);
    else puts.push({ key, value: record });
    if (chunks !== undefined) puts.push({ key: chunksKeyOf(key), value: chunks });
    else if (dropped.length > 0) deletes.push(chunksKeyOf(key));
    if (change.puts !== undefined) puts.push(...change.puts);
    if (change.deletes !== undefined) deletes.push(...change.deletes);
    if (dropped.length > 0 && mechanisms.garbageQueue) {
      const blobs: GarbageRecord = { kind: 'blobs', blobs: dropped };
      puts.push(garbagePut(this.#context, blobs, limits.garbageDelayMs));
    }
    // What an upload leaves over was never readable, so no reader has to be waited for.
    if (garbage !== undefined) puts.push(garbagePut(this.#context, garbage, 0));
    return { pool: shard.pool, routingKey: shard.routingKey, preconditions, puts, deletes };
  }

  /**
   * On a full device only deletes are taken, so the queue cannot take what a delete drops: the entry
   * goes alone and its chunks right behind it. A crash in between leaves chunks to the sweep.
   */
  async #deleteOnFullDevice(
    shard: ShardHandle,
    key: Uint8Array,
    preconditions: readonly Precondition[],
    dropped: readonly BlobRef[],
  ): Promise<Lost | undefined> {
    const { pool, routingKey } = shard;
    const deletes = [key, chunksKeyOf(key)];
    try {
      await this.#context.store.transact({ pool, routingKey, preconditions, deletes });
    } catch (error) {
      const index = failedIndexOf(error);
      if (index === undefined) throw error;
      return index === 0 ? 'header' : 'object';
    }
    await this.#blobs.dispose(shard, dropped).catch(() => undefined);
    return undefined;
  }

  /** Whether the bucket of a remembered shard is still there, where nothing has to be changed. */
  async #isOpen(bucketName: string, shard: ShardHandle): Promise<boolean> {
    const bucket = await this.#cache.bucket(bucketName);
    return bucket.handles.includes(shard) && (await this.#cache.isCurrent(bucket));
  }
}

const NONE: readonly never[] = [];

/** The put that queues garbage, due in `delayMs`. */
export function garbagePut(context: StoreContext, record: GarbageRecord, delayMs: number): Put {
  const dueMs = context.clock.wallMs() + delayMs;
  const nonce = context.random.bytes(GARBAGE_NONCE_BYTES);
  return { key: garbageKey(dueMs, nonce), value: encodeGarbage(record) };
}

/** Which precondition a transaction failed with, if it failed with one. */
export function failedIndexOf(error: unknown): number | undefined {
  if (!hasCode(error, 'PRECONDITION_FAILED')) return undefined;
  return (error as { readonly detail: { readonly index: number } }).detail.index;
}

function unchanged(key: Uint8Array, version: Version | undefined): Precondition {
  return version === undefined ? { key, is: 'absent' } : { key, is: 'version', version };
}

function isSameShard(one: ShardHandle, other: ShardHandle): boolean {
  return one === other || Buffer.compare(one.routingKey, other.routingKey) === 0;
}

/** The answer to one who lost every race. */
export function tooManyRaces(): S3Error {
  return S3Error.of('SlowDown', 'Too many requests change this at the same time. Try again.');
}
