/**
 * What a request asks for, of whom: method, path, host and sub-resource become an operation.
 *
 * Both styles of address are known: `/bucket/key` (path style) and `bucket.base-domain/key`
 * (virtual-host style). A key is what stands in the path, decoded once: double slashes, dot segments
 * and pluses stay as they are. A sub-resource that is not known is refused, because a PUT with one
 * would otherwise overwrite the object itself.
 *
 * In a presigned URL, headers that begin with `x-amz-` may stand in the query; they count as headers.
 *
 * Source: S3 User Guide, "Virtual hosting of buckets"; S3 API Reference, "Actions".
 */
import { invalidArgument, S3Error } from '../errors.ts';
import { requireBucketName, requireObjectKey } from './bucket-name.ts';
import { algorithmOfHeader, checksumOfNothing } from './checksum.ts';
import { CONTROL_CHARACTER, HEADER_NAME } from './headers.ts';
import type { RequestHead, RequestHeaders } from './headers.ts';
import { percentDecode } from './percent.ts';
import { Query } from './query.ts';
import { BUCKET_SUBRESOURCES, OBJECT_SUBRESOURCES } from './subresource-table.ts';
import { requireNullVersion } from './version-id.ts';

/** What can be asked of the service as a whole. */
export type ServiceOperation = 'ListBuckets';

/** What can be asked of a bucket. `BucketSubresource`: see `answerBucketSubresource`. */
export type BucketOperation =
  | 'CreateBucket'
  | 'HeadBucket'
  | 'DeleteBucket'
  | 'ListObjects'
  | 'ListObjectsV2'
  | 'ListObjectVersions'
  | 'ListMultipartUploads'
  | 'DeleteObjects'
  | 'GetBucketLocation'
  | 'BucketSubresource';

/** What can be asked of an object. `ObjectSubresource`: see `answerObjectSubresource`. */
export type ObjectOperation =
  | 'GetObject'
  | 'HeadObject'
  | 'PutObject'
  | 'CopyObject'
  | 'DeleteObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'UploadPartCopy'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  | 'ListParts'
  | 'ObjectSubresource';

interface RouteBase {
  readonly method: string;
  /** The path as sent, nothing decoded; for the signature and for `Resource` in errors. */
  readonly rawPath: string;
  readonly query: Query;
  /** What to act on: the headers as sent, and those that a presigned URL carries. */
  readonly headers: RequestHeaders;
  /** Which one, for the two `...Subresource` operations. */
  readonly subresource: string | undefined;
}

/** A request to the service. */
export interface ServiceRoute extends RouteBase {
  readonly scope: 'service';
  readonly operation: ServiceOperation;
}

/** A request to a bucket. */
export interface BucketRoute extends RouteBase {
  readonly scope: 'bucket';
  readonly operation: BucketOperation;
  /** A valid bucket name. */
  readonly bucket: string;
}

/** A request to an object. */
export interface ObjectRoute extends RouteBase {
  readonly scope: 'object';
  readonly operation: ObjectOperation;
  readonly bucket: string;
  /** Decoded, `[1, OBJECT_KEY_BYTES_MAX]` bytes of UTF-8. */
  readonly key: string;
}

/** What a request asks for, of whom. */
export type Route = ServiceRoute | BucketRoute | ObjectRoute;

/** What a signature in the query is made of; everything else in `x-amz-` is a header. */
const SIGNATURE_PARAMETERS: ReadonlySet<string> = new Set([
  'x-amz-algorithm',
  'x-amz-content-sha256',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-security-token',
  'x-amz-signature',
  'x-amz-signedheaders',
]);

/** Parameters that may stand without a value and choose no sub-resource. */
const PLAIN_PARAMETERS: ReadonlySet<string> = new Set([
  'continuation-token',
  'delete',
  'delimiter',
  'encoding-type',
  'fetch-owner',
  'key-marker',
  'list-type',
  'location',
  'marker',
  'max-buckets',
  'max-keys',
  'max-parts',
  'max-uploads',
  'part-number-marker',
  'partNumber',
  'prefix',
  'start-after',
  'upload-id-marker',
  'uploadId',
  'uploads',
  'version-id-marker',
  'versionId',
  'versions',
  'x-id',
]);

/**
 * Finds out what a request asks for.
 *
 * @param baseDomains names under which buckets are hosts (`s3.example.org` makes
 *   `photos.s3.example.org` the bucket `photos`), lower case, without port; may be empty.
 * @throws S3Error `InvalidURI`, `InvalidBucketName`, `KeyTooLongError`, `MethodNotAllowed`,
 *   `NotImplemented`, `InvalidArgument`, `InvalidRequest`, `AccessForbidden` (a preflight).
 */
export function routeRequest(head: RequestHead, baseDomains: readonly string[]): Route {
  const { rawPath, rawQuery } = splitTarget(head.target);
  const query = Query.parse(rawQuery);
  const headers = query.has('X-Amz-Signature')
    ? withQueryHeaders(head.headers, query)
    : head.headers;
  const path = percentDecode(rawPath);
  if (path?.startsWith('/') !== true) throw new S3Error('InvalidURI');
  const base = { method: head.method, rawPath, query, headers, subresource: undefined };

  const host = baseDomains.length === 0 ? undefined : bucketOfHost(head.headers, baseDomains);
  const slash = host === undefined ? path.indexOf('/', 1) : 0;
  const bucket = host ?? (slash < 0 ? path.slice(1) : path.slice(1, slash));
  const key = slash < 0 ? '' : path.slice(slash + 1);
  if (bucket === '') {
    if (key !== '') throw new S3Error('InvalidBucketName', { fields: { BucketName: '' } });
    refuseUnknownParameters(query);
    if (head.method !== 'GET') throw methodNotAllowed(head.method, 'SERVICE');
    return { ...base, scope: 'service', operation: 'ListBuckets' };
  }
  requireBucketName(bucket);
  if (head.method === 'OPTIONS') throw new S3Error('AccessForbidden');
  if (key === '') return routeBucket(base, bucket);
  requireObjectKey(key);
  return routeObject(base, bucket, key);
}

function routeBucket(base: RouteBase, bucket: string): BucketRoute {
  const { method, query } = base;
  const route = (operation: BucketOperation): BucketRoute => ({
    ...base,
    scope: 'bucket',
    operation,
    bucket,
  });
  if (query.parameters.length > 0) {
    const subresource = find(query, BUCKET_SUBRESOURCES);
    if (subresource !== undefined) return { ...route('BucketSubresource'), subresource };
    refuseUnknownParameters(query);
    if (method === 'GET') {
      if (query.has('location')) return route('GetBucketLocation');
      if (query.has('versions')) return route('ListObjectVersions');
      if (query.has('uploads')) return route('ListMultipartUploads');
      if (query.get('list-type') === '2') return route('ListObjectsV2');
    } else if (method === 'POST' && query.has('delete')) {
      return route('DeleteObjects');
    } else {
      const chosen = ['location', 'versions', 'uploads', 'delete'].find((name) => query.has(name));
      if (chosen !== undefined) throw methodNotAllowed(method, chosen.toUpperCase());
    }
  }
  switch (method) {
    case 'GET':
      return route('ListObjects');
    case 'HEAD':
      return route('HeadBucket');
    case 'PUT':
      return route('CreateBucket');
    case 'DELETE':
      return route('DeleteBucket');
    case 'POST':
      throw S3Error.of('NotImplemented', 'Uploads by HTML form (POST policy) are not implemented.');
    default:
      throw methodNotAllowed(method, 'BUCKET');
  }
}

function routeObject(base: RouteBase, bucket: string, key: string): ObjectRoute {
  const { method, query, headers } = base;
  const route = (operation: ObjectOperation): ObjectRoute => ({
    ...base,
    scope: 'object',
    operation,
    bucket,
    key,
  });
  const copies = method === 'PUT' && headers.has('x-amz-copy-source');
  if (query.parameters.length > 0) {
    requireNullVersion(query.get('versionId'));
    const subresource = find(query, OBJECT_SUBRESOURCES);
    if (subresource !== undefined) return { ...route('ObjectSubresource'), subresource };
    refuseUnknownParameters(query);
    if (query.has('uploads')) {
      if (method !== 'POST') throw methodNotAllowed(method, 'UPLOADS');
      return route('CreateMultipartUpload');
    }
    if (query.has('uploadId')) return route(uploadOperation(method, copies));
    if (method === 'PUT' && query.has('partNumber')) {
      throw S3Error.of('InvalidArgument', 'A part is put with partNumber and uploadId.');
    }
  }
  switch (method) {
    case 'GET':
      return route('GetObject');
    case 'HEAD':
      return route('HeadObject');
    case 'PUT':
      return route(copies ? 'CopyObject' : 'PutObject');
    case 'DELETE':
      return route('DeleteObject');
    default:
      throw methodNotAllowed(method, 'OBJECT');
  }
}

function uploadOperation(method: string, copies: boolean): ObjectOperation {
  switch (method) {
    case 'GET':
      return 'ListParts';
    case 'PUT':
      return copies ? 'UploadPartCopy' : 'UploadPart';
    case 'POST':
      return 'CompleteMultipartUpload';
    case 'DELETE':
      return 'AbortMultipartUpload';
    default:
      throw methodNotAllowed(method, 'UPLOAD');
  }
}

/** Splits path and query; a target in absolute form (through a proxy) loses scheme and authority. */
function splitTarget(target: string): { readonly rawPath: string; readonly rawQuery: string } {
  let start = 0;
  if (!target.startsWith('/')) {
    const authority = /^https?:\/\/[^/?]*/i.exec(target);
    if (authority === null) throw new S3Error('InvalidURI');
    start = authority[0].length;
  }
  const question = target.indexOf('?', start);
  const path = target.slice(start, question < 0 ? undefined : question);
  return {
    rawPath: path === '' ? '/' : path,
    rawQuery: question < 0 ? '' : target.slice(question + 1),
  };
}

/** The bucket that the host names; undefined where it is the service itself or unknown to us. */
function bucketOfHost(headers: RequestHeaders, baseDomains: readonly string[]): string | undefined {
  const host = (headers.get('host') ?? '').toLowerCase().replace(/:\d*$/, '');
  for (const domain of baseDomains) {
    if (host.endsWith(`.${domain}`)) return host.slice(0, -domain.length - 1);
  }
  return undefined;
}

function find(query: Query, table: Readonly<Record<string, unknown>>): string | undefined {
  return query.parameters.find(({ name }) => Object.hasOwn(table, name))?.name;
}

function refuseUnknownParameters(query: Query): void {
  for (const { name, value } of query.parameters) {
    if (value !== '' || PLAIN_PARAMETERS.has(name)) continue;
    if (name.startsWith('response-') || name.toLowerCase().startsWith('x-amz-')) continue;
    throw new S3Error('NotImplemented', {
      message: `The sub-resource ${name} is not known or not implemented.`,
      fields: { ResourceType: name },
    });
  }
}

function withQueryHeaders(headers: RequestHeaders, query: Query): RequestHeaders {
  const merged = new Map(headers);
  for (const parameter of query.parameters) {
    const name = parameter.name.toLowerCase();
    if (!name.startsWith('x-amz-') || merged.has(name) || SIGNATURE_PARAMETERS.has(name)) continue;
    // An SDK that signs before it knows the body sends the checksum of an empty one along, and the
    // name of its algorithm. Neither says anything of the body that comes.
    if (name === 'x-amz-sdk-checksum-algorithm') continue;
    const algorithm = algorithmOfHeader(name);
    if (algorithm !== undefined && parameter.value === checksumOfNothing(algorithm)) continue;
    // What could not have come as a header could not be sent back as one either.
    if (!HEADER_NAME.test(name) || CONTROL_CHARACTER.test(parameter.value)) {
      const message = 'A parameter that stands for a header must be one that a header could be.';
      throw invalidArgument(parameter.name, parameter.value, message);
    }
    merged.set(name, Buffer.from(parameter.value, 'utf8').toString('latin1'));
  }
  return merged;
}

function methodNotAllowed(method: string, resourceType: string): S3Error {
  return new S3Error('MethodNotAllowed', {
    fields: { Method: method, ResourceType: resourceType },
  });
}
