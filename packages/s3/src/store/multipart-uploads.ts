/**
 * Multipart uploads: the upload's record and its parts' records lie in the shard of the object's key.
 *
 * A part is a streamed body with an intent of its own; its commit puts the part's record, which
 * depends on the upload's record being as it was read and on the part that it replaces. A complete
 * cannot name 10,000 part records in one transaction, so it *arms* the upload first: it changes the
 * upload's record, which stops every part commit that began before; a part that is stored afterwards
 * takes the arm away again with its own commit. If the upload is still armed by the same version
 * when the object is put, the parts are still those that the complete looked at. Arming blocks
 * nobody, so one that died in between leaves nothing to clean up.
 *
 * An upload ends in one transaction that deletes its record and queues the rest (part records,
 * chunks of parts that were not used) as garbage.
 */
import { bytesOfHex, hasCode, hexOfBytes } from '@dozo/base';
import type { Precondition, Put, Version } from '@dozo/replica';
import { S3Error } from '../errors.ts';
import { ATTEMPTS_MAX, PART_NUMBER_MAX, UPLOAD_ID_BYTES } from '../limits.ts';
import type { CompletedPart, ObjectHeaders, UploadChecksum } from '../protocol/index.ts';
import { intentLost } from './blob-writer.ts';
import type { BlobWriter } from './blob-writer.ts';
import type { BucketCache, ShardHandle } from './bucket-cache.ts';
import { encodeChunkedEntry, encodeChunks } from './entry-record.ts';
import type { ObjectDescription } from './entry-record.ts';
import type { Collector } from './collector.ts';
import { entryKey, KeyKind, kindRange, partKey, partNameOf, uploadKey } from './keys.ts';
import { multipartEtag, planComplete } from './multipart-plan.ts';
import type { CompletePlan } from './multipart-plan.ts';
import type { Guard, ObjectIndex, ObjectName } from './object-index.ts';
import { failedIndexOf, garbagePut, tooManyRaces } from './object-index.ts';
import { decodePart, decodeUpload, encodePart, encodeUpload } from './records.ts';
import type { GarbageRecord, PartRecord, UploadRecord } from './records.ts';
import type { StoreContext } from './store-context.ts';

/** An upload of a key. */
export interface UploadName extends ObjectName {
  /** 32 hexadecimal digits. */
  readonly uploadId: string;
}

/** An upload as it was read. */
interface FoundUpload {
  readonly shard: ShardHandle;
  readonly key: Uint8Array;
  readonly id: Uint8Array;
  readonly version: Version;
  readonly record: UploadRecord;
}

/** A part in a listing. */
export interface NumberedPart extends PartRecord {
  readonly partNumber: number;
}

/** What a complete needs to make the object. */
export interface CompleteRequest {
  readonly parts: readonly CompletedPart[];
  /** Describes the object; throws to refuse, for example a checksum. */
  readonly describe: (upload: UploadRecord, plan: CompletePlan) => ObjectDescription;
  readonly guard: Guard | undefined;
}

/** See the file comment. */
export class MultipartUploads {
  readonly #context: StoreContext;
  readonly #cache: BucketCache;
  readonly #objects: ObjectIndex;
  readonly #collector: Collector;

  constructor(
    context: StoreContext,
    cache: BucketCache,
    objects: ObjectIndex,
    collector: Collector,
  ) {
    this.#context = context;
    this.#cache = cache;
    this.#objects = objects;
    this.#collector = collector;
  }

  /** Begins an upload; resolves with its id. @throws S3Error `NoSuchBucket` */
  async create(
    name: ObjectName,
    headers: ObjectHeaders,
    checksum: UploadChecksum | undefined,
  ): Promise<string> {
    const initiatedMs = this.#context.clock.wallMs();
    const id = Buffer.alloc(UPLOAD_ID_BYTES);
    id.writeUIntBE(initiatedMs, 0, 6);
    id.set(this.#context.random.bytes(UPLOAD_ID_BYTES - 6), 6);
    const value = encodeUpload({ initiatedMs, armed: false, headers, checksum });
    await this.#withShard(name, async (shard) => {
      await this.#transact(shard, [], [{ key: uploadKey(name.key, id), value }], []);
    });
    return hexOfBytes(id);
  }

  /** Reads an upload. @throws S3Error `NoSuchBucket`, `NoSuchUpload` */
  async find(name: UploadName): Promise<UploadRecord> {
    const shard = await this.#cache.shard(name.bucket, entryKey(name.key));
    return (await this.#find(name, shard)).record;
  }

  /**
   * Makes a finished blob a part, in place of the one that had the number. On failure the writer is
   * still to be abandoned.
   *
   * @throws S3Error `NoSuchBucket`, `NoSuchUpload`, `RequestTimeout` (the intent was collected).
   */
  async putPart(
    name: UploadName,
    partNumber: number,
    part: Omit<PartRecord, 'blob'>,
    writer: BlobWriter,
  ): Promise<void> {
    const value = encodePart({ ...part, blob: writer.ref() });
    const intent = writer.commit();
    await this.#withShard(name, async (shard) => {
      const upload = await this.#find(name, shard);
      const key = partKey(upload.id, partNumber);
      const old = await this.#context.store.get(shard, key);
      const puts: Put[] = [{ key, value }];
      if (upload.record.armed) {
        puts.push({ key: upload.key, value: encodeUpload({ ...upload.record, armed: false }) });
      }
      if (old !== undefined && this.#context.mechanisms.garbageQueue) {
        const replaced: GarbageRecord = { kind: 'blobs', blobs: [decodePart(old.value).blob] };
        puts.push(garbagePut(this.#context, replaced, 0));
      }
      const preconditions: Precondition[] = [
        ...intent.preconditions,
        { key: upload.key, is: 'version', version: upload.version },
        old === undefined ? { key, is: 'absent' } : { key, is: 'version', version: old.version },
      ];
      await this.#transact(shard, preconditions, puts, intent.deletes, intent.preconditions.length);
    });
  }

  /**
   * Makes the object of the parts.
   *
   * @throws S3Error `NoSuchBucket`, `NoSuchUpload`, what {@link planComplete}, `describe` and the
   *   guard throw.
   */
  async complete(name: UploadName, request: CompleteRequest): Promise<ObjectDescription> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const armed = await this.#armOrRecognize(name, request);
      if ('etag' in armed) return armed;
      const { shard, key, id, version, record } = armed;
      const stored = await this.#partsByNumber(shard, id);
      const plan = planComplete(request.parts, stored, this.#context.limits.partBytesMin);
      const object = request.describe(record, plan);
      const garbage: GarbageRecord = {
        kind: 'upload',
        uploadId: id,
        usedParts: bitsOf(plan.parts.map((part) => part.partNumber)),
      };
      try {
        await this.#objects.change(name, {
          record: encodeChunkedEntry(object),
          chunks: encodeChunks(plan.parts),
          guard: request.guard,
          shard,
          preconditions: [{ key, is: 'version', version }],
          deletes: [key],
          garbage,
        });
        return object;
      } catch (error) {
        if (failedIndexOf(error) === undefined) throw error;
        // A part came in between, or the upload has ended: look again.
      }
    }
    throw tooManyRaces();
  }

  /** Ends an upload and frees what it holds. @throws S3Error `NoSuchBucket`, `NoSuchUpload` */
  async abort(name: UploadName): Promise<void> {
    const queued = await this.#withShard(name, async (shard) => {
      const { id, key, version } = await this.#find(name, shard);
      const record: GarbageRecord = { kind: 'upload', uploadId: id, usedParts: bitsOf([]) };
      const put = garbagePut(this.#context, record, 0);
      const isThis: Precondition = { key, is: 'version', version };
      try {
        await this.#transact(shard, [isThis], [put], [key]);
      } catch (error) {
        // A full device takes deletes only; what a crash leaves then, the sweep finds.
        if (!hasCode(error, 'STORE_FULL')) throw error;
        await this.#transact(shard, [isThis], [], [key]);
      }
      return { shard, key: put.key, record };
    });
    // Freed at once where possible; the queue has it otherwise.
    await this.#collector.collectGarbage(queued.shard, queued.key, queued.record).catch(ignore);
  }

  /** Parts after `marker`, at most `rowsMax` and whether there are more. */
  async listParts(
    name: UploadName,
    marker: number,
    rowsMax: number,
  ): Promise<{ upload: UploadRecord; parts: NumberedPart[]; isTruncated: boolean }> {
    const shard = await this.#cache.shard(name.bucket, entryKey(name.key));
    const { id, record } = await this.#find(name, shard);
    const from = partKey(id, Math.min(marker, PART_NUMBER_MAX) + 1);
    const { to } = kindRange(KeyKind.part, id);
    const parts: NumberedPart[] = [];
    for await (const row of this.#context.store.scan(shard, { from, to, limit: rowsMax + 1 })) {
      parts.push({ ...decodePart(row.value), partNumber: partNameOf(row.key).partNumber });
    }
    const isTruncated = parts.length > rowsMax;
    return {
      upload: record,
      parts: parts.slice(0, rowsMax),
      isTruncated: isTruncated && rowsMax > 0,
    };
  }

  async #find(name: UploadName, shard: ShardHandle): Promise<FoundUpload> {
    const id = bytesOfHex(name.uploadId);
    if (id?.length !== UPLOAD_ID_BYTES) throw noSuchUpload(name);
    const key = uploadKey(name.key, id);
    const item = await this.#context.store.get(shard, key);
    if (item !== undefined) {
      return { shard, key, id, version: item.version, record: decodeUpload(item.value) };
    }
    const bucket = await this.#cache.bucket(name.bucket);
    if (bucket.handles.includes(shard) && (await this.#cache.isCurrent(bucket))) {
      throw noSuchUpload(name);
    }
    return this.#find(name, await this.#cache.shard(name.bucket, entryKey(name.key)));
  }

  /**
   * Arms the upload. Where it is gone because this very complete was done before (the answer was
   * lost, the client asks again), gives the object that it made.
   */
  async #armOrRecognize(
    name: UploadName,
    request: CompleteRequest,
  ): Promise<FoundUpload | ObjectDescription> {
    try {
      return await this.#withShard(name, (shard) => this.#arm(name, shard));
    } catch (error) {
      if (!hasCode(error, 'NoSuchUpload') || request.parts.length === 0) throw error;
      const found = await this.#objects.find(name).catch(() => undefined);
      if (found?.entry.etag !== multipartEtag(request.parts)) throw error;
      return found.entry;
    }
  }

  async #arm(name: UploadName, shard: ShardHandle): Promise<FoundUpload> {
    const upload = await this.#find(name, shard);
    if (!this.#context.mechanisms.partArming) return upload;
    const record = { ...upload.record, armed: true };
    const isThis: Precondition = { key: upload.key, is: 'version', version: upload.version };
    const put = { key: upload.key, value: encodeUpload(record) };
    const version = await this.#transact(shard, [isThis], [put], []);
    return { ...upload, version, record };
  }

  async #partsByNumber(shard: ShardHandle, id: Uint8Array): Promise<Map<number, PartRecord>> {
    const parts = new Map<number, PartRecord>();
    for await (const row of this.#context.store.scan(shard, kindRange(KeyKind.part, id))) {
      parts.set(partNameOf(row.key).partNumber, decodePart(row.value));
    }
    return parts;
  }

  /** Tries again, with the shard's header as it is now, as long as others win. */
  async #withShard<Result>(
    name: ObjectName,
    attempt: (shard: ShardHandle) => Promise<Result>,
  ): Promise<Result> {
    const key = entryKey(name.key);
    for (let count = 0; count < ATTEMPTS_MAX; count += 1) {
      const shard = await this.#cache.shard(name.bucket, key);
      try {
        return await attempt(shard);
      } catch (error) {
        const index = failedIndexOf(error);
        if (index === undefined) throw error;
        if (index === 0) this.#cache.forgetShard(name.bucket, shard);
      }
    }
    throw tooManyRaces();
  }

  /** One transaction; the header is its first precondition, then come `finalCount` that end it. */
  async #transact(
    shard: ShardHandle,
    conditions: readonly Precondition[],
    puts: readonly Put[],
    deletes: readonly Uint8Array[],
    finalCount = 0,
  ): Promise<Version> {
    const { pool, routingKey } = shard;
    const own = this.#context.mechanisms.headerPrecondition ? [shard.isOpen] : [];
    const preconditions = [...own, ...conditions];
    try {
      const done = await this.#context.store.transact({
        pool,
        routingKey,
        preconditions,
        puts,
        deletes,
      });
      return done.version;
    } catch (error) {
      const index = failedIndexOf(error);
      if (index === undefined || index < own.length || index >= own.length + finalCount)
        throw error;
      throw intentLost();
    }
  }
}

/** A bit for each number, `number & 7` of byte `number >> 3`. */
function bitsOf(numbers: readonly number[]): Uint8Array {
  const bits = new Uint8Array(((numbers.at(-1) ?? -1) >> 3) + 1);
  for (const number of numbers) bits[number >> 3] = (bits[number >> 3] ?? 0) | (1 << (number & 7));
  return bits;
}

function noSuchUpload(name: UploadName): S3Error {
  return new S3Error('NoSuchUpload', { fields: { UploadId: name.uploadId } });
}

function ignore(): void {
  // What could not be done now is done by the collector.
}
