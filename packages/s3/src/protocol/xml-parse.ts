import type { Checksum } from './checksum.ts';

export interface CompletedPart {
  readonly partNumber: number;
  /** Without quotes. */
  readonly etag: string;
  readonly checksum: Checksum | undefined;
}

export interface DeleteRequest {
  readonly quiet: boolean;
  readonly objects: readonly DeleteRequestObject[];
}

export interface DeleteRequestObject {
  readonly key: string;
  /** Unversioned buckets know only `null`. */
  readonly versionId: string | undefined;
  /** Without quotes: delete only if the object has this ETag (`*`: any). */
  readonly etag: string | undefined;
}

/** @throws S3Error `MalformedXML`, `InvalidPartOrder`, `InvalidArgument` */
export declare function parseCompleteMultipartUpload(body: Uint8Array): readonly CompletedPart[];
/** @throws S3Error `MalformedXML` */
export declare function parseDelete(body: Uint8Array): DeleteRequest;
/** @throws S3Error `MalformedXML` @returns the location constraint, undefined if none was sent. */
export declare function parseCreateBucketConfiguration(body: Uint8Array): string | undefined;
