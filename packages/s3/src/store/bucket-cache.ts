/**
 * What a gateway remembers of buckets, so that a request needs no read to find its shard.
 *
 * Nothing here has to be true: whoever changes a shard names the remembered version of its header as
 * a precondition, and forgets the bucket when that fails; whoever reads and finds nothing asks the
 * directory whether the bucket is still the one that is remembered. Bounded: the bucket that was
 * remembered first is forgotten first.
 */
import { equalBytes } from '@dozo/base';
import type { Precondition, Shard, Version } from '@dozo/replica';
import { S3Error } from '../errors.ts';
import { ATTEMPTS_MAX, CACHED_BUCKETS_MAX } from '../limits.ts';
import type { BucketDirectory, FoundBucket } from './bucket-directory.ts';
import { noSuchBucket } from './bucket-directory.ts';
import { HEADER_KEY, shardNumberOf } from './keys.ts';

/** A shard of a bucket, ready to be used in transactions. */
export interface ShardHandle extends Shard {
  /** Holds while the bucket is open. */
  readonly isOpen: Precondition;
}

/** A bucket as it was when it was read. */
export class BucketHandle {
  readonly name: string;
  readonly bucketId: Uint8Array;
  readonly createdMs: number;
  readonly shards: readonly Shard[];
  /** Each is undefined until somebody has needed it. */
  readonly handles: (ShardHandle | undefined)[];

  constructor(found: FoundBucket, shards: readonly Shard[]) {
    this.name = found.name;
    this.bucketId = found.record.bucketId;
    this.createdMs = found.record.createdMs;
    this.shards = shards;
    this.handles = shards.map(() => undefined);
  }
}

/** See the file comment. */
export class BucketCache {
  readonly #directory: BucketDirectory;
  readonly #buckets = new Map<string, BucketHandle>();

  constructor(directory: BucketDirectory) {
    this.#directory = directory;
  }

  /** How many buckets are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** The bucket, as remembered or else as it is. @throws S3Error `NoSuchBucket` */
  async bucket(name: string): Promise<BucketHandle> {
    return this.#buckets.get(name) ?? this.#read(name);
  }

  /** The shard of a key, if it is remembered; without a promise. */
  remembered(bucketName: string, entryKey: Uint8Array): ShardHandle | undefined {
    const bucket = this.#buckets.get(bucketName);
    return bucket?.handles[shardNumberOf(entryKey, bucket.handles.length)];
  }

  /** The shard of a key, with its header. @throws S3Error `NoSuchBucket` */
  async shard(bucketName: string, entryKey: Uint8Array): Promise<ShardHandle> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const bucket = await this.bucket(bucketName);
      const number = shardNumberOf(entryKey, bucket.handles.length);
      const known = bucket.handles[number];
      if (known !== undefined) return known;
      const shard = bucket.shards[number] as Shard;
      const found = await this.#directory.header(shard);
      if (found?.header.state === 'open') {
        const handle = handleOf(shard, found.version);
        bucket.handles[number] = handle;
        return handle;
      }
      // Being deleted, or gone: the directory knows, and finishes it.
      this.forget(bucket);
      await this.#read(bucketName);
    }
    throw S3Error.of('SlowDown', 'The bucket is being created and deleted too often. Try again.');
  }

  /**
   * The same shard with its header as it is now.
   *
   * @throws S3Error `NoSuchBucket` where the bucket is gone, also if another has its name.
   */
  async refresh(bucketName: string, entryKey: Uint8Array, old: ShardHandle): Promise<ShardHandle> {
    this.forgetShard(bucketName, old);
    const now = await this.shard(bucketName, entryKey);
    if (!equalBytes(now.routingKey, old.routingKey)) throw noSuchBucket(bucketName);
    return now;
  }

  /** After a change of this shard was refused because of its header. */
  forgetShard(bucketName: string, handle: ShardHandle): void {
    const bucket = this.#buckets.get(bucketName);
    // Only what was used: by now somebody may have remembered something newer.
    if (bucket?.handles.includes(handle) === true) this.forget(bucket);
  }

  /** Forgets a bucket. */
  forget(bucket: BucketHandle): void {
    if (this.#buckets.get(bucket.name) === bucket) this.#buckets.delete(bucket.name);
  }

  /**
   * Asks the directory whether a bucket in which nothing was found is still the bucket of that name.
   *
   * @returns whether it is; if not, it is forgotten, and the caller looks again.
   * @throws S3Error `NoSuchBucket`
   */
  async isCurrent(bucket: BucketHandle): Promise<boolean> {
    const found = await this.#directory.find(bucket.name);
    if (found?.record.state === 'open' && equalBytes(found.record.bucketId, bucket.bucketId)) {
      return true;
    }
    this.forget(bucket);
    if (found === undefined) throw noSuchBucket(bucket.name);
    return false;
  }

  async #read(name: string): Promise<BucketHandle> {
    const found = await this.#directory.open(name);
    const bucket = new BucketHandle(found, this.#directory.shardsOf(found.record));
    const oldest = this.#buckets.keys().next();
    if (this.#buckets.size >= CACHED_BUCKETS_MAX && oldest.done !== true) {
      this.#buckets.delete(oldest.value);
    }
    this.#buckets.set(name, bucket);
    return bucket;
  }
}

function handleOf(shard: Shard, version: Version): ShardHandle {
  const { pool, routingKey } = shard;
  return { pool, routingKey, isOpen: { key: HEADER_KEY, is: 'version', version } };
}
