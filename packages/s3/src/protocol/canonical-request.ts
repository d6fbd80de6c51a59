/**
 * The text that Signature V4 signs.
 *
 * S3's own rules: the path is encoded once and never normalised, every query parameter but the
 * signature itself is sorted by its encoded form, values of headers are trimmed and inner spaces
 * folded.
 *
 * Source: S3 API Reference, "Authenticating Requests: Using the Authorization Header",
 * "... Using Query Parameters".
 */
import { hash } from 'node:crypto';
import type { RequestHeaders } from './headers.ts';
import { percentDecode, percentEncode } from './percent.ts';
import type { Query } from './query.ts';

/** What is signed of a request. */
export interface CanonicalInput {
  readonly method: string;
  /** As sent. It has a decoding: `routeRequest` has seen it. */
  readonly rawPath: string;
  readonly query: Query;
  /** As sent. */
  readonly headers: RequestHeaders;
  /** Lower-case names, sorted. */
  readonly signedHeaders: readonly string[];
  readonly payloadHash: string;
}

/** The canonical request. Characters are bytes: it may hold raw bytes of header values. */
export function canonicalRequest(input: CanonicalInput): string {
  let headerLines = '';
  for (const name of input.signedHeaders) {
    headerLines += `${name}:${canonicalValue(input.headers.get(name) ?? '')}\n`;
  }
  const query = canonicalQuery(input.query);
  const path = canonicalPath(input.rawPath);
  const names = input.signedHeaders.join(';');
  return `${input.method}\n${path}\n${query}\n${headerLines}\n${names}\n${input.payloadHash}`;
}

/** The string to sign for a canonical request. */
export function stringToSign(canonical: string, date: string, scope: string): string {
  const digest = hash('sha256', Buffer.from(canonical, 'latin1'), 'hex');
  return `AWS4-HMAC-SHA256\n${date}\n${scope}\n${digest}`;
}

function canonicalPath(rawPath: string): string {
  return percentEncode(percentDecode(rawPath) ?? rawPath, true);
}

function canonicalQuery(query: Query): string {
  if (query.parameters.length === 0) return '';
  const encoded: [string, string][] = [];
  for (const { name, value } of query.parameters) {
    if (name === 'X-Amz-Signature') continue;
    encoded.push([percentEncode(name, false), percentEncode(value, false)]);
  }
  encoded.sort(([nameA, valueA], [nameB, valueB]) =>
    nameA === nameB ? compare(valueA, valueB) : compare(nameA, nameB),
  );
  return encoded.map(([name, value]) => `${name}=${value}`).join('&');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function canonicalValue(value: string): string {
  const trimmed = withoutOuterBlanks(value);
  return trimmed.includes('  ') ? trimmed.replace(/ {2,}/g, ' ') : trimmed;
}

/** Not `trim`, which takes the byte A0 for a space too: characters of UTF-8 end with it. */
function withoutOuterBlanks(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value, start)) start += 1;
  while (end > start && isBlank(value, end - 1)) end -= 1;
  return value.slice(start, end);
}

function isBlank(value: string, index: number): boolean {
  return value[index] === ' ' || value[index] === '\t';
}
