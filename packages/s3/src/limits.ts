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
const PART_BYTES_MIN = 5 * MEBIBYTE;
/** Parts are numbered `[1, PART_NUMBER_MAX]`. */
export const PART_NUMBER_MAX = 10_000;
/** Bytes of names (without `x-amz-meta-`) and values of user metadata together. */
export const USER_METADATA_BYTES_MAX = 2 * KIBIBYTE;
/** Bytes of one name of it; ours, so that its length is one byte in an entry. */
export const USER_METADATA_NAME_BYTES_MAX = 255;
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
/** Elements of a document; 10,000 parts of five elements each are the most that is ever needed. */
export const XML_ELEMENTS_MAX = 65_536;
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
assert(XML_ELEMENTS_MAX >= PART_NUMBER_MAX * 6, 'a full list of parts must fit in a document');
assert(CHUNK_LINE_BYTES_MAX >= 128, 'a signed chunk header must fit in a line');
assert(
  LIST_DOCUMENT_BYTES_MAX >= DELETE_KEYS_MAX * 2 * OBJECT_KEY_BYTES_MAX,
  'a full list of the longest keys must fit in a document',
);

// ---- Store: the format ----

/** Random bytes that name a bucket for good; its name may be used again. */
export const BUCKET_ID_BYTES = 8;
/** Random bytes that name one streamed body. */
export const BLOB_ID_BYTES = 16;
/** Six bytes of time, so that uploads of one key stand in order of their start, then random. */
export const UPLOAD_ID_BYTES = 16;
/** Random bytes behind the due time of a garbage record. */
export const GARBAGE_NONCE_BYTES = 8;
/** Shards of a new bucket's index. */
export const BUCKET_SHARD_COUNT = 16;
/** Shards that a directory record may ask for; the number has two bytes in routing keys. */
export const BUCKET_SHARD_COUNT_MAX = 4096;
/** Bytes of a record's headers and metadata together: S3's 8 KiB, and names. */
export const KEPT_HEADERS_BYTES_MAX = 64 * KIBIBYTE;

// ---- Store: what bounds the work of one request ----

/**
 * Times that a transaction is tried again after somebody else changed what it depends on. Each loss
 * means that another request won, so that 256 writers of one key all get through.
 */
export const ATTEMPTS_MAX = 256;
/** Buckets that a gateway remembers with the versions of their shard headers, some 4 KiB each. */
export const CACHED_BUCKETS_MAX = 4096;
/** Buckets of the cluster; S3 allows an account 10,000. */
export const BUCKETS_MAX = 10_000;
/** Keys of one DeleteObjects that are worked on at a time. */
export const DELETES_AT_ONCE_MAX = 32;
/** Rows that a listing reads from one shard at a time. */
export const SHARD_ROWS_MAX = 256;
/** Part records that one transaction deletes; a transaction names at most 4,096 keys. */
export const PARTS_PER_TRANSACTION_MAX = 1000;
/** Chunks of one blob that are deleted at a time. */
export const CHUNK_DELETES_AT_ONCE_MAX = 8;
/** How long a full device is taken as full after nothing was found to free, in ms. */
export const RELIEF_PAUSE_MS = 5_000;
/** Blobs whose chunks a sweep holds in memory while it asks who names them, some 200 bytes each. */
export const SWEPT_BLOBS_MAX = 20_000;
/** Missing chunks that a sweep names one by one; more are counted. */
export const MISSING_REPORTED_MAX = 100;

/** Bytes that the framing of an `aws-chunked` body may add to one that is kept in its entry. */
export const SMALL_FRAMING_BYTES_MAX = 16 * KIBIBYTE;

/** What the owner of a gateway may choose. Sizes in bytes, times in ms. */
export interface S3Limits {
  /** The largest body that is kept inside its entry, as one transaction. */
  readonly inlineBytesMax: number;
  /** Bytes of a chunk; written into every blob, so that it may change. */
  readonly chunkBytes: number;
  /** Bytes that every part but the last must have. */
  readonly partBytesMin: number;
  /** How long dropped chunks are kept for readers in other gateways. */
  readonly garbageDelayMs: number;
  /** How often a running upload renews its intent. */
  readonly intentRenewMs: number;
  /** An intent that was not renewed for so long is collected. */
  readonly intentStaleMs: number;
  /** How long a collected intent is kept, so that what a sleeper still wrote is swept up. */
  readonly intentSettleMs: number;
  /** Between two steps of the collector. */
  readonly collectorStepMs: number;
  /** Shards that one step of the collector looks at. */
  readonly collectorStepShards: number;
  /** Between the start of a gateway and its first sweep, and between sweeps. */
  readonly firstSweepMs: number;
  readonly sweepMs: number;
  /** Requests that run at once; more wait. */
  readonly requestSlots: number;
  /** Bytes in memory of all bodies that stream in; more wait. */
  readonly bodyBytes: number;
  /** Bytes in memory of all bodies that are read whole: small objects and documents; more wait. */
  readonly smallBodyBytes: number;
  /** Bytes in memory of all bodies that stream out; more wait. */
  readonly readBytes: number;
  /** Bytes that a download reads at a time; it holds two such slices. */
  readonly readSliceBytes: number;
  /** Requests that may wait for a slot or bytes, and how long, before they are told to slow down. */
  readonly waitingRequests: number;
  readonly waitingMs: number;
  /** Open connections; a newcomer beyond them is closed at once. */
  readonly connections: number;
  /** From the first byte of a request to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** A connection without a request is closed after this. */
  readonly idleTimeoutMs: number;
  /** A body or an answer that has not moved for so long ends its connection. */
  readonly stallTimeoutMs: number;
  /** How long a stop waits for running requests before it cuts them. */
  readonly stopTimeoutMs: number;
}

/** What holds unless the owner says otherwise. */
export const DEFAULT_LIMITS: S3Limits = {
  inlineBytesMax: 64 * KIBIBYTE,
  chunkBytes: 4 * MEBIBYTE,
  partBytesMin: PART_BYTES_MIN,
  garbageDelayMs: 5 * MINUTE_MS,
  intentRenewMs: 5 * MINUTE_MS,
  intentStaleMs: 60 * MINUTE_MS,
  intentSettleMs: 15 * MINUTE_MS,
  collectorStepMs: 5_000,
  collectorStepShards: 512,
  firstSweepMs: 10 * MINUTE_MS,
  sweepMs: 24 * 60 * MINUTE_MS,
  requestSlots: 1024,
  bodyBytes: 256 * MEBIBYTE,
  smallBodyBytes: 64 * MEBIBYTE,
  readBytes: 128 * MEBIBYTE,
  readSliceBytes: 1 * MEBIBYTE,
  waitingRequests: 4096,
  waitingMs: 20_000,
  connections: 10_000,
  headersTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  stallTimeoutMs: 120_000,
  stopTimeoutMs: 30_000,
};

/** Throws an assertion unless the limits fit together; whoever chooses them is our own code. */
export function checkLimits(limits: S3Limits): void {
  const { chunkBytes, inlineBytesMax } = limits;
  assert(chunkBytes >= 1 && chunkBytes <= 8 * MEBIBYTE, 'a chunk is one value of at most 8 MiB');
  assert(inlineBytesMax <= 7 * MEBIBYTE, 'an entry with its body is one value of at most 8 MiB');
  assert(limits.bodyBytes >= 2 * chunkBytes, 'one upload fills a chunk while it writes another');
  assert(
    limits.smallBodyBytes >=
      Math.max(inlineBytesMax, LIST_DOCUMENT_BYTES_MAX) + SMALL_FRAMING_BYTES_MAX,
    'a body that is read whole must fit in memory',
  );
  assert(limits.readBytes >= 2 * limits.readSliceBytes, 'one download reads a slice ahead');
  assert(
    limits.intentStaleMs >= 3 * limits.intentRenewMs,
    'two lost renewals must not cost an upload',
  );
  assert(
    limits.stallTimeoutMs < limits.intentStaleMs,
    'a stalled upload ends before it is collected',
  );
}

checkLimits(DEFAULT_LIMITS);
assert(BUCKET_SHARD_COUNT <= BUCKET_SHARD_COUNT_MAX, 'a new bucket is an allowed one');

// ---- Gateway ----

/** The rest of a refused body is read and thrown away up to this; beyond, the connection ends. */
export const UNREAD_BODY_BYTES_MAX = 8 * MEBIBYTE;
/**
 * Bytes of a request's head. S3 allows 8 KiB of headers, 2 KiB of them metadata; a presigned URL of a
 * key of 1,024 escaped bytes has 4 KiB more.
 */
export const REQUEST_HEAD_BYTES_MAX = 32 * KIBIBYTE;
/** Times that a GET begins anew because the object was replaced before its first byte was sent. */
export const READ_ATTEMPTS_MAX = 8;
/** Between two warnings of one kind of overload, in ms. */
export const OVERLOAD_WARNING_MS = 10_000;
