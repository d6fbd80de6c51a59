/**
 * Pages of objects and of multipart uploads of a bucket.
 */
import { hexOfBytes } from '@dozo/base';
import type { ChecksumAlgorithm, ChecksumType } from '../protocol/index.ts';
import { UPLOAD_ID_BYTES } from '../limits.ts';
import type { BucketCache } from './bucket-cache.ts';
import { decodeEntryChecksum, decodeHead } from './entry-record.ts';
import {
  above,
  after,
  entryKey,
  KeyKind,
  kindRange,
  objectKeyOf,
  uploadKey,
  uploadKeyPrefix,
  uploadNameOf,
} from './keys.ts';
import { mergeShards } from './listing.ts';
import { decodeUpload } from './records.ts';
import type { StoreContext } from './store-context.ts';

/** What all listings of a bucket share. */
export interface ListQuery {
  readonly bucket: string;
  readonly prefix: string;
  /** Empty: none. */
  readonly delimiter: string;
  /** Keys after this one; a common prefix at or below it is passed over. Empty: from the start. */
  readonly marker: string;
  readonly rowsMax: number;
}

/** An object in a listing. */
export interface ObjectRow {
  readonly key: string;
  readonly lastModifiedMs: number;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
}

/** An upload in a listing. */
export interface UploadRow {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
}

/** A page. */
export interface ListPage<Row> {
  readonly rows: readonly Row[];
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  /** Where the next page begins: the key or common prefix that came last. */
  readonly nextMarker: string | undefined;
}

/** A page of uploads, which may end between two of one key. */
export interface UploadPage extends ListPage<UploadRow> {
  /** Empty after a common prefix. */
  readonly nextUploadIdMarker: string | undefined;
}

/** See the file comment. */
export class ObjectListing {
  readonly #context: StoreContext;
  readonly #cache: BucketCache;

  constructor(context: StoreContext, cache: BucketCache) {
    this.#context = context;
    this.#cache = cache;
  }

  /** Lists objects in the byte order of their keys. @throws S3Error `NoSuchBucket` */
  async objects(query: ListQuery): Promise<ListPage<ObjectRow>> {
    const { prefix, marker } = query;
    const prefixKey = entryKey(prefix);
    const markerKey = marker === '' ? undefined : entryKey(marker);
    const page = await this.#page(query, {
      prefixKey,
      kind: KeyKind.entry,
      from: markerKey === undefined ? prefixKey : greater(prefixKey, after(markerKey)),
      delimiter: Buffer.from(query.delimiter),
      seenPrefix: markerKey,
      decode: (item) => {
        const { lastModifiedMs, etag, sizeBytes } = decodeHead(item.value);
        const checksum = decodeEntryChecksum(item.value);
        const row = { key: objectKeyOf(item.key), lastModifiedMs, etag, sizeBytes };
        if (checksum === undefined) return row;
        return { ...row, checksum: { algorithm: checksum.algorithm, type: checksum.type } };
      },
    });
    return {
      rows: page.rows,
      commonPrefixes: page.commonPrefixes.map(objectKeyOf),
      isTruncated: page.isTruncated,
      nextMarker: page.last === undefined ? undefined : objectKeyOf(page.last),
    };
  }

  /**
   * Lists uploads in the order of key and begin.
   *
   * @param uploadIdMarker uploads of the key `query.marker` after this one are listed too; empty:
   *   none of that key is.
   * @throws S3Error `NoSuchBucket`
   */
  async uploads(query: ListQuery, uploadIdMarker: string): Promise<UploadPage> {
    const { prefix, marker } = query;
    const prefixKey = uploadKeyPrefix(prefix);
    const page = await this.#page(query, {
      prefixKey,
      kind: KeyKind.upload,
      from: greater(prefixKey, uploadsFrom(marker, uploadIdMarker)),
      delimiter: uploadKeyPrefix(query.delimiter).subarray(1),
      seenPrefix: marker === '' ? undefined : uploadKeyPrefix(marker),
      decode: (item) => {
        const { objectKey, uploadId } = uploadNameOf(item.key);
        const { initiatedMs, checksum } = decodeUpload(item.value);
        const row = { key: objectKey, uploadId: hexOfBytes(uploadId), initiatedMs };
        return checksum === undefined ? row : { ...row, checksum };
      },
    });
    const commonPrefixes = page.commonPrefixes.map(prefixOfUploadKey);
    const lastRow = page.rows.at(-1);
    const endsInPrefix =
      page.last !== undefined && page.commonPrefixes.some((last) => last === page.last);
    return {
      rows: page.rows,
      commonPrefixes,
      isTruncated: page.isTruncated,
      nextMarker: endsInPrefix ? commonPrefixes.at(-1) : lastRow?.key,
      nextUploadIdMarker: endsInPrefix ? '' : lastRow?.uploadId,
    };
  }

  async #page<Row>(
    query: ListQuery,
    keys: {
      readonly prefixKey: Buffer;
      readonly kind: number;
      readonly from: Uint8Array;
      readonly delimiter: Uint8Array;
      readonly seenPrefix: Uint8Array | undefined;
      readonly decode: (item: { readonly key: Uint8Array; readonly value: Uint8Array }) => Row;
    },
  ): Promise<Awaited<ReturnType<typeof mergeShards<Row>>>> {
    const { prefixKey, kind, from, delimiter, seenPrefix, decode } = keys;
    for (;;) {
      const bucket = await this.#cache.bucket(query.bucket);
      const page = await mergeShards(this.#context, {
        shards: bucket.shards,
        from,
        to: query.prefix === '' ? kindRange(kind).to : above(prefixKey),
        rowsMax: query.rowsMax,
        prefixBytes: prefixKey.length,
        suffixBytes: kind === KeyKind.upload ? 1 + UPLOAD_ID_BYTES : 0,
        delimiter,
        ...(seenPrefix !== undefined && { seenPrefix }),
        decode,
      });
      const isEmpty = page.rows.length === 0 && page.commonPrefixes.length === 0;
      if (!isEmpty || (await this.#cache.isCurrent(bucket))) return page;
    }
  }
}

/** The first key of uploads behind a marker. */
function uploadsFrom(marker: string, uploadIdMarker: string): Uint8Array {
  if (marker === '') return Buffer.of(KeyKind.upload);
  const id = Buffer.from(uploadIdMarker, 'hex');
  if (id.length === UPLOAD_ID_BYTES) return after(uploadKey(marker, id));
  // Past every upload of this very key: the end mark 00 and then anything.
  return Buffer.concat([uploadKeyPrefix(marker), Buffer.of(1)]);
}

/** The prefix of object keys that a prefix of upload keys stands for. */
function prefixOfUploadKey(prefix: Uint8Array): string {
  const nothing = Buffer.alloc(1 + UPLOAD_ID_BYTES);
  return uploadNameOf(Buffer.concat([prefix, nothing])).objectKey;
}

function greater(one: Uint8Array, other: Uint8Array): Uint8Array {
  return Buffer.compare(one, other) >= 0 ? one : other;
}
