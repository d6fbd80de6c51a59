import type { RequestHead } from './headers.ts';
import type { Query } from './query.ts';

/** What can be asked of the service as a whole. */
export type ServiceOperation = 'ListBuckets';

/** What can be asked of a bucket. `BucketSubresource`: see `answerBucketSubresource`. */
export type BucketOperation =
  | 'CreateBucket'
  | 'HeadBucket'
  | 'DeleteBucket'
  | 'ListObjects'
  | 'ListObjectsV2'
  | 'ListObjectVersions'
  | 'ListMultipartUploads'
  | 'DeleteObjects'
  | 'GetBucketLocation'
  | 'BucketSubresource';

/** What can be asked of an object. `ObjectSubresource`: see `answerObjectSubresource`. */
export type ObjectOperation =
  | 'GetObject'
  | 'HeadObject'
  | 'PutObject'
  | 'CopyObject'
  | 'DeleteObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'UploadPartCopy'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  | 'ListParts'
  | 'ObjectSubresource';

interface RouteBase {
  readonly method: string;
  /** The path as sent, nothing decoded; for the signature and for `Resource` in errors. */
  readonly rawPath: string;
  readonly query: Query;
}

export interface ServiceRoute extends RouteBase {
  readonly scope: 'service';
  readonly operation: ServiceOperation;
}

export interface BucketRoute extends RouteBase {
  readonly scope: 'bucket';
  readonly operation: BucketOperation;
  /** A valid bucket name. */
  readonly bucket: string;
}

export interface ObjectRoute extends RouteBase {
  readonly scope: 'object';
  readonly operation: ObjectOperation;
  readonly bucket: string;
  /** Decoded, `[1, OBJECT_KEY_BYTES_MAX]` bytes of UTF-8. */
  readonly key: string;
}

/** What a request asks for, of whom. */
export type Route = ServiceRoute | BucketRoute | ObjectRoute;

/**
 * Finds out what a request asks for.
 *
 * @param baseDomains names under which buckets are hosts (`s3.example.org` makes
 *   `photos.s3.example.org` the bucket `photos`), lower case, without port; may be empty.
 */
export declare function routeRequest(head: RequestHead, baseDomains: readonly string[]): Route;
