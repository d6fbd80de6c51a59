/**
 * The sweep: compares all chunks with all that names them, slowly.
 *
 * The collector frees everything that a record speaks of. What no record speaks of (chunks that a
 * sleeper wrote after its intent was gone; what a crash left while the device was full) is found by
 * looking at every chunk and asking its shard who names it. A blob only ever moves forward through
 * intent, part, object, garbage, each move one transaction; the sweep reads the chunks first and then
 * these four in that order, so a blob that is named by anybody at any time is seen at least once,
 * however it moves meanwhile. What is not seen belongs to nobody, and never will.
 *
 * The other way round it asks for every chunk that an object has whether it is there, and reports
 * those that are not. Memory is bounded: chunks are taken in batches.
 */
import { equalBytes, hexOfBytes } from '@dozo/base';
import type { Shard } from '@dozo/replica';
import { MISSING_REPORTED_MAX, SWEPT_BLOBS_MAX } from '../limits.ts';
import type { BlobStore } from './blob-store.ts';
import type { Collector } from './collector.ts';
import { decodeChunks } from './entry-record.ts';
import {
  blobIdOfIntent,
  bucketIdOfShard,
  CHUNK_KEY,
  chunkNameOf,
  chunkRoutingKey,
  KeyKind,
  kindRange,
  objectKeyOf,
  partNameOf,
  uploadNameOf,
} from './keys.ts';
import { chunkCountOf, decodeGarbage, decodePart } from './records.ts';
import type { BlobRef } from './records.ts';
import type { StoreContext } from './store-context.ts';

/** A chunk that is named and not there: data that was lost. */
export interface MissingChunk {
  /** Hexadecimal. */
  readonly bucketId: string;
  readonly objectKey: string;
  readonly chunkNumber: number;
}

export interface SweepReport {
  readonly chunks: number;
  /** Chunks that nobody named; they are deleted. */
  readonly orphanChunks: number;
  /** Part records without an upload; they and their chunks are deleted. */
  readonly orphanUploads: number;
  readonly missingChunks: number;
  /** The first of them. */
  readonly missing: readonly MissingChunk[];
}

type Report = { -readonly [Name in keyof SweepReport]: SweepReport[Name] } & {
  missing: MissingChunk[];
};

/** Chunks of one shard, by blob id in hexadecimal. */
interface Batch {
  readonly shard: Shard;
  readonly blobIds: Map<string, Buffer>;
}

/** See the file comment. */
export class Sweep {
  readonly #context: StoreContext;
  readonly #blobs: BlobStore;
  readonly #collector: Collector;

  constructor(context: StoreContext, blobs: BlobStore, collector: Collector) {
    this.#context = context;
    this.#blobs = blobs;
    this.#collector = collector;
  }

  /** Sweeps everything once; ends early, with what it has, when `signal` is aborted. */
  async run(signal?: AbortSignal): Promise<SweepReport> {
    const report: Report = {
      chunks: 0,
      orphanChunks: 0,
      orphanUploads: 0,
      missingChunks: 0,
      missing: [],
    };
    await this.#sweepChunks(report, signal);
    const { store, pools } = this.#context;
    for await (const routingKey of store.routingKeys(pools.index)) {
      if (signal?.aborted === true) break;
      if (bucketIdOfShard(routingKey) === undefined) continue;
      const shard: Shard = { pool: pools.index, routingKey };
      await this.#sweepUploads(shard, report);
      await this.#findMissing(shard, report);
    }
    return report;
  }

  async #sweepChunks(report: Report, signal: AbortSignal | undefined): Promise<void> {
    const { store, pools } = this.#context;
    let batch: Batch | undefined;
    for await (const routingKey of store.routingKeys(pools.data)) {
      if (signal?.aborted === true) return;
      const name = chunkNameOf(routingKey);
      if (name === undefined) continue;
      report.chunks += 1;
      const isSame =
        batch !== undefined && equalBytes(batch.shard.routingKey, name.shardRoutingKey);
      if (batch === undefined || !isSame || batch.blobIds.size >= SWEPT_BLOBS_MAX) {
        if (batch !== undefined) await this.#sweepBatch(batch, report);
        const shard = { pool: pools.index, routingKey: Buffer.from(name.shardRoutingKey) };
        batch = { shard, blobIds: new Map() };
      }
      batch.blobIds.set(hexOfBytes(name.blobId), Buffer.from(name.blobId));
    }
    if (batch !== undefined) await this.#sweepBatch(batch, report);
  }

  /** Strikes out every blob that is named, in the order in which blobs move; deletes the rest. */
  async #sweepBatch(batch: Batch, report: Report): Promise<void> {
    const { shard, blobIds } = batch;
    const { store } = this.#context;
    const strike = (blob: BlobRef): boolean => blobIds.delete(hexOfBytes(blob.blobId));
    for await (const row of store.scan(shard, kindRange(KeyKind.intent))) {
      blobIds.delete(hexOfBytes(blobIdOfIntent(row.key)));
    }
    for await (const row of store.scan(shard, kindRange(KeyKind.part))) {
      strike(decodePart(row.value).blob);
    }
    for await (const row of store.scan(shard, kindRange(KeyKind.chunks))) {
      for (const part of decodeChunks(row.value)) strike(part.blob);
    }
    for await (const row of store.scan(shard, kindRange(KeyKind.garbage))) {
      const garbage = decodeGarbage(row.value);
      if (garbage.kind === 'blobs') garbage.blobs.forEach(strike);
    }
    for (const blobId of blobIds.values()) {
      report.orphanChunks += await this.#blobs.deleteFound(shard, blobId);
    }
  }

  /**
   * Ends uploads of which only parts are left: what a crash leaves after an abort on a full device.
   *
   * An upload's record goes in the transaction that queues its garbage record, and that one goes
   * after the last part record. So: parts seen, then no upload, then no garbage, then still a part.
   */
  async #sweepUploads(shard: Shard, report: Report): Promise<void> {
    const { store } = this.#context;
    const uploadIds = new Map<string, Buffer>();
    for await (const row of store.scan(shard, kindRange(KeyKind.part))) {
      const { uploadId } = partNameOf(row.key);
      uploadIds.set(hexOfBytes(uploadId), uploadId);
      if (uploadIds.size >= SWEPT_BLOBS_MAX) break;
    }
    if (uploadIds.size === 0) return;
    for await (const row of store.scan(shard, kindRange(KeyKind.upload))) {
      uploadIds.delete(hexOfBytes(uploadNameOf(row.key).uploadId));
    }
    for await (const row of store.scan(shard, kindRange(KeyKind.garbage))) {
      const garbage = decodeGarbage(row.value);
      if (garbage.kind === 'upload') uploadIds.delete(hexOfBytes(garbage.uploadId));
    }
    for (const uploadId of uploadIds.values()) {
      const usedParts = new Uint8Array(0);
      await this.#collector.collectUpload(shard, { kind: 'upload', uploadId, usedParts });
      report.orphanUploads += 1;
    }
  }

  async #findMissing(shard: Shard, report: Report): Promise<void> {
    const { store } = this.#context;
    for await (const row of store.scan(shard, kindRange(KeyKind.chunks))) {
      const blobs = decodeChunks(row.value).map((part) => part.blob);
      await this.#findMissingOf(shard, row, objectKeyOf(row.key), blobs, report);
    }
  }

  async #findMissingOf(
    shard: Shard,
    row: { readonly key: Uint8Array; readonly version: number },
    objectKey: string,
    blobs: readonly BlobRef[],
    report: Report,
  ): Promise<void> {
    const { store, pools } = this.#context;
    for (const blob of blobs) {
      for (let number = 0; number < chunkCountOf(blob); number += 1) {
        const routingKey = chunkRoutingKey(shard.routingKey, blob.blobId, number);
        if ((await store.stat({ pool: pools.data, routingKey }, CHUNK_KEY)) !== undefined) continue;
        // Not missing if it was replaced while we looked.
        if ((await store.stat(shard, row.key))?.version !== row.version) return;
        report.missingChunks += 1;
        const bucketId = hexOfBytes(bucketIdOfShard(shard.routingKey) ?? shard.routingKey);
        const found: MissingChunk = { bucketId, objectKey, chunkNumber: number };
        if (report.missing.length < MISSING_REPORTED_MAX) report.missing.push(found);
      }
    }
  }
}
