import type { ObjectState } from './conditions.ts';
import type { RequestHeaders } from './headers.ts';

/** Bytes `[start, end)`, not empty. */
export interface BodyRange {
  readonly start: number;
  readonly end: number;
}

/** The range that a GET asks for, undefined for the whole object. @throws S3Error `InvalidRange` */
export declare function parseRange(
  headers: RequestHeaders,
  object: ObjectState & { readonly sizeBytes: number },
): BodyRange | undefined;

/** `x-amz-copy-source-range`. @throws S3Error `InvalidArgument`, `InvalidRange` */
export declare function parseCopySourceRange(
  headers: RequestHeaders,
  sizeBytes: number,
): BodyRange | undefined;

/** Value of `content-range`. */
export declare function contentRange(range: BodyRange, sizeBytes: number): string;
