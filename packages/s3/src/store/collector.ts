/**
 * The collector: frees what uploads, overwrites and deletes have left behind.
 *
 * It walks the shards of the index pool (also those of buckets that are gone) a few at a time and
 * looks at three things in each:
 *
 * - Garbage that is due: chunks go, then the record. A blob that a reader of this process has pinned
 *   is passed over.
 * - Intents that nobody has renewed: they are marked `collecting`, which makes every later commit
 *   fail, and only then the chunks go. The mark stays for a while and the chunks are looked for once
 *   more, because a writer that slept may still have written; then the intent goes.
 * - A header whose bucket is not in the directory: a sleeper made it after the bucket was removed.
 *
 * At the start of each walk buckets that were left half created or half deleted are finished. All
 * steps may be repeated and may run in any number of gateways at once.
 */
import { equalBytes, hasCode } from '@dozo/base';
import type { Shard, Version } from '@dozo/replica';
import { PARTS_PER_TRANSACTION_MAX, RELIEF_PAUSE_MS } from '../limits.ts';
import type { BlobStore } from './blob-store.ts';
import type { BucketDirectory } from './bucket-directory.ts';
import {
  blobIdOfIntent,
  bucketIdOfShard,
  dueMsOf,
  HEADER_KEY,
  KeyKind,
  kindRange,
  partNameOf,
} from './keys.ts';
import { decodeGarbage, decodeIntent, decodePart, encodeIntent } from './records.ts';
import type { GarbageRecord } from './records.ts';
import type { StoreContext } from './store-context.ts';

/** What one step or walk of the collector did. */
export interface CollectorCounts {
  readonly shards: number;
  /** Garbage records, intents and headers that are gone now. */
  readonly freed: number;
  /** Garbage that could not go because a reader holds it. */
  readonly pinned: number;
}

/** Counts while they are being made. */
type Counts = { -readonly [Name in keyof CollectorCounts]: CollectorCounts[Name] };

/** See the file comment. */
export class Collector {
  readonly #context: StoreContext;
  readonly #directory: BucketDirectory;
  readonly #blobs: BlobStore;
  /** The shard that was looked at last; undefined at the start of a walk. */
  #after: Uint8Array | undefined;
  #relief: Promise<boolean> | undefined;
  #reliefAfterMs = -Infinity;
  /** Walks and steps take turns. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(context: StoreContext, directory: BucketDirectory, blobs: BlobStore) {
    this.#context = context;
    this.#directory = directory;
    this.#blobs = blobs;
  }

  /** Looks at the next few shards. `isLast`: they were the last ones of a walk. */
  step(): Promise<CollectorCounts & { readonly isLast: boolean }> {
    return this.#inTurn(async () => {
      const counts = { shards: 0, freed: 0, pinned: 0 };
      if (this.#after === undefined) await this.#directory.settleAll();
      const { store, pools, limits } = this.#context;
      for await (const routingKey of store.routingKeys(pools.index, this.#after)) {
        await this.#collectShard(routingKey, counts, false);
        this.#after = routingKey;
        if (counts.shards >= limits.collectorStepShards) return { ...counts, isLast: false };
      }
      this.#after = undefined;
      return { ...counts, isLast: true };
    });
  }

  /**
   * Frees at once all that can be freed, due or not, because the device is full. Readers of this
   * process keep what they have pinned; one in another gateway may lose its connection.
   */
  relieve(): Promise<CollectorCounts> {
    return this.#inTurn(async () => {
      const counts = { shards: 0, freed: 0, pinned: 0 };
      const { store, pools } = this.#context;
      for await (const routingKey of store.routingKeys(pools.index)) {
        await this.#collectShard(routingKey, counts, true);
      }
      return counts;
    });
  }

  /**
   * {@link relieve}, for one who was just refused for want of room: joins one that runs, and does
   * nothing for a while after one that found nothing.
   *
   * @returns whether it is worth trying again.
   */
  relieveWriter(): Promise<boolean> {
    if (this.#relief !== undefined) return this.#relief;
    const { clock } = this.#context;
    if (clock.monotonicMs() < this.#reliefAfterMs) return Promise.resolve(false);
    this.#relief = this.relieve()
      .then(
        ({ freed }) => freed > 0,
        () => false,
      )
      .then((worthwhile) => {
        this.#relief = undefined;
        if (!worthwhile) this.#reliefAfterMs = clock.monotonicMs() + RELIEF_PAUSE_MS;
        return worthwhile;
      });
    return this.#relief;
  }

  /** Does what a garbage record asks for, then deletes the record. */
  async collectGarbage(shard: Shard, key: Uint8Array, record: GarbageRecord): Promise<void> {
    if (record.kind === 'upload') await this.collectUpload(shard, record);
    else for (const blob of record.blobs) await this.#blobs.delete(shard, blob);
    await this.#context.store.transact({ ...placeOf(shard), deletes: [key] });
  }

  /** Deletes the parts of an upload that has ended, but for the chunks that the object uses. */
  async collectUpload(
    shard: Shard,
    record: GarbageRecord & { readonly kind: 'upload' },
  ): Promise<void> {
    const range = { ...kindRange(KeyKind.part, record.uploadId), limit: PARTS_PER_TRANSACTION_MAX };
    for (;;) {
      const keys: Uint8Array[] = [];
      for await (const row of this.#context.store.scan(shard, range)) {
        const { partNumber } = partNameOf(row.key);
        const isUsed = ((record.usedParts[partNumber >> 3] ?? 0) >> (partNumber & 7)) & 1;
        if (isUsed === 0) await this.#blobs.delete(shard, decodePart(row.value).blob);
        keys.push(row.key);
      }
      if (keys.length === 0) return;
      await this.#context.store.transact({ ...placeOf(shard), deletes: keys });
    }
  }

  async #collectShard(routingKey: Uint8Array, counts: Counts, hurry: boolean): Promise<void> {
    const bucketId = bucketIdOfShard(routingKey);
    if (bucketId === undefined) return;
    counts.shards += 1;
    const shard: Shard = { pool: this.#context.pools.index, routingKey };
    await this.#collectHeader(shard, bucketId, counts);
    await this.#collectDue(shard, counts, hurry);
    await this.#collectIntents(shard, counts);
  }

  async #collectHeader(shard: Shard, bucketId: Uint8Array, counts: Counts): Promise<void> {
    const found = await this.#directory.header(shard);
    if (found === undefined) return;
    // A bucket is in the directory before it has its first header, and its id is never used again:
    // once it is not there, it never will be.
    const bucket = await this.#directory.find(found.header.bucketName);
    if (bucket !== undefined && equalBytes(bucket.record.bucketId, bucketId)) return;
    const gone = await this.#tryDelete(shard, HEADER_KEY, found.version);
    if (gone) counts.freed += 1;
  }

  async #collectDue(shard: Shard, counts: Counts, hurry: boolean): Promise<void> {
    const nowMs = this.#context.clock.wallMs();
    const { garbageDelay } = this.#context.mechanisms;
    for await (const row of this.#context.store.scan(shard, kindRange(KeyKind.garbage))) {
      if (garbageDelay && !hurry && dueMsOf(row.key) > nowMs) return;
      const record = decodeGarbage(row.value);
      const isPinned =
        record.kind === 'blobs' && record.blobs.some((blob) => this.#blobs.isPinned(blob));
      if (isPinned && garbageDelay) {
        counts.pinned += 1;
        continue;
      }
      await this.collectGarbage(shard, row.key, record);
      counts.freed += 1;
    }
  }

  async #collectIntents(shard: Shard, counts: Counts): Promise<void> {
    const { store, clock, limits, mechanisms } = this.#context;
    for await (const row of store.scan(shard, kindRange(KeyKind.intent))) {
      const intent = decodeIntent(row.value);
      const ageMs = clock.wallMs() - intent.atMs;
      const blobId = blobIdOfIntent(row.key);
      if (intent.state === 'open') {
        if (ageMs < limits.intentStaleMs) continue;
        if (mechanisms.collectingMark && !(await this.#mark(shard, row, intent.objectKey)))
          continue;
        await this.#blobs.deleteFound(shard, blobId);
      } else {
        await this.#blobs.deleteFound(shard, blobId);
        if (ageMs < limits.intentSettleMs) continue;
        if (await this.#tryDelete(shard, row.key, row.version)) counts.freed += 1;
      }
    }
  }

  /** Marks an intent `collecting`; false where its writer renewed or committed it meanwhile. */
  async #mark(
    shard: Shard,
    row: { readonly key: Uint8Array; readonly version: Version },
    objectKey: string,
  ): Promise<boolean> {
    const { store, clock } = this.#context;
    const value = encodeIntent({ state: 'collecting', atMs: clock.wallMs(), objectKey });
    const { key } = row;
    try {
      await store.transact({
        ...placeOf(shard),
        preconditions: [{ key, is: 'version', version: row.version }],
        puts: [{ key, value }],
      });
      return true;
    } catch (error) {
      // A full device takes no mark; the intent waits until deletes have made room.
      if (hasCode(error, 'PRECONDITION_FAILED', 'STORE_FULL')) return false;
      throw error;
    }
  }

  async #tryDelete(shard: Shard, key: Uint8Array, version: Version): Promise<boolean> {
    try {
      await this.#context.store.transact({
        ...placeOf(shard),
        preconditions: [{ key, is: 'version', version: version }],
        deletes: [key],
      });
      return true;
    } catch (error) {
      if (hasCode(error, 'PRECONDITION_FAILED')) return false;
      throw error;
    }
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function placeOf(shard: Shard): Shard {
  return { pool: shard.pool, routingKey: shard.routingKey };
}
