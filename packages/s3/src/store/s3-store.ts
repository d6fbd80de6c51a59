/**
 * Buckets, objects and uploads on transactions: the store below the gateway, put together.
 */
import type { S3Limits } from '../limits.ts';
import { checkLimits } from '../limits.ts';
import { BlobStore } from './blob-store.ts';
import { BlobWriter } from './blob-writer.ts';
import { BucketCache } from './bucket-cache.ts';
import { BucketDirectory } from './bucket-directory.ts';
import { ChunkBuffers } from './chunk-buffers.ts';
import { Collector } from './collector.ts';
import { entryKey } from './keys.ts';
import { MultipartUploads } from './multipart-uploads.ts';
import { ObjectIndex } from './object-index.ts';
import type { ObjectName } from './object-index.ts';
import { ObjectListing } from './object-listing.ts';
import type { StoreContext } from './store-context.ts';
import { Sweep } from './sweep.ts';

/** See the file comment. */
export class S3Store {
  readonly limits: S3Limits;
  readonly directory: BucketDirectory;
  readonly cache: BucketCache;
  readonly objects: ObjectIndex;
  readonly uploads: MultipartUploads;
  readonly listing: ObjectListing;
  readonly blobs: BlobStore;
  readonly collector: Collector;
  readonly sweep: Sweep;
  readonly #context: StoreContext;
  readonly #buffers: ChunkBuffers;

  constructor(context: StoreContext) {
    checkLimits(context.limits);
    const { chunkBytes, bodyBytes } = context.limits;
    this.#context = context;
    this.limits = context.limits;
    this.#buffers = new ChunkBuffers(chunkBytes, Math.floor(bodyBytes / chunkBytes / 4));
    this.directory = new BucketDirectory(context);
    this.cache = new BucketCache(this.directory);
    const relieve = (): Promise<boolean> => this.collector.relieveWriter();
    this.blobs = new BlobStore(context, relieve);
    this.objects = new ObjectIndex(context, this.cache, this.blobs, relieve);
    this.collector = new Collector(context, this.directory, this.blobs);
    this.uploads = new MultipartUploads(context, this.cache, this.objects, this.collector);
    this.listing = new ObjectListing(context, this.cache);
    this.sweep = new Sweep(context, this.blobs, this.collector);
  }

  /**
   * Begins to write a streamed body that will belong to the shard of this key.
   *
   * @throws S3Error `NoSuchBucket`
   */
  async openBlob(name: ObjectName, expectedBytes: number | undefined): Promise<BlobWriter> {
    const key = entryKey(name.key);
    return new BlobWriter({
      context: this.#context,
      blobs: this.blobs,
      buffers: this.#buffers,
      shard: await this.cache.shard(name.bucket, key),
      refreshShard: (refused) => this.cache.refresh(name.bucket, key, refused),
      objectKey: name.key,
      expectedBytes,
    });
  }
}
