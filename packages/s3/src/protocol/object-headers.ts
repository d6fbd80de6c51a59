import type { RequestHeaders } from './headers.ts';
import type { Query } from './query.ts';

/**
 * Headers that are kept with an object and sent back with it. All values are binary strings (one
 * character per byte) as they came.
 */
export interface ObjectHeaders {
  readonly contentType?: string;
  readonly cacheControl?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly expires?: string;
  /** Lower-case names without `x-amz-meta-`, in the order in which they came. */
  readonly userMetadata: Readonly<Record<string, string>>;
}

/** @throws S3Error `MetadataTooLarge`. */
export declare function parseObjectHeaders(headers: RequestHeaders): ObjectHeaders;

/** What GET and HEAD send, `response-*` parameters of the query applied. */
export declare function renderObjectHeaders(
  headers: ObjectHeaders,
  query: Query,
): Record<string, string>;
