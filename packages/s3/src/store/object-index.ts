/**
 * Objects: find one, replace one, delete one.
 *
 * Every change of a key is one transaction on the key's shard that depends on the shard's header
 * (the bucket is open) and on the entry that it replaces, as it was read. Whatever the old entry had
 * in chunks goes to the shard's garbage queue in the same transaction. Lost races are tried again
 * from the start, so that a conditional write is judged anew each time.
 */
import { hasCode } from '@dozo/base';
import type { Precondition, Put, Transaction, Version } from '@dozo/replica';
import { S3Error } from '../errors.ts';
import { ATTEMPTS_MAX, GARBAGE_NONCE_BYTES } from '../limits.ts';
import type { BlobStore } from './blob-store.ts';
import { intentLost } from './blob-writer.ts';
import type { BlobWriter } from './blob-writer.ts';
import type { BucketCache, ShardHandle } from './bucket-cache.ts';
import { noSuchBucket } from './bucket-directory.ts';
import {
  decodeEntry,
  decodeHead,
  encodeChunkedEntry,
  encodeInlineEntry,
  ENTRY_HEAD_BYTES,
} from './entry-record.ts';
import type { EntryHead, ObjectDescription, ObjectEntry, ObjectPart } from './entry-record.ts';
import { entryKey, garbageKey, shardNumberOf } from './keys.ts';
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
  readonly shard: Pick<ShardHandle, 'pool' | 'routingKey'>;
  readonly version: Version;
  readonly entry: ObjectEntry;
}

/** Judges what is there before it is replaced; throws to refuse. */
export type Guard = (existing: EntryHead | undefined) => void;

/** A change of one key. */
export interface Change {
  /** The new entry; undefined deletes. */
  readonly record: Uint8Array | undefined;
  /** Undefined: replace whatever is there. */
  readonly guard: Guard | undefined;
  /** The change belongs to exactly this shard of exactly this bucket. */
  readonly shard?: ShardHandle;
  /** Further conditions and changes in the same shard. */
  readonly preconditions?: readonly Precondition[];
  readonly puts?: readonly Put[];
  readonly deletes?: readonly Uint8Array[];
  /** What becomes garbage with this change, besides what the old entry drops. */
  readonly garbage?: readonly GarbageRecord[];
}

const HEAD_RANGE = { start: 0, end: ENTRY_HEAD_BYTES };

/** See the file comment. */
export class ObjectIndex {
  readonly #context: StoreContext;
  readonly #cache: BucketCache;
  readonly #blobs: BlobStore;

  constructor(context: StoreContext, cache: BucketCache, blobs: BlobStore) {
    this.#context = context;
    this.#cache = cache;
    this.#blobs = blobs;
  }

  /** Finds an object. @throws S3Error `NoSuchBucket`, `NoSuchKey` */
  async find(name: ObjectName): Promise<FoundObject> {
    const key = entryKey(name.key);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const bucket = await this.#cache.bucket(name.bucket);
      const shard = bucket.shards[shardNumberOf(key, bucket.shards.length)] as ShardHandle;
      const item = await this.#context.store.get(shard, key);
      if (item !== undefined) {
        return { shard, version: item.version, entry: decodeEntry(item.value) };
      }
      if (await this.#cache.isCurrent(bucket)) {
        throw new S3Error('NoSuchKey', { fields: { Key: name.key } });
      }
    }
    throw tooManyRaces();
  }

  /** Stores an object whose body is small enough to lie in its entry. */
  putInline(
    name: ObjectName,
    object: ObjectDescription,
    body: readonly Uint8Array[],
    guard: Guard | undefined,
  ): Promise<void> {
    return this.change(name, { record: encodeInlineEntry(object, body), guard });
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
    const record = encodeChunkedEntry(object, [part]);
    try {
      await this.change(name, { record, guard, shard: writer.shard, ...writer.commit() });
    } catch (error) {
      throw failedIndexOf(error) === undefined ? error : intentLost();
    }
  }

  /** Deletes an object; one that is not there is no error. */
  async delete(name: ObjectName, guard: Guard | undefined): Promise<void> {
    await this.change(name, { record: undefined, guard });
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
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const shard =
        this.#cache.remembered(name.bucket, key) ?? (await this.#cache.shard(name.bucket, key));
      if (change.shard !== undefined && !isSameShard(change.shard, shard)) {
        throw noSuchBucket(name.bucket);
      }
      const failedIndex = await this.#attempt(name, key, shard, change);
      if (failedIndex === undefined) return;
      if (failedIndex === 0) this.#cache.forgetShard(name.bucket, shard);
    }
    throw change.guard === undefined
      ? tooManyRaces()
      : new S3Error('ConditionalRequestConflict', { fields: { Key: name.key } });
  }

  /** Tries once. @returns undefined when applied, else the index of the precondition that failed. */
  async #attempt(
    name: ObjectName,
    key: Uint8Array,
    shard: ShardHandle,
    change: Change,
  ): Promise<number | undefined> {
    const { store, mechanisms } = this.#context;
    const old = await store.get(shard, key, HEAD_RANGE);
    const head = old === undefined ? undefined : decodeHead(old.value);
    if (head === undefined && change.record === undefined && change.guard === undefined) {
      return (await this.#isOpen(name.bucket, shard)) ? undefined : 0;
    }
    change.guard?.(head);
    const garbage = [...(change.garbage ?? NONE)];
    let dropped: readonly BlobRef[] = NONE;
    if (head?.chunked === true) {
      const whole = await store.get(shard, key);
      if (whole?.version !== old?.version || whole === undefined) return 1;
      dropped = decodeEntry(whole.value).parts.map((part) => part.blob);
      if (mechanisms.garbageQueue) garbage.push({ kind: 'blobs', blobs: dropped });
    }
    const preconditions: Precondition[] = [];
    if (mechanisms.headerPrecondition) preconditions.push(shard.isOpen);
    if (mechanisms.entryPrecondition) {
      preconditions.push(
        old === undefined ? { key, is: 'absent' } : { key, is: 'version', version: old.version },
      );
    }
    const ownCount = preconditions.length;
    if (change.preconditions !== undefined) preconditions.push(...change.preconditions);
    const transaction = this.#transactionOf(shard, key, change, preconditions, garbage);
    try {
      await store.transact(transaction);
      return undefined;
    } catch (error) {
      if (change.record === undefined && garbage.length > 0 && hasCode(error, 'STORE_FULL')) {
        return this.#deleteOnFullDevice(shard, key, preconditions, dropped);
      }
      const index = failedIndexOf(error);
      if (index === undefined || index >= ownCount) throw error;
      return mechanisms.headerPrecondition ? index : 1;
    }
  }

  #transactionOf(
    shard: ShardHandle,
    key: Uint8Array,
    change: Change,
    preconditions: readonly Precondition[],
    garbage: readonly GarbageRecord[],
  ): Transaction {
    const puts: Put[] = [];
    const deletes: Uint8Array[] = [];
    if (change.record === undefined) deletes.push(key);
    else puts.push({ key, value: change.record });
    if (change.puts !== undefined) puts.push(...change.puts);
    if (change.deletes !== undefined) deletes.push(...change.deletes);
    const { garbageDelayMs } = this.#context.limits;
    for (const record of garbage) {
      // What an upload has left over was never readable, so no reader has to be waited for.
      const delayMs = record.kind === 'blobs' ? garbageDelayMs : 0;
      puts.push(garbagePut(this.#context, record, delayMs));
    }
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
  ): Promise<number | undefined> {
    const { pool, routingKey } = shard;
    try {
      await this.#context.store.transact({ pool, routingKey, preconditions, deletes: [key] });
    } catch (error) {
      const index = failedIndexOf(error);
      if (index === undefined) throw error;
      return index;
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

function isSameShard(one: ShardHandle, other: ShardHandle): boolean {
  return one === other || Buffer.compare(one.routingKey, other.routingKey) === 0;
}

/** The answer to one who lost every race. */
export function tooManyRaces(): S3Error {
  return S3Error.of('SlowDown', 'Too many requests change this at the same time. Try again.');
}
