/**
 * Documents of S3 other than listings: errors, results of uploads, copies and deletes, access control.
 *
 * Source: S3 API Reference, "Response syntax" of each action.
 */
import type { S3Error } from '../errors.ts';
import type { ObjectChecksum } from './checksum.ts';
import { isoDate } from './dates.ts';
import { bareDocument, document, element, etagElement, group } from './xml-writer.ts';

/** Who owns buckets and objects. */
export interface Owner {
  readonly id: string;
  readonly displayName: string;
}

/** Everything that an error document names. */
export interface RenderedError {
  readonly error: S3Error;
  /** Path of the request as sent. */
  readonly resource: string;
  readonly requestId: string;
  readonly hostId: string;
}

/** A key that DeleteObjects deleted, or found absent. */
export interface DeletedKey {
  readonly key: string;
  /** As the request named it. */
  readonly versionId?: string | undefined;
}

/** A key that DeleteObjects could not delete. */
export interface DeleteFailure extends DeletedKey {
  readonly code: string;
  readonly message: string;
}

/** What a copy of an object or a part made. */
export interface CopyResult {
  /** Without quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number;
  readonly checksum?: ObjectChecksum | undefined;
}

/** The body of a refusal. */
export function renderError(input: RenderedError): string {
  const { error } = input;
  let content = element('Code', error.code) + element('Message', error.message);
  for (const [name, value] of Object.entries(error.detail.fields)) content += element(name, value);
  content +=
    element('Resource', input.resource) +
    element('RequestId', input.requestId) +
    element('HostId', input.hostId);
  return bareDocument('Error', content);
}

/** GetBucketLocation. @param region undefined for `us-east-1`, whose element is empty. */
export function renderLocation(region: string | undefined): string {
  return document('LocationConstraint', region ?? '');
}

/** CreateMultipartUpload. */
export function renderInitiateMultipartUpload(input: {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}): string {
  return document(
    'InitiateMultipartUploadResult',
    element('Bucket', input.bucket) +
      element('Key', input.key) +
      element('UploadId', input.uploadId),
  );
}

/** CompleteMultipartUpload. */
export function renderCompleteMultipartUpload(input: {
  /** URL of the object. */
  readonly location: string;
  readonly bucket: string;
  readonly key: string;
  /** Without quotes. */
  readonly etag: string;
  readonly checksum?: ObjectChecksum | undefined;
}): string {
  return document(
    'CompleteMultipartUploadResult',
    element('Location', input.location) +
      element('Bucket', input.bucket) +
      element('Key', input.key) +
      etagElement(input.etag) +
      checksumElements(input.checksum),
  );
}

/** CopyObject. */
export function renderCopyObject(result: CopyResult): string {
  return document('CopyObjectResult', copyContent(result));
}

/** UploadPartCopy. */
export function renderCopyPart(result: CopyResult): string {
  return document('CopyPartResult', copyContent(result));
}

/** DeleteObjects. A quiet one names failures only. */
export function renderDeleteResult(input: {
  readonly quiet: boolean;
  readonly deleted: readonly DeletedKey[];
  readonly failures: readonly DeleteFailure[];
}): string {
  let content = '';
  if (!input.quiet) {
    for (const { key, versionId } of input.deleted) {
      content += group('Deleted', element('Key', key) + element('VersionId', versionId));
    }
  }
  for (const { key, versionId, code, message } of input.failures) {
    content += group(
      'Error',
      element('Key', key) +
        element('VersionId', versionId) +
        element('Code', code) +
        element('Message', message),
    );
  }
  return document('DeleteResult', content);
}

/** GetBucketAcl, GetObjectAcl: the owner may do everything, nobody else anything. */
export function renderAccessControlPolicy(owner: Owner): string {
  const grantee =
    '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">' +
    `${ownerContent(owner)}</Grantee>`;
  const grant = group('Grant', grantee + element('Permission', 'FULL_CONTROL'));
  return document(
    'AccessControlPolicy',
    ownerElement('Owner', owner) + group('AccessControlList', grant),
  );
}

/** A configuration that is not set. @param content XML. */
export function emptyDocument(root: string, content: string): string {
  return document(root, content);
}

/** An owner under the name that it has there: `Owner`, `Initiator`. */
export function ownerElement(name: string, owner: Owner | undefined): string {
  return owner === undefined ? '' : group(name, ownerContent(owner));
}

function ownerContent(owner: Owner): string {
  return element('ID', owner.id) + element('DisplayName', owner.displayName);
}

function copyContent(result: CopyResult): string {
  return (
    element('LastModified', isoDate(result.lastModifiedMs)) +
    etagElement(result.etag) +
    checksumElements(result.checksum)
  );
}

function checksumElements(checksum: ObjectChecksum | undefined): string {
  if (checksum === undefined) return '';
  return (
    element(`Checksum${checksum.algorithm}`, checksum.value) +
    element('ChecksumType', checksum.type)
  );
}
