import type { RequestHeaders } from './headers.ts';
import type { BucketRoute, ObjectRoute } from './route.ts';
import type { Owner } from './xml-render.ts';

/** An answer that depends on nothing that is stored, once bucket and object are known to exist. */
export interface FixedAnswer {
  /** 200 or 204. */
  readonly status: number;
  /** XML, or empty. */
  readonly body: string;
}

/**
 * Answers a `BucketSubresource`, after the caller has checked that the bucket exists.
 *
 * @param body the whole body, at most `SMALL_DOCUMENT_BYTES_MAX`.
 */
export declare function answerBucketSubresource(
  route: BucketRoute,
  headers: RequestHeaders,
  owner: Owner,
  body: Uint8Array,
): FixedAnswer;

/** Answers an `ObjectSubresource`, after the caller has checked that the object exists. */
export declare function answerObjectSubresource(
  route: ObjectRoute,
  headers: RequestHeaders,
  owner: Owner,
  body: Uint8Array,
): FixedAnswer;

/**
 * Refuses request headers that ask for what is not there (encryption, object lock, tags, grants,
 * storage classes): `NotImplemented`, `InvalidStorageClass`, `InvalidRequest`.
 */
export declare function refuseUnsupportedHeaders(headers: RequestHeaders): void;
