/**
 * Writes a streamed body: the intent first, then chunk after chunk.
 *
 * While one chunk is being written the next one fills, so a writer holds at most two chunks. The
 * chunks belong to nobody until a transaction commits them and deletes the intent, with the intent's
 * version as a precondition: once the collector has marked it `collecting`, no commit can succeed. A
 * writer that gives up deletes its chunks and its intent; what it leaves behind when it dies, the
 * collector finds by the intent.
 *
 * The intent is renewed while bytes come, by monotonic time, so that a slow client keeps it.
 */
import { assert, hasCode } from '@dozo/base';
import type { Precondition, Version } from '@dozo/replica';
import { S3Error } from '../errors.ts';
import { ATTEMPTS_MAX, BLOB_ID_BYTES } from '../limits.ts';
import type { ShardHandle } from './bucket-cache.ts';
import type { BlobStore } from './blob-store.ts';
import type { ChunkBuffers } from './chunk-buffers.ts';
import { intentKey } from './keys.ts';
import { encodeIntent } from './records.ts';
import type { BlobRef } from './records.ts';
import type { StoreContext } from './store-context.ts';

export interface BlobWriterOptions {
  readonly context: StoreContext;
  readonly blobs: BlobStore;
  readonly buffers: ChunkBuffers;
  /** Where the blob will belong. */
  readonly shard: ShardHandle;
  /** The shard with its header as it is now, after a change of it was refused. */
  readonly refreshShard: (refused: ShardHandle) => Promise<ShardHandle>;
  readonly objectKey: string;
  /** How many bytes are to come, if that is known. */
  readonly expectedBytes: number | undefined;
}

/** What a commit adds to its transaction. */
export interface IntentCommit {
  readonly preconditions: readonly Precondition[];
  readonly deletes: readonly Uint8Array[];
}

/** See the file comment. */
export class BlobWriter {
  readonly #context: StoreContext;
  readonly #refreshShard: BlobWriterOptions['refreshShard'];
  #shard: ShardHandle;
  readonly #blobs: BlobStore;
  readonly #buffers: ChunkBuffers;
  readonly #objectKey: string;
  readonly #blobId: Uint8Array;
  readonly #expectedBytes: number;
  readonly #opened: Promise<void>;
  #intentVersion: Version | undefined;
  #renewedMs: number;
  #buffer: Buffer | undefined;
  #fillBytes = 0;
  #sizeBytes = 0;
  /** Chunks that were handed to the store, whatever became of them. */
  #chunkCount = 0;
  #writing: Promise<void> | undefined;

  /** Begins at once: writes the intent while the first bytes come. */
  constructor(options: BlobWriterOptions) {
    this.#shard = options.shard;
    this.#refreshShard = options.refreshShard;
    this.#context = options.context;
    this.#blobs = options.blobs;
    this.#buffers = options.buffers;
    this.#objectKey = options.objectKey;
    this.#expectedBytes = options.expectedBytes ?? Number.MAX_SAFE_INTEGER;
    this.#blobId = options.context.random.bytes(BLOB_ID_BYTES);
    this.#renewedMs = options.context.clock.monotonicMs();
    this.#opened = this.#open();
    // Whoever writes, finishes or abandons awaits it; until then it must not count as unhandled.
    this.#opened.catch(() => undefined);
  }

  /** Where the blob belongs. */
  get shard(): ShardHandle {
    return this.#shard;
  }

  /**
   * Takes bytes, which are copied before this returns or, if it returns a promise, before that
   * settles; the caller waits for the promise before it writes again.
   */
  write(piece: Uint8Array): Promise<void> | undefined {
    const { intentRenewMs, chunkBytes } = this.#context.limits;
    if (this.#context.clock.monotonicMs() - this.#renewedMs > intentRenewMs) {
      return this.#renew().then(() => this.write(piece));
    }
    let offset = 0;
    while (offset < piece.length) {
      if (this.#fillBytes === chunkBytes) return this.#writeLater(piece.subarray(offset));
      const buffer = (this.#buffer ??= this.#takeBuffer());
      if (this.#fillBytes === buffer.length) this.#growBuffer();
      const into = this.#buffer;
      const end = Math.min(piece.length, offset + into.length - this.#fillBytes);
      into.set(piece.subarray(offset, end), this.#fillBytes);
      this.#fillBytes += end - offset;
      this.#sizeBytes += end - offset;
      offset = end;
      if (this.#fillBytes === chunkBytes && this.#writing === undefined) this.#startWriting();
    }
    return this.#fillBytes === chunkBytes ? this.#writeLater(EMPTY) : undefined;
  }

  /** Writes what is left; the blob is then complete, durable, and nobody's. */
  async finish(): Promise<BlobRef> {
    await this.#writing;
    if (this.#fillBytes > 0) {
      this.#startWriting();
      await this.#writing;
    }
    await this.#opened;
    this.#giveBuffer();
    return this.ref();
  }

  /** The blob so far. */
  ref(): BlobRef {
    const { chunkBytes } = this.#context.limits;
    return { blobId: this.#blobId, sizeBytes: this.#sizeBytes, chunkBytes };
  }

  /** What the transaction that makes the blob somebody's has to contain. */
  commit(): IntentCommit {
    const key = intentKey(this.#blobId);
    const { intentPrecondition, intentFirst } = this.#context.mechanisms;
    const version = this.#intentVersion;
    if (!intentPrecondition || !intentFirst) return { preconditions: [], deletes: [key] };
    assert(version !== undefined, 'a blob is committed after it was finished');
    return { preconditions: [{ key, is: 'version', version }], deletes: [key] };
  }

  /**
   * Gives up: deletes the chunks, then the intent. Never to be called when a commit may have been
   * applied. Does not reject: what cannot be deleted now is left to the collector.
   */
  async abandon(): Promise<void> {
    try {
      await this.#writing?.catch(() => undefined);
      this.#giveBuffer();
      await this.#opened;
      const { chunkBytes } = this.#context.limits;
      const written = { ...this.ref(), sizeBytes: this.#chunkCount * chunkBytes };
      await this.#blobs.delete(this.#shard, written);
      await this.#context.store.transact({ ...this.#place(), deletes: [intentKey(this.#blobId)] });
    } catch {
      // The collector finds the intent, if there is one.
    }
  }

  async #open(): Promise<void> {
    const { headerPrecondition, intentFirst } = this.#context.mechanisms;
    if (!intentFirst) return;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      try {
        const { version } = await this.#context.store.transact({
          ...this.#place(),
          preconditions: headerPrecondition ? [this.#shard.isOpen] : [],
          puts: [{ key: intentKey(this.#blobId), value: this.#intent() }],
        });
        this.#intentVersion = version;
        return;
      } catch (error) {
        if (!hasCode(error, 'PRECONDITION_FAILED')) throw error;
        // Throws where the bucket is gone, also when another has its name by now.
        this.#shard = await this.#refreshShard(this.#shard);
      }
    }
    throw S3Error.of('SlowDown', 'The bucket changes its state all the time. Try again.');
  }

  async #renew(): Promise<void> {
    this.#renewedMs = this.#context.clock.monotonicMs();
    await this.#opened;
    if (this.#intentVersion === undefined) return;
    const key = intentKey(this.#blobId);
    try {
      const { version } = await this.#context.store.transact({
        ...this.#place(),
        preconditions: [{ key, is: 'version', version: this.#intentVersion }],
        puts: [{ key, value: this.#intent() }],
      });
      this.#intentVersion = version;
    } catch (error) {
      if (!hasCode(error, 'PRECONDITION_FAILED')) throw error;
      throw intentLost();
    }
  }

  async #writeLater(piece: Uint8Array): Promise<void> {
    await this.#writing;
    if (this.#fillBytes === this.#context.limits.chunkBytes) this.#startWriting();
    if (piece.length > 0) await this.write(piece);
  }

  #startWriting(): void {
    const buffer = this.#buffer;
    assert(buffer !== undefined && this.#writing === undefined, 'one chunk is written at a time');
    const number = this.#chunkCount;
    const value = buffer.subarray(0, this.#fillBytes);
    this.#chunkCount += 1;
    this.#buffer = undefined;
    this.#fillBytes = 0;
    const writing = this.#writeChunk(number, value, buffer);
    // A failure stays in place: everything that follows meets it.
    this.#writing = writing;
    writing.then(
      () => (this.#writing = undefined),
      () => undefined,
    );
  }

  async #writeChunk(number: number, value: Uint8Array, buffer: Buffer): Promise<void> {
    await this.#opened;
    await this.#blobs.write(this.#shard, this.#blobId, number, value);
    this.#buffers.give(buffer);
  }

  #takeBuffer(): Buffer {
    const { chunkBytes } = this.#context.limits;
    const left = this.#expectedBytes - this.#sizeBytes;
    return this.#buffers.take(left > 0 && left < chunkBytes ? left : chunkBytes);
  }

  /** More bytes came than were announced; whoever announced them finds out at the end. */
  #growBuffer(): void {
    const buffer = this.#buffer;
    assert(buffer !== undefined, 'only a buffer that is there grows');
    const grown = this.#buffers.take(this.#context.limits.chunkBytes);
    grown.set(buffer);
    this.#buffer = grown;
  }

  #giveBuffer(): void {
    if (this.#buffer !== undefined) this.#buffers.give(this.#buffer);
    this.#buffer = undefined;
  }

  #intent(): Uint8Array {
    const atMs = this.#context.clock.wallMs();
    return encodeIntent({ state: 'open', atMs, objectKey: this.#objectKey });
  }

  #place(): { pool: ShardHandle['pool']; routingKey: Uint8Array } {
    return { pool: this.#shard.pool, routingKey: this.#shard.routingKey };
  }
}

/** The answer to an upload whose intent the collector has taken. */
export function intentLost(): S3Error {
  return S3Error.of('RequestTimeout', 'The upload stood still for so long that it was given up.');
}

const EMPTY = new Uint8Array(0);
