/**
 * The bucket directory: create, find, delete.
 *
 * A bucket is a directory record and one header per shard. A request that changes a shard names the
 * header's version as a precondition, so whoever writes a header stops every change that began
 * before. No transaction spans shards, so a bucket moves through states of its directory record,
 * each change one compare-and-set that raises the record's epoch:
 *
 *     (absent) -> opening -> open -> closing -> removing -> (absent)
 *                    ^                  |
 *                    +------------------+   not empty
 *
 * - `opening`: every header is made, or made open again; then `open`.
 * - `closing`: every header is closed. Behind closed headers nothing changes, so that a look into
 *   every shard says for good whether the bucket is empty: `removing` if so, else `opening`.
 * - `removing`: headers and record go.
 *
 * Anybody who meets a state other than `open` drives it on (`settle`): after a crash the next one who
 * comes, and while the first is alive as its helper. That is safe because a header carries the epoch
 * that wrote it, an actor changes only headers of an older epoch, by compare-and-set on the header,
 * and stops where it meets a newer one; and because each decision is a compare-and-set on the record
 * that has to be as the actor read it. A sleeper can at worst make a header of a bucket that is gone;
 * ids are never used again, and the collector removes it.
 */
import { assert, equalBytes, hasCode } from '@dozo/base';
import type { Shard, Transaction, Version } from '@dozo/replica';
import { S3Error } from '../errors.ts';
import { ATTEMPTS_MAX, BUCKET_ID_BYTES, BUCKET_SHARD_COUNT, BUCKETS_MAX } from '../limits.ts';
import {
  directoryKey,
  directoryShard,
  HEADER_KEY,
  KeyKind,
  kindRange,
  shardRoutingKey,
} from './keys.ts';
import { decodeBucket, decodeHeader, encodeBucket, encodeHeader } from './records.ts';
import type { BucketRecord, BucketState, ShardHeader } from './records.ts';
import type { StoreContext } from './store-context.ts';

/** A directory record as it was read. */
export interface FoundBucket {
  readonly name: string;
  readonly version: Version;
  readonly record: BucketRecord;
}

/** A shard header as it was read. */
export interface FoundHeader {
  readonly version: Version;
  readonly header: ShardHeader;
}

/** How a bucket that was being changed came to rest. */
type Settled = 'open' | 'gone';

/** See the file comment. Keeps nothing in memory. */
export class BucketDirectory {
  readonly #context: StoreContext;
  readonly #shard: Shard;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#shard = directoryShard(context.pools.index);
  }

  /** The record of a bucket in whatever state. */
  async find(name: string): Promise<FoundBucket | undefined> {
    const item = await this.#context.store.get(this.#shard, directoryKey(name));
    if (item === undefined) return undefined;
    return { name, version: item.version, record: decodeBucket(item.value) };
  }

  /** An open bucket; what is half done is finished first. @throws S3Error `NoSuchBucket` */
  async open(name: string): Promise<FoundBucket> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const found = await this.find(name);
      if (found === undefined) break;
      if (found.record.state === 'open') return found;
      await this.settle(found);
    }
    throw noSuchBucket(name);
  }

  /** All open buckets in the order of their names. */
  async list(): Promise<FoundBucket[]> {
    const buckets: FoundBucket[] = [];
    for await (const item of this.#context.store.scan(this.#shard, { limit: BUCKETS_MAX })) {
      const record = decodeBucket(item.value);
      const name = Buffer.from(item.key).toString('latin1');
      if (record.state === 'open') buckets.push({ name, version: item.version, record });
    }
    return buckets;
  }

  /** Finishes every change of a bucket that somebody left half done. */
  async settleAll(): Promise<void> {
    const halfDone: FoundBucket[] = [];
    for await (const item of this.#context.store.scan(this.#shard, { limit: BUCKETS_MAX })) {
      const record = decodeBucket(item.value);
      const name = Buffer.from(item.key).toString('latin1');
      if (record.state !== 'open') halfDone.push({ name, version: item.version, record });
    }
    for (const found of halfDone) await this.settle(found);
  }

  /**
   * Makes a bucket.
   *
   * @throws S3Error `BucketAlreadyOwnedByYou`, `BucketAlreadyExists`, `TooManyBuckets`.
   */
  async create(name: string, owner: string): Promise<FoundBucket> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const existing = await this.find(name);
      if (existing !== undefined) {
        if ((await this.settle(existing)) === 'gone') continue;
        throw new S3Error(
          existing.record.owner === owner ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists',
          { fields: { BucketName: name } },
        );
      }
      const record: BucketRecord = {
        state: 'opening',
        epoch: 1,
        bucketId: this.#context.random.bytes(BUCKET_ID_BYTES),
        createdMs: this.#context.clock.wallMs(),
        shardCount: BUCKET_SHARD_COUNT,
        owner,
      };
      const version = await this.#tryTransact({
        ...this.#shard,
        preconditions: [{ key: directoryKey(name), is: 'absent' }],
        puts: [{ key: directoryKey(name), value: encodeBucket(record) }],
      });
      if (version === undefined) continue;
      if ((await this.settle({ name, version, record })) === 'open') return this.open(name);
    }
    throw S3Error.of('SlowDown', 'The bucket is being created and deleted too often. Try again.');
  }

  /** Deletes a bucket. @throws S3Error `NoSuchBucket`, `BucketNotEmpty` */
  async delete(name: string): Promise<void> {
    const found = await this.open(name);
    for (let attempt = 0, now = found; attempt < ATTEMPTS_MAX; attempt += 1) {
      const closing = await this.#move(now, 'closing');
      if (closing !== undefined) {
        if ((await this.settle(closing)) === 'gone') return;
        throw new S3Error('BucketNotEmpty', { fields: { BucketName: name } });
      }
      // Somebody else was quicker; what they made of it tells how to go on.
      const next = await this.find(name);
      if (next === undefined || !equalBytes(next.record.bucketId, found.record.bucketId)) return;
      if ((await this.settle(next)) === 'gone') return;
      now = await this.open(name);
    }
    throw S3Error.of('SlowDown', 'The bucket changes its state all the time. Try again.');
  }

  /** Drives a bucket to rest. Anybody may call it at any time, any number at once. */
  async settle(from: FoundBucket): Promise<Settled> {
    let found: FoundBucket | undefined = from;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (found === undefined || !equalBytes(found.record.bucketId, from.record.bucketId)) {
        return 'gone';
      }
      const next: FoundBucket | 'gone' | undefined = await this.#step(found);
      if (next === 'gone') return 'gone';
      if (next?.record.state === 'open') return 'open';
      found = next ?? (await this.find(from.name));
    }
    throw S3Error.of('SlowDown', 'The bucket changes its state all the time. Try again.');
  }

  /** Reads the header of a shard. */
  async header(shard: Shard): Promise<FoundHeader | undefined> {
    const item = await this.#context.store.get(shard, HEADER_KEY);
    if (item === undefined) return undefined;
    return { version: item.version, header: decodeHeader(item.value) };
  }

  /** One step; undefined where somebody else made one meanwhile. */
  async #step(found: FoundBucket): Promise<FoundBucket | 'gone' | undefined> {
    switch (found.record.state) {
      case 'open':
        return found;
      case 'opening':
        return (await this.#setHeaders(found, 'open')) ? this.#move(found, 'open') : undefined;
      case 'closing': {
        if (!(await this.#setHeaders(found, 'closed'))) return undefined;
        return this.#move(found, (await this.#isEmpty(found)) ? 'removing' : 'opening');
      }
      case 'removing': {
        await this.#removeHeaders(found);
        const gone = await this.#tryTransact({
          ...this.#shard,
          preconditions: [{ key: directoryKey(found.name), is: 'version', version: found.version }],
          deletes: [directoryKey(found.name)],
        });
        return gone === undefined ? undefined : 'gone';
      }
    }
  }

  /** Changes the state of the record, if it is still the one that was read. */
  async #move(found: FoundBucket, state: BucketState): Promise<FoundBucket | undefined> {
    const record = { ...found.record, state, epoch: found.record.epoch + 1 };
    const key = directoryKey(found.name);
    const version = await this.#tryTransact({
      ...this.#shard,
      preconditions: [{ key, is: 'version', version: found.version }],
      puts: [{ key, value: encodeBucket(record) }],
    });
    return version === undefined ? undefined : { name: found.name, version, record };
  }

  /** Brings every header to `state` and this epoch; false where a newer epoch was met. */
  async #setHeaders(found: FoundBucket, state: ShardHeader['state']): Promise<boolean> {
    const results = await Promise.all(
      this.shardsOf(found.record).map((shard) => this.#setHeader(found, shard, state)),
    );
    return results.every((done) => done);
  }

  async #setHeader(
    found: FoundBucket,
    shard: Shard,
    state: ShardHeader['state'],
  ): Promise<boolean> {
    const { epoch } = found.record;
    const value = encodeHeader({ state, epoch, bucketName: found.name });
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const old = await this.header(shard);
      if (old?.header.epoch === epoch) return true;
      const mayPass = this.#context.mechanisms.headerEpochs || state === 'closed';
      if (old !== undefined && old.header.epoch > epoch && mayPass) return false;
      // Only a bucket that has never been open lacks headers, or one that is being removed.
      if (old === undefined && state === 'closed') return false;
      const version = await this.#tryTransact({
        ...shard,
        preconditions: [
          old === undefined
            ? { key: HEADER_KEY, is: 'absent' }
            : { key: HEADER_KEY, is: 'version', version: old.version },
        ],
        puts: [{ key: HEADER_KEY, value }],
      });
      if (version !== undefined) return true;
    }
    return false;
  }

  /** Whether no shard holds an object or an upload. Meaningful behind closed headers. */
  async #isEmpty(found: FoundBucket): Promise<boolean> {
    for (const shard of this.shardsOf(found.record)) {
      for (const kind of [KeyKind.entry, KeyKind.upload]) {
        const range = { ...kindRange(kind), limit: 1 };
        for await (const item of this.#context.store.scan(shard, range)) {
          assert(item.key[0] === kind, 'a scan stays in its range');
          return false;
        }
      }
    }
    return true;
  }

  async #removeHeaders(found: FoundBucket): Promise<void> {
    await Promise.all(
      this.shardsOf(found.record).map(async (shard) => {
        const old = await this.header(shard);
        if (old === undefined) return;
        await this.#tryTransact({
          ...shard,
          preconditions: [{ key: HEADER_KEY, is: 'version', version: old.version }],
          deletes: [HEADER_KEY],
        });
      }),
    );
  }

  /** The shards of a bucket, in order. */
  shardsOf(record: BucketRecord): Shard[] {
    return Array.from({ length: record.shardCount }, (_, number) => ({
      pool: this.#context.pools.index,
      routingKey: shardRoutingKey(record.bucketId, number),
    }));
  }

  /** The new version, or undefined where a precondition did not hold. */
  async #tryTransact(transaction: Transaction): Promise<Version | undefined> {
    try {
      return (await this.#context.store.transact(transaction)).version;
    } catch (error) {
      if (hasCode(error, 'PRECONDITION_FAILED')) return undefined;
      throw error;
    }
  }
}

/** The refusal that names the bucket. */
export function noSuchBucket(name: string): S3Error {
  return new S3Error('NoSuchBucket', { fields: { BucketName: name } });
}
