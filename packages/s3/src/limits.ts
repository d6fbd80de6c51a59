/**
 * Every bound of the S3 package, with its unit and reason, and the relations that must hold.
 */
import { assert } from '@dozo/base';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;
const GIBIBYTE = 1024 * MEBIBYTE;
const MINUTE_MS = 60_000;

// ---- Protocol: what S3 itself allows ----

/** Bytes of an object key in UTF-8. Source: S3 User Guide, "Naming Amazon S3 objects". */
export const OBJECT_KEY_BYTES_MAX = 1024;
/** Characters of a bucket name. Source: S3 User Guide, "Bucket naming rules". */
export const BUCKET_NAME_LENGTH_MIN = 3;
export const BUCKET_NAME_LENGTH_MAX = 63;
/** Bytes of one PUT or one part. Source: S3 User Guide, "Multipart upload limits". */
export const BODY_BYTES_MAX = 5 * GIBIBYTE;
/** Bytes of every part but the last. */
export const PART_BYTES_MIN = 5 * MEBIBYTE;
/** Parts are numbered `[1, PART_NUMBER_MAX]`. */
export const PART_NUMBER_MAX = 10_000;
/** Bytes of names (without `x-amz-meta-`) and values of user metadata together. */
export const USER_METADATA_BYTES_MAX = 2 * KIBIBYTE;
/** Bytes of one standard header that is kept with an object; S3 allows 8 KiB for all headers. */
export const KEPT_HEADER_BYTES_MAX = 2 * KIBIBYTE;
/** Rows of a page of any listing, and the default. */
export const LIST_ROWS_MAX = 1000;
/** Keys of one DeleteObjects. */
export const DELETE_KEYS_MAX = 1000;

// ---- Protocol: what bounds the work of reading a request ----

/**
 * Bytes of a document that lists things (CompleteMultipartUpload, Delete). 10,000 parts with two
 * checksums each are 3 MiB; 1,000 keys of 1,024 bytes, a quarter of them escaped, 2 MiB.
 */
export const LIST_DOCUMENT_BYTES_MAX = 4 * MEBIBYTE;
/** Bytes of any other document; the largest has two elements. */
export const SMALL_DOCUMENT_BYTES_MAX = 64 * KIBIBYTE;
/** Elements inside each other; the deepest document of S3 that is read has 6. */
export const XML_DEPTH_MAX = 16;
/** Query parameters of a request; a presigned URL has 10, and S3 knows some 60. */
export const QUERY_PARAMETERS_MAX = 256;
/**
 * Bytes of one line between the chunks of an `aws-chunked` body. A signed chunk header has 102, a
 * trailer line with a SHA-256 some 80.
 */
export const CHUNK_LINE_BYTES_MAX = 1 * KIBIBYTE;
/** Lines after the last chunk: one checksum, one signature, and room for an unknown one. */
export const TRAILER_LINES_MAX = 8;

// ---- Protocol: signatures ----

/** How far a request's clock may be from ours. Source: "Signature calculations", S3 API Reference. */
export const CLOCK_SKEW_MS_MAX = 15 * MINUTE_MS;
/** The longest life of a presigned URL in seconds: a week. */
export const PRESIGNED_EXPIRES_SECONDS_MAX = 604_800;
/** Signing keys kept: one per access key, day and region; deriving one costs some 15 µs. */
export const SIGNING_KEYS_MAX = 256;
/** Characters of an `Authorization` header; a normal one has 250. */
export const AUTHORIZATION_LENGTH_MAX = 8 * KIBIBYTE;

assert(PART_BYTES_MIN <= BODY_BYTES_MAX, 'the smallest part must fit in a body');
assert(SMALL_DOCUMENT_BYTES_MAX <= LIST_DOCUMENT_BYTES_MAX, 'a small document is no larger');
assert(CHUNK_LINE_BYTES_MAX >= 128, 'a signed chunk header must fit in a line');
assert(
  LIST_DOCUMENT_BYTES_MAX >= DELETE_KEYS_MAX * 2 * OBJECT_KEY_BYTES_MAX,
  'a full list of the longest keys must fit in a document',
);
