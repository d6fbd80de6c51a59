/**
 * Chunks: one value each under a routing key of its own, so that a large body spreads over the
 * placement groups of the data pool.
 *
 * A reader *pins* the blobs that it reads: the collector of this process leaves a pinned blob alone
 * however long the reader takes. Readers in other processes have the garbage delay; one that loses a
 * chunk all the same is told so, and never gets other bytes.
 */
import { hasCode } from '@dozo/base';
import type { Shard } from '@dozo/replica';
import { CHUNK_DELETES_AT_ONCE_MAX } from '../limits.ts';
import { CHUNK_KEY, chunkRoutingKey } from './keys.ts';
import { chunkCountOf } from './records.ts';
import type { BlobRef } from './records.ts';
import type { StoreContext } from './store-context.ts';

/** A run of bytes of one chunk. */
export interface ChunkSlice {
  readonly blob: BlobRef;
  /** Chunk of the blob, from 0. */
  readonly number: number;
  /** Bytes `[start, end)` of the chunk. */
  readonly start: number;
  readonly end: number;
}

/** A blob and the shard that it belongs to. */
export interface OwnedBlob {
  readonly shard: Shard;
  readonly blob: BlobRef;
}

/** See the file comment. */
export class BlobStore {
  readonly #context: StoreContext;
  /** Readers of each blob, by its id as a binary string. */
  readonly #pins = new Map<string, number>();
  /** Pinned blobs that nobody names any more and no queue knows: they go with the last pin. */
  readonly #doomed = new Map<string, OwnedBlob>();
  readonly #relieve: () => Promise<boolean>;

  /** @param relieve tries to make room on a full device; resolves with whether it made some. */
  constructor(context: StoreContext, relieve: () => Promise<boolean>) {
    this.#context = context;
    this.#relieve = relieve;
  }

  /** Blobs that a reader in this process holds. */
  get pinnedCount(): number {
    return this.#pins.size;
  }

  /** Reads bytes of a chunk; undefined where it is gone or too short. Rejects as `get` does. */
  async read(owner: Shard, slice: ChunkSlice): Promise<Uint8Array | undefined> {
    const { blob, number, start, end } = slice;
    const shard = this.#chunkShard(owner, blob.blobId, number);
    const item = await this.#context.store.get(shard, CHUNK_KEY, { start, end });
    return item?.value.length === end - start ? item.value : undefined;
  }

  /** Writes a chunk; the bytes must not change until it resolves. */
  async write(owner: Shard, blobId: Uint8Array, number: number, value: Uint8Array): Promise<void> {
    const shard = this.#chunkShard(owner, blobId, number);
    const transaction = { ...shard, puts: [{ key: CHUNK_KEY, value }] };
    try {
      await this.#context.store.transact(transaction);
    } catch (error) {
      if (!hasCode(error, 'STORE_FULL') || !(await this.#relieve())) throw error;
      await this.#context.store.transact(transaction);
    }
  }

  /** Deletes every chunk of a blob. */
  async delete(owner: Shard, blob: BlobRef): Promise<void> {
    const count = chunkCountOf(blob);
    const deleteSome = async (first: number): Promise<void> => {
      for (let number = first; number < count; number += CHUNK_DELETES_AT_ONCE_MAX) {
        const shard = this.#chunkShard(owner, blob.blobId, number);
        await this.#context.store.transact({ ...shard, deletes: [CHUNK_KEY] });
      }
    };
    const lanes = Math.min(count, CHUNK_DELETES_AT_ONCE_MAX);
    await Promise.all(Array.from({ length: lanes }, (_, lane) => deleteSome(lane)));
  }

  /** Deletes every chunk that exists under a blob's id, however many were written. */
  async deleteFound(owner: Shard, blobId: Uint8Array): Promise<number> {
    const { store, pools } = this.#context;
    const prefix = Buffer.concat([owner.routingKey, blobId]);
    // Routing keys of one length come in byte order, so what follows chunk 0 are the others.
    const first = this.#chunkShard(owner, blobId, 0);
    let count = 0;
    if ((await store.stat(first, CHUNK_KEY)) !== undefined) {
      await store.transact({ ...first, deletes: [CHUNK_KEY] });
      count += 1;
    }
    for await (const routingKey of store.routingKeys(pools.data, first.routingKey)) {
      if (!startsWith(routingKey, prefix)) break;
      await store.transact({ pool: pools.data, routingKey, deletes: [CHUNK_KEY] });
      count += 1;
    }
    return count;
  }

  /** Keeps the collector of this process away from a blob until {@link unpin}. */
  pin(blob: BlobRef): void {
    const id = idOf(blob);
    this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1);
  }

  /** Gives a pin back. */
  unpin(blob: BlobRef): void {
    const id = idOf(blob);
    const count = (this.#pins.get(id) ?? 1) - 1;
    if (count > 0) {
      this.#pins.set(id, count);
      return;
    }
    this.#pins.delete(id);
    const doomed = this.#doomed.get(id);
    this.#doomed.delete(id);
    // What fails here is found by the next sweep.
    if (doomed !== undefined) this.delete(doomed.shard, doomed.blob).catch(() => undefined);
  }

  /** Whether a reader in this process holds it. */
  isPinned(blob: BlobRef): boolean {
    return this.#pins.has(idOf(blob));
  }

  /**
   * Deletes blobs that nobody names and that no queue could take because the device is full: at
   * once, or with the last pin.
   */
  async dispose(owner: Shard, blobs: readonly BlobRef[]): Promise<void> {
    for (const blob of blobs) {
      if (this.isPinned(blob)) this.#doomed.set(idOf(blob), { shard: owner, blob });
      else await this.delete(owner, blob);
    }
  }

  #chunkShard(owner: Shard, blobId: Uint8Array, number: number): Shard {
    return {
      pool: this.#context.pools.data,
      routingKey: chunkRoutingKey(owner.routingKey, blobId, number),
    };
  }
}

/** The slices that make up the bytes `[start, end)` of a body that consists of `blobs`, in order. */
export function* slicesOf(
  blobs: readonly BlobRef[],
  range: { readonly start: number; readonly end: number },
  sliceBytesMax = Number.MAX_SAFE_INTEGER,
): Generator<ChunkSlice, void> {
  const { start, end } = range;
  let blobStart = 0;
  for (const blob of blobs) {
    const from = Math.max(start - blobStart, 0);
    const to = Math.min(end - blobStart, blob.sizeBytes);
    const { chunkBytes } = blob;
    for (let offset = from; offset < to;) {
      const number = Math.floor(offset / chunkBytes);
      const chunkStart = number * chunkBytes;
      const sliceEnd = Math.min(to, chunkStart + chunkBytes, offset + sliceBytesMax);
      yield { blob, number, start: offset - chunkStart, end: sliceEnd - chunkStart };
      offset = sliceEnd;
    }
    blobStart += blob.sizeBytes;
    if (blobStart >= end) return;
  }
}

/** Whether a failed transaction may have been applied all the same. */
export function isOutcomeUnknown(error: unknown): boolean {
  return !hasCode(
    error,
    'PRECONDITION_FAILED',
    'TRANSACTION_INVALID',
    'TRANSACTION_TOO_LARGE',
    'STORE_FULL',
    'STORE_BUSY',
    'STORE_CLOSED',
  );
}

function idOf(blob: BlobRef): string {
  return Buffer.from(blob.blobId.buffer, blob.blobId.byteOffset, blob.blobId.length).toString(
    'latin1',
  );
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return (
    bytes.length >= prefix.length && Buffer.compare(bytes.subarray(0, prefix.length), prefix) === 0
  );
}
