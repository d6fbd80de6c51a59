/**
 * The headers that are kept with an object and sent back with it.
 *
 * Values are binary strings, one character per byte as they came (see `headers.ts`), and go out as
 * the same bytes. `aws-chunked` is an encoding of the request, not of the object, and is not kept.
 *
 * Source: S3 API Reference, PutObject, GetObject; S3 User Guide, "Working with object metadata".
 */
import { invalidArgument, S3Error } from '../errors.ts';
import {
  KEPT_HEADER_BYTES_MAX,
  USER_METADATA_BYTES_MAX,
  USER_METADATA_NAME_BYTES_MAX,
} from '../limits.ts';
import { CONTROL_CHARACTER } from './headers.ts';
import type { RequestHeaders } from './headers.ts';
import type { Query } from './query.ts';

/** Headers that are kept with an object, as binary strings. */
export interface ObjectHeaders {
  readonly contentType?: string;
  readonly cacheControl?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly expires?: string;
  /** Lower-case names without `x-amz-meta-`, and values, in the order in which they came. */
  readonly userMetadata: readonly (readonly [name: string, value: string])[];
}

/** Type of an object that was put without one. */
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';
const USER_PREFIX = 'x-amz-meta-';

const KEPT = [
  ['contentType', 'content-type'],
  ['cacheControl', 'cache-control'],
  ['contentDisposition', 'content-disposition'],
  ['contentEncoding', 'content-encoding'],
  ['contentLanguage', 'content-language'],
  ['expires', 'expires'],
] as const;

/**
 * Takes the headers to keep from a request.
 *
 * @throws S3Error `MetadataTooLarge`; `RequestHeaderSectionTooLarge` for one long standard header.
 */
export function parseObjectHeaders(headers: RequestHeaders): ObjectHeaders {
  const userMetadata: [string, string][] = [];
  let userBytes = 0;
  for (const [name, value] of headers) {
    if (!name.startsWith(USER_PREFIX)) continue;
    const shortName = name.slice(USER_PREFIX.length);
    if (shortName.length > USER_METADATA_NAME_BYTES_MAX) throw nameTooLong(shortName.length);
    userBytes += shortName.length + value.length;
    userMetadata.push([shortName, value]);
  }
  if (userBytes > USER_METADATA_BYTES_MAX) {
    throw new S3Error('MetadataTooLarge', {
      fields: { Size: String(userBytes), MaxSizeAllowed: String(USER_METADATA_BYTES_MAX) },
    });
  }
  const kept: { -readonly [Name in keyof ObjectHeaders]: ObjectHeaders[Name] } = { userMetadata };
  for (const [field, name] of KEPT) {
    const sent = headers.get(name);
    if (sent === undefined) continue;
    const value = field === 'contentEncoding' ? withoutAwsChunked(sent) : sent;
    if (value.length > KEPT_HEADER_BYTES_MAX) {
      const message = `The header ${name} has ${value.length} bytes; at most ${KEPT_HEADER_BYTES_MAX} are kept.`;
      throw S3Error.of('RequestHeaderSectionTooLarge', message);
    }
    if (value !== '') kept[field] = value;
  }
  return kept;
}

/**
 * What GET and HEAD send, the `response-*` parameters of the query applied.
 *
 * @throws S3Error `InvalidArgument` for a parameter that cannot be a header.
 */
export function renderObjectHeaders(headers: ObjectHeaders, query: Query): Record<string, string> {
  const rendered: Record<string, string> = {};
  for (const [field, name] of KEPT) {
    const value = overridden(query, name) ?? headers[field];
    if (value !== undefined) rendered[name] = value;
  }
  rendered['content-type'] ??= DEFAULT_CONTENT_TYPE;
  for (const [name, value] of headers.userMetadata) rendered[`${USER_PREFIX}${name}`] = value;
  return rendered;
}

function nameTooLong(sizeBytes: number): S3Error {
  return new S3Error('MetadataTooLarge', {
    message: 'The name of a metadata header is too long.',
    fields: { Size: String(sizeBytes), MaxSizeAllowed: String(USER_METADATA_NAME_BYTES_MAX) },
  });
}

function overridden(query: Query, name: string): string | undefined {
  if (query.parameters.length === 0) return undefined;
  const parameter = `response-${name}`;
  const value = query.get(parameter);
  if (value === undefined || value === '') return undefined;
  if (CONTROL_CHARACTER.test(value)) {
    throw invalidArgument(parameter, value, 'A header cannot hold control characters.');
  }
  return Buffer.from(value, 'utf8').toString('latin1');
}

function withoutAwsChunked(contentEncoding: string): string {
  if (!contentEncoding.includes('aws-chunked')) return contentEncoding;
  return contentEncoding
    .split(',')
    .map((encoding) => encoding.trim())
    .filter((encoding) => encoding !== 'aws-chunked' && encoding !== '')
    .join(',');
}
