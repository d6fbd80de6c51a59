import type { RequestHeaders } from './headers.ts';

/** What conditions are evaluated against. */
export interface ObjectState {
  /** Without quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number;
}

/** Conditional headers as they were sent. */
export interface Conditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  readonly ifModifiedSinceMs?: number;
  readonly ifUnmodifiedSinceMs?: number;
}

/** Conditions of GetObject and HeadObject. */
export declare function parseReadConditions(headers: RequestHeaders): Conditions;
/** `x-amz-copy-source-if-*` of CopyObject and UploadPartCopy. */
export declare function parseCopySourceConditions(headers: RequestHeaders): Conditions;
/** `If-Match`, `If-None-Match: *` of PutObject, CompleteMultipartUpload, CopyObject; `If-Match` of DeleteObject. */
export declare function parseWriteConditions(headers: RequestHeaders): Conditions;

/** @throws S3Error `PreconditionFailed`. */
export declare function evaluateReadConditions(
  conditions: Conditions,
  object: ObjectState,
): 'proceed' | 'not-modified';
/** @throws S3Error `PreconditionFailed`. */
export declare function checkCopySourceConditions(conditions: Conditions, object: ObjectState): void;
/**
 * @param existing what is there now, undefined if nothing is.
 * @throws S3Error `PreconditionFailed`; `NoSuchKey` for `If-Match` where nothing is.
 */
export declare function checkWriteConditions(
  conditions: Conditions,
  existing: ObjectState | undefined,
): void;
