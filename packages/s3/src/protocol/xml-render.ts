import type { ChecksumAlgorithm, ChecksumType, ObjectChecksum } from './checksum.ts';
import type { S3Error } from '../errors.ts';

export interface Owner {
  readonly id: string;
  readonly displayName: string;
}

export interface RenderedError {
  readonly error: S3Error;
  /** Path of the request as sent. */
  readonly resource: string;
  readonly requestId: string;
  readonly hostId: string;
}
export declare function renderError(input: RenderedError): string;

export interface ListedBucket {
  readonly name: string;
  readonly createdMs: number;
}
export declare function renderListBuckets(input: {
  readonly owner: Owner;
  readonly buckets: readonly ListedBucket[];
  readonly prefix?: string;
  readonly continuationToken?: string;
}): string;

/** @param region undefined for `us-east-1`, which has an empty element. */
export declare function renderLocation(region: string | undefined): string;

export interface ListedObject {
  readonly key: string;
  readonly lastModifiedMs: number;
  /** Without quotes. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
}

interface ListBase {
  readonly bucket: string;
  readonly prefix: string;
  /** Empty: none. */
  readonly delimiter: string;
  readonly rowsMax: number;
  readonly encodingType: 'url' | undefined;
  readonly isTruncated: boolean;
  readonly objects: readonly ListedObject[];
  readonly commonPrefixes: readonly string[];
  /** Given: every row names it. */
  readonly owner?: Owner;
}
export interface ListObjectsResult extends ListBase {
  readonly marker: string;
  /** Sent only with a delimiter, as Amazon does; clients take the last key otherwise. */
  readonly nextMarker?: string;
}
export interface ListObjectsV2Result extends ListBase {
  readonly startAfter?: string;
  readonly continuationToken?: string;
  readonly nextContinuationToken?: string;
}
export interface ListObjectVersionsResult extends ListBase {
  readonly keyMarker: string;
  readonly versionIdMarker: string;
  readonly nextKeyMarker?: string;
  readonly nextVersionIdMarker?: string;
}
export declare function renderListObjects(result: ListObjectsResult): string;
export declare function renderListObjectsV2(result: ListObjectsV2Result): string;
export declare function renderListObjectVersions(result: ListObjectVersionsResult): string;

export interface ListedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
}
export interface ListMultipartUploadsResult {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly nextKeyMarker?: string;
  readonly nextUploadIdMarker?: string;
  readonly rowsMax: number;
  readonly encodingType: 'url' | undefined;
  readonly isTruncated: boolean;
  readonly uploads: readonly ListedUpload[];
  readonly commonPrefixes: readonly string[];
  readonly owner: Owner;
}
export declare function renderListMultipartUploads(result: ListMultipartUploadsResult): string;

export interface ListedPart {
  readonly partNumber: number;
  readonly lastModifiedMs: number;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: string };
}
export interface ListPartsResult {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  readonly owner: Owner;
  readonly partNumberMarker: number;
  readonly nextPartNumberMarker?: number;
  readonly rowsMax: number;
  readonly encodingType: 'url' | undefined;
  readonly isTruncated: boolean;
  readonly parts: readonly ListedPart[];
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
}
export declare function renderListParts(result: ListPartsResult): string;

export declare function renderInitiateMultipartUpload(input: {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}): string;
export declare function renderCompleteMultipartUpload(input: {
  /** URL of the object. */
  readonly location: string;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly checksum?: ObjectChecksum;
}): string;

interface CopyResult {
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly checksum?: ObjectChecksum;
}
export declare function renderCopyObject(result: CopyResult): string;
export declare function renderCopyPart(result: CopyResult): string;

export interface DeleteFailure {
  readonly key: string;
  readonly versionId?: string;
  readonly code: string;
  readonly message: string;
}
export declare function renderDeleteResult(input: {
  readonly quiet: boolean;
  readonly deleted: readonly { readonly key: string; readonly versionId?: string }[];
  readonly failures: readonly DeleteFailure[];
}): string;
