/**
 * Answers about sub-resources that depend on nothing that is stored, and the refusal of request
 * headers that ask for what is not there.
 */
import { invalidArgument, S3Error } from '../errors.ts';
import type { RequestHeaders } from './headers.ts';
import type { BucketRoute, ObjectRoute } from './route.ts';
import { BUCKET_SUBRESOURCES, OBJECT_SUBRESOURCES } from './subresource-table.ts';
import type { Subresource } from './subresource-table.ts';
import { isEmptyTagging, isOwnerOnlyAcl } from './xml-parse-subresource.ts';
import { emptyDocument, renderAccessControlPolicy } from './xml-render.ts';
import type { Owner } from './xml-render.ts';

/** An answer that depends on nothing that is stored, once bucket and object are known to exist. */
export interface FixedAnswer {
  /** 200 or 204. */
  readonly status: number;
  /** XML, or empty. */
  readonly body: string;
}

const OK: FixedAnswer = { status: 200, body: '' };
const NO_CONTENT: FixedAnswer = { status: 204, body: '' };

/** ACLs that mean the same as `private` where one owner owns everything. */
const PRIVATE_ACLS: ReadonlySet<string> = new Set([
  'private',
  'bucket-owner-full-control',
  'bucket-owner-read',
]);

/**
 * Answers a `BucketSubresource`, after the caller has checked that the bucket exists.
 *
 * @param body the whole body, at most `SMALL_DOCUMENT_BYTES_MAX`.
 * @throws S3Error the code by which S3 says that a configuration does not exist; `NotImplemented`.
 */
export function answerBucketSubresource(
  route: BucketRoute,
  owner: Owner,
  body: Uint8Array,
): FixedAnswer {
  return answer(route, BUCKET_SUBRESOURCES, owner, body);
}

/**
 * Answers an `ObjectSubresource`, after the caller has checked that the object exists.
 *
 * @throws S3Error as {@link answerBucketSubresource}.
 */
export function answerObjectSubresource(
  route: ObjectRoute,
  owner: Owner,
  body: Uint8Array,
): FixedAnswer {
  return answer(route, OBJECT_SUBRESOURCES, owner, body);
}

/**
 * Refuses request headers that ask for what is not there: encryption, object lock, tags, grants,
 * storage classes.
 *
 * @throws S3Error `NotImplemented`, `InvalidStorageClass`, `InvalidRequest` (object lock).
 */
export function refuseUnsupportedHeaders(headers: RequestHeaders): void {
  for (const [name, value] of headers) {
    if (name.startsWith('x-amz-') && isUnsupported(name, value)) {
      throw new S3Error('NotImplemented', { fields: { Header: name } });
    }
  }
}

/**
 * Refuses a request that expects its bucket, or the source of its copy, to be somebody else's.
 *
 * @throws S3Error `AccessDenied`.
 */
export function checkExpectedOwner(headers: RequestHeaders, owner: Owner): void {
  for (const name of ['x-amz-expected-bucket-owner', 'x-amz-source-expected-bucket-owner']) {
    const expected = headers.get(name);
    if (expected !== undefined && expected !== owner.id) throw new S3Error('AccessDenied');
  }
}

function isUnsupported(name: string, value: string): boolean {
  switch (name) {
    case 'x-amz-acl':
      return !PRIVATE_ACLS.has(value);
    case 'x-amz-storage-class':
      if (value !== 'STANDARD') {
        throw new S3Error('InvalidStorageClass', { fields: { StorageClassRequested: value } });
      }
      return false;
    case 'x-amz-object-lock-mode':
    case 'x-amz-object-lock-retain-until-date':
      throw S3Error.of('InvalidRequest', 'Bucket is missing Object Lock Configuration');
    case 'x-amz-object-lock-legal-hold':
      if (value === 'OFF') return false;
      throw S3Error.of('InvalidRequest', 'Bucket is missing Object Lock Configuration');
    case 'x-amz-bucket-object-lock-enabled':
      return value.toLowerCase() !== 'false';
    case 'x-amz-object-ownership':
      return value !== 'BucketOwnerEnforced';
    case 'x-amz-tagging':
      return value !== '';
    case 'x-amz-if-match-last-modified-time':
    case 'x-amz-if-match-size':
    case 'x-amz-mfa':
    case 'x-amz-rename-source':
    case 'x-amz-website-redirect-location':
    case 'x-amz-write-offset-bytes':
      return true;
    default:
      return (
        name.startsWith('x-amz-grant-') ||
        name.startsWith('x-amz-server-side-encryption') ||
        name.startsWith('x-amz-copy-source-server-side-encryption')
      );
  }
}

function answer(
  route: BucketRoute | ObjectRoute,
  table: Readonly<Record<string, Subresource>>,
  owner: Owner,
  body: Uint8Array,
): FixedAnswer {
  const name = route.subresource ?? '';
  const row = table[name];
  if (row === undefined || row.get.kind === 'unknown') throw notImplemented(route.method, name);
  if (route.method === 'GET') {
    switch (row.get.kind) {
      case 'acl':
        return { status: 200, body: renderAccessControlPolicy(owner) };
      case 'empty':
        return { status: 200, body: emptyDocument(row.get.element, row.get.content ?? '') };
      case 'missing':
        throw new S3Error(row.get.code, { fields: { BucketName: route.bucket } });
    }
  }
  if (route.method === 'DELETE' && row.canDelete) return NO_CONTENT;
  if (route.method === 'PUT') {
    if (name === 'acl' && setsOwnerOnly(route.headers, owner, body)) return OK;
    if (name === 'tagging' && isEmptyTagging(body)) return OK;
    throw notImplemented(route.method, name);
  }
  throw new S3Error('MethodNotAllowed', {
    fields: { Method: route.method, ResourceType: name.toUpperCase() },
  });
}

function setsOwnerOnly(headers: RequestHeaders, owner: Owner, body: Uint8Array): boolean {
  for (const name of headers.keys()) if (name.startsWith('x-amz-grant-')) return false;
  const canned = headers.get('x-amz-acl');
  if (canned !== undefined) return PRIVATE_ACLS.has(canned);
  if (body.length === 0) {
    throw invalidArgument('x-amz-acl', '', 'Send an ACL as header x-amz-acl or as a document.');
  }
  return isOwnerOnlyAcl(body, owner.id);
}

function notImplemented(method: string, name: string): S3Error {
  return new S3Error('NotImplemented', {
    message: `${method} of the sub-resource ${name} is not implemented.`,
    fields: { ResourceType: name },
  });
}
