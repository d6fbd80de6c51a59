/**
 * Request headers as one map from lower-case name to value.
 *
 * Node's own object drops some duplicates and joins others, so that what a signature covers and what
 * the server acts on could be two things. Here a header that may stand once stands once, or the
 * request is refused; all others are joined with a comma, as Signature V4 does.
 *
 * Values are "binary strings", one character per byte as they came, so that bytes that are not
 * ASCII can be signed, kept and sent back unchanged.
 */
import { S3Error } from '../errors.ts';

/** Lower-case name to value; see the file comment for the encoding. */
export type RequestHeaders = ReadonlyMap<string, string>;

/** The first line and the headers of a request. */
export interface RequestHead {
  /** As sent: `GET`, `PUT`. */
  readonly method: string;
  /** The request target as it stood on the request line, nothing decoded. */
  readonly target: string;
  readonly headers: RequestHeaders;
}

/** A name that a header can have. Source: RFC 9110, section 5.6.2. */
export const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** What the value of a header cannot hold; a tab it can. */
export const CONTROL_CHARACTER = /[\0-\x08\x0a-\x1f\x7f]/;

/** Headers that are joined with a comma when they come more than once. */
const LISTS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'connection',
  'content-encoding',
  'content-language',
  'forwarded',
  'if-match',
  'if-none-match',
  'keep-alive',
  'pragma',
  'te',
  'trailer',
  'upgrade',
  'via',
  'x-amz-object-attributes',
  'x-amz-trailer',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);

/**
 * Reads Node's `rawHeaders` (name, value, name, value, ...).
 *
 * @throws S3Error `InvalidRequest` where a header that may stand once stands twice.
 */
export function parseRequestHeaders(rawHeaders: readonly string[]): RequestHeaders {
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    const value = rawHeaders[index + 1] as string;
    const before = headers.get(name);
    if (before === undefined) {
      headers.set(name, value);
    } else if (LISTS.has(name) || name.startsWith('x-amz-meta-') || !matters(name)) {
      headers.set(name, `${before},${value}`);
    } else {
      throw S3Error.of('InvalidRequest', `The header ${name} may be sent only once.`);
    }
  }
  return headers;
}

/** Whether the server acts on the header, so that two of them would be two instructions. */
function matters(name: string): boolean {
  return name.startsWith('x-amz-') || SINGLE.has(name);
}

const SINGLE: ReadonlySet<string> = new Set([
  'authorization',
  'content-disposition',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'expect',
  'expires',
  'host',
  'if-modified-since',
  'if-range',
  'if-unmodified-since',
  'range',
  'transfer-encoding',
]);
