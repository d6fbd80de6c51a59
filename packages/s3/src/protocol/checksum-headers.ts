import type { ChecksumAlgorithm, ObjectChecksum, UploadChecksum } from './checksum.ts';
import type { RequestHeaders } from './headers.ts';

/** `x-amz-checksum-algorithm` and `x-amz-checksum-type` of CreateMultipartUpload. */
export declare function parseUploadChecksum(headers: RequestHeaders): UploadChecksum | undefined;

/** Whether `x-amz-checksum-mode: ENABLED` asks for the checksum of an object. */
export declare function wantsChecksum(headers: RequestHeaders): boolean;

/** The headers that tell an object's checksum. */
export declare function checksumHeaders(checksum: ObjectChecksum): Record<string, string>;

/** `x-amz-checksum-algorithm` of CopyObject: what to compute for the copy. */
export declare function parseCopyChecksumAlgorithm(
  headers: RequestHeaders,
): ChecksumAlgorithm | undefined;
