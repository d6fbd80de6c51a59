/**
 * Listings: buckets, objects in three forms, uploads, parts.
 *
 * With `encoding-type=url`, every name that a person chose (keys, prefixes, delimiter, markers) is
 * percent-encoded, and the document says so; tokens are not.
 *
 * Source: S3 API Reference, "Response syntax" of each List... action.
 */
import type { ChecksumAlgorithm, UploadChecksum } from './checksum.ts';
import { isoDate } from './dates.ts';
import { percentEncode } from './percent.ts';
import { ownerElement } from './xml-render.ts';
import type { Owner } from './xml-render.ts';
import { document, element, etagElement, group } from './xml-writer.ts';

/** A row of ListBuckets. */
export interface ListedBucket {
  readonly name: string;
  readonly createdMs: number;
}

/** A row of a listing of objects. */
export interface ListedObject {
  readonly key: string;
  readonly lastModifiedMs: number;
  /** Without quotes. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly checksum?: UploadChecksum | undefined;
}

/** What the three listings of objects have in common. */
export interface ObjectPage {
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
  readonly owner?: Owner | undefined;
}

/** A page of ListObjects. */
export interface ListObjectsResult extends ObjectPage {
  readonly marker: string;
  /** Amazon sends it only with a delimiter; clients take the last key otherwise. */
  readonly nextMarker?: string | undefined;
}

/** A page of ListObjectsV2. */
export interface ListObjectsV2Result extends ObjectPage {
  readonly startAfter?: string | undefined;
  readonly continuationToken?: string | undefined;
  readonly nextContinuationToken?: string | undefined;
}

/** A page of ListObjectVersions of a bucket without versioning. */
export interface ListObjectVersionsResult extends ObjectPage {
  readonly keyMarker: string;
  readonly versionIdMarker: string;
  readonly nextKeyMarker?: string | undefined;
  readonly nextVersionIdMarker?: string | undefined;
}

/** A row of ListMultipartUploads. */
export interface ListedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly checksum?: UploadChecksum | undefined;
}

/** A page of ListMultipartUploads. */
export interface ListMultipartUploadsResult {
  readonly bucket: string;
  readonly prefix: string;
  /** Empty: none. */
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly nextKeyMarker?: string | undefined;
  readonly nextUploadIdMarker?: string | undefined;
  readonly rowsMax: number;
  readonly encodingType: 'url' | undefined;
  readonly isTruncated: boolean;
  readonly uploads: readonly ListedUpload[];
  readonly commonPrefixes: readonly string[];
  readonly owner: Owner;
}

/** A row of ListParts. */
export interface ListedPart {
  readonly partNumber: number;
  readonly lastModifiedMs: number;
  /** Without quotes. */
  readonly etag: string;
  readonly sizeBytes: number;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: string } | undefined;
}

/** A page of ListParts. */
export interface ListPartsResult {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  readonly owner: Owner;
  readonly partNumberMarker: number;
  readonly nextPartNumberMarker?: number | undefined;
  readonly rowsMax: number;
  readonly isTruncated: boolean;
  readonly parts: readonly ListedPart[];
  readonly checksum?: UploadChecksum | undefined;
}

const STORAGE_CLASS = element('StorageClass', 'STANDARD');

/** ListBuckets. */
export function renderListBuckets(input: {
  readonly owner: Owner;
  readonly buckets: readonly ListedBucket[];
  readonly prefix?: string | undefined;
  /** Where the next page begins. */
  readonly continuationToken?: string | undefined;
}): string {
  const rows = input.buckets.map(({ name, createdMs }) =>
    group('Bucket', element('Name', name) + element('CreationDate', isoDate(createdMs))),
  );
  return document(
    'ListAllMyBucketsResult',
    ownerElement('Owner', input.owner) +
      group('Buckets', rows.join('')) +
      element('Prefix', input.prefix) +
      element('ContinuationToken', input.continuationToken),
  );
}

/** ListObjects. */
export function renderListObjects(page: ListObjectsResult): string {
  const name = namer(page.encodingType);
  return document(
    'ListBucketResult',
    element('Name', page.bucket) +
      element('Prefix', name(page.prefix)) +
      element('Marker', name(page.marker)) +
      element('NextMarker', name(page.nextMarker)) +
      pageElements(page, name) +
      page.objects.map((object) => group('Contents', objectElements(object, page, name))).join('') +
      prefixElements(page.commonPrefixes, name),
  );
}

/** ListObjectsV2. */
export function renderListObjectsV2(page: ListObjectsV2Result): string {
  const name = namer(page.encodingType);
  return document(
    'ListBucketResult',
    element('Name', page.bucket) +
      element('Prefix', name(page.prefix)) +
      element('StartAfter', name(page.startAfter)) +
      element('ContinuationToken', page.continuationToken) +
      element('NextContinuationToken', page.nextContinuationToken) +
      element('KeyCount', page.objects.length + page.commonPrefixes.length) +
      pageElements(page, name) +
      page.objects.map((object) => group('Contents', objectElements(object, page, name))).join('') +
      prefixElements(page.commonPrefixes, name),
  );
}

/** ListObjectVersions: every object is the latest version, `null`. */
export function renderListObjectVersions(page: ListObjectVersionsResult): string {
  const name = namer(page.encodingType);
  const version = element('VersionId', 'null') + element('IsLatest', true);
  const rows = page.objects.map((object) =>
    group('Version', version + objectElements(object, page, name)),
  );
  return document(
    'ListVersionsResult',
    element('Name', page.bucket) +
      element('Prefix', name(page.prefix)) +
      element('KeyMarker', name(page.keyMarker)) +
      element('VersionIdMarker', page.versionIdMarker) +
      element('NextKeyMarker', name(page.nextKeyMarker)) +
      element('NextVersionIdMarker', page.nextVersionIdMarker) +
      pageElements(page, name) +
      rows.join('') +
      prefixElements(page.commonPrefixes, name),
  );
}

/** ListMultipartUploads. */
export function renderListMultipartUploads(page: ListMultipartUploadsResult): string {
  const name = namer(page.encodingType);
  const owner = ownerElement('Initiator', page.owner) + ownerElement('Owner', page.owner);
  const rows = page.uploads.map((upload) =>
    group(
      'Upload',
      element('Key', name(upload.key)) +
        element('UploadId', upload.uploadId) +
        owner +
        STORAGE_CLASS +
        element('Initiated', isoDate(upload.initiatedMs)) +
        algorithmElements(upload.checksum),
    ),
  );
  return document(
    'ListMultipartUploadsResult',
    element('Bucket', page.bucket) +
      element('KeyMarker', name(page.keyMarker)) +
      element('UploadIdMarker', page.uploadIdMarker) +
      element('NextKeyMarker', name(page.nextKeyMarker)) +
      element('NextUploadIdMarker', page.nextUploadIdMarker) +
      element('Prefix', name(page.prefix)) +
      element('Delimiter', page.delimiter === '' ? undefined : name(page.delimiter)) +
      element('EncodingType', page.encodingType) +
      element('MaxUploads', page.rowsMax) +
      element('IsTruncated', page.isTruncated) +
      rows.join('') +
      prefixElements(page.commonPrefixes, name),
  );
}

/** ListParts. */
export function renderListParts(page: ListPartsResult): string {
  const rows = page.parts.map((part) =>
    group(
      'Part',
      element('PartNumber', part.partNumber) +
        element('LastModified', isoDate(part.lastModifiedMs)) +
        etagElement(part.etag) +
        element('Size', part.sizeBytes) +
        (part.checksum === undefined
          ? ''
          : element(`Checksum${part.checksum.algorithm}`, part.checksum.value)),
    ),
  );
  return document(
    'ListPartsResult',
    element('Bucket', page.bucket) +
      element('Key', page.key) +
      element('UploadId', page.uploadId) +
      ownerElement('Initiator', page.owner) +
      ownerElement('Owner', page.owner) +
      STORAGE_CLASS +
      element('PartNumberMarker', page.partNumberMarker) +
      element('NextPartNumberMarker', page.nextPartNumberMarker) +
      element('MaxParts', page.rowsMax) +
      element('IsTruncated', page.isTruncated) +
      algorithmElements(page.checksum) +
      rows.join(''),
  );
}

type Namer = <Text extends string | undefined>(text: Text) => Text | string;

function namer(encodingType: 'url' | undefined): Namer {
  if (encodingType === undefined) return (text) => text;
  return (text) => (text === undefined ? text : percentEncode(text, true));
}

function pageElements(page: ObjectPage, name: Namer): string {
  return (
    element('Delimiter', page.delimiter === '' ? undefined : name(page.delimiter)) +
    element('EncodingType', page.encodingType) +
    element('MaxKeys', page.rowsMax) +
    element('IsTruncated', page.isTruncated)
  );
}

function objectElements(object: ListedObject, page: ObjectPage, name: Namer): string {
  return (
    element('Key', name(object.key)) +
    element('LastModified', isoDate(object.lastModifiedMs)) +
    etagElement(object.etag) +
    algorithmElements(object.checksum) +
    element('Size', object.sizeBytes) +
    ownerElement('Owner', page.owner) +
    STORAGE_CLASS
  );
}

function prefixElements(prefixes: readonly string[], name: Namer): string {
  return prefixes
    .map((prefix) => group('CommonPrefixes', element('Prefix', name(prefix))))
    .join('');
}

function algorithmElements(checksum: UploadChecksum | undefined): string {
  if (checksum === undefined) return '';
  return element('ChecksumAlgorithm', checksum.algorithm) + element('ChecksumType', checksum.type);
}
