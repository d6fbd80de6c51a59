/**
 * Byte ranges of GET and UploadPartCopy.
 *
 * A range that is not of the form `bytes=a-b`, `bytes=a-` or `bytes=-n` is ignored, several ranges
 * too: the answer is the whole object, as Amazon's is. One that begins past the end is a 416.
 *
 * Source: RFC 9110, section 14; S3 API Reference, GetObject, UploadPartCopy.
 */
import { invalidArgument, S3Error } from '../errors.ts';
import { matchesEtag } from './conditions.ts';
import type { ObjectState } from './conditions.ts';
import { parseHttpDate } from './dates.ts';
import type { RequestHeaders } from './headers.ts';

/** Bytes `[start, end)` of an object, not empty. */
export interface BodyRange {
  readonly start: number;
  readonly end: number;
}

const RANGE = /^bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*$/i;
const COPY_RANGE = /^bytes=(\d{1,19})-(\d{1,19})$/;

/**
 * The range that a GET asks for; undefined for the whole object, also where `If-Range` names
 * another state of the object.
 *
 * @throws S3Error `InvalidRange`.
 */
export function parseRange(
  headers: RequestHeaders,
  object: ObjectState & { readonly sizeBytes: number },
): BodyRange | undefined {
  const text = headers.get('range');
  if (text === undefined) return undefined;
  const match = RANGE.exec(text);
  const [first, last] = [match?.[1] ?? '', match?.[2] ?? ''];
  if (match === null || (first === '' && last === '')) return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  if (!holdsIfRange(headers.get('if-range'), object)) return undefined;

  const { sizeBytes } = object;
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (start >= sizeBytes || start >= end) throw unsatisfiable(text, sizeBytes);
  return { start, end };
}

/**
 * `x-amz-copy-source-range`; undefined if it was not sent.
 *
 * @param sizeBytes of the source.
 * @throws S3Error `InvalidArgument` for another form than `bytes=a-b`, `InvalidRange` past the end.
 */
export function parseCopySourceRange(
  headers: RequestHeaders,
  sizeBytes: number,
): BodyRange | undefined {
  const name = 'x-amz-copy-source-range';
  const text = headers.get(name);
  if (text === undefined) return undefined;
  const match = COPY_RANGE.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || last < first) {
    const message =
      `The ${name} value must be of the form bytes=first-last where first and last are the ` +
      'zero-based offsets of the first and last bytes to copy';
    throw invalidArgument(name, text, message);
  }
  if (last >= sizeBytes) throw unsatisfiable(text, sizeBytes);
  return { start: first, end: last + 1 };
}

/** Value of the header `content-range` for a range that is sent. */
export function contentRange(range: BodyRange, sizeBytes: number): string {
  return `bytes ${range.start}-${range.end - 1}/${sizeBytes}`;
}

function holdsIfRange(text: string | undefined, object: ObjectState): boolean {
  if (text === undefined) return true;
  const ms = parseHttpDate(text);
  // A weak tag does not do for a range (RFC 9110, section 13.1.5).
  if (ms === undefined) return !text.trim().startsWith('W/') && matchesEtag(text, object.etag);
  return Math.floor(object.lastModifiedMs / 1000) * 1000 === ms;
}

function unsatisfiable(requested: string, sizeBytes: number): S3Error {
  return new S3Error('InvalidRange', {
    fields: { RangeRequested: requested, ActualObjectSize: String(sizeBytes) },
    headers: { 'content-range': `bytes */${sizeBytes}` },
  });
}
