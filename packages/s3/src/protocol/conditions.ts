/**
 * Conditional requests: what was sent, and whether it holds.
 *
 * Reading follows RFC 9110, section 13.2.2, which is also S3's table: If-Match wins over
 * If-Unmodified-Since, If-None-Match over If-Modified-Since. Dates compare in whole seconds, since a
 * header cannot say more. Writing knows If-Match and `If-None-Match: *`.
 *
 * Source: S3 API Reference, GetObject, CopyObject; S3 User Guide, "Conditional writes".
 */
import { S3Error } from '../errors.ts';
import { parseHttpDate } from './dates.ts';
import type { RequestHeaders } from './headers.ts';

/** What conditions are evaluated against. */
export interface ObjectState {
  /** Without quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number;
}

/** Conditional headers as they were sent; a date that is none counts as not sent (RFC 9110). */
export interface Conditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  readonly ifModifiedSinceMs?: number;
  readonly ifUnmodifiedSinceMs?: number;
}

const NONE: Conditions = Object.freeze({});

/** Conditions of GetObject and HeadObject. */
export function parseReadConditions(headers: RequestHeaders): Conditions {
  return parse(headers, 'if-');
}

/** `x-amz-copy-source-if-*` of CopyObject and UploadPartCopy. */
export function parseCopySourceConditions(headers: RequestHeaders): Conditions {
  return parse(headers, 'x-amz-copy-source-if-');
}

/**
 * Conditions of whatever changes an object: PutObject, CopyObject, CompleteMultipartUpload,
 * DeleteObject.
 *
 * @throws S3Error `NotImplemented` for an `If-None-Match` that is not `*`, and for both at once.
 */
export function parseWriteConditions(headers: RequestHeaders): Conditions {
  const ifMatch = headers.get('if-match');
  const ifNoneMatch = headers.get('if-none-match');
  if (ifMatch === undefined && ifNoneMatch === undefined) return NONE;
  if (ifNoneMatch === undefined) return ifMatch === undefined ? NONE : { ifMatch };
  if (ifMatch !== undefined || ifNoneMatch.trim() !== '*') {
    throw new S3Error('NotImplemented', {
      message: 'A write takes either If-Match with an ETag or If-None-Match with *.',
      fields: { Header: 'If-None-Match' },
    });
  }
  return { ifNoneMatch };
}

/**
 * Evaluates the conditions of a read.
 *
 * @throws S3Error `PreconditionFailed`.
 */
export function evaluateReadConditions(
  conditions: Conditions,
  object: ObjectState,
): 'proceed' | 'not-modified' {
  if (conditions === NONE) return 'proceed';
  checkMustHold(conditions, object, { match: 'If-Match', date: 'If-Unmodified-Since' });
  return holdsUnchanged(conditions, object) ? 'not-modified' : 'proceed';
}

/**
 * Checks the conditions on the source of a copy. What would be a 304 of a read is a 412 here.
 *
 * @throws S3Error `PreconditionFailed`.
 */
export function checkCopySourceConditions(conditions: Conditions, object: ObjectState): void {
  if (conditions === NONE) return;
  checkMustHold(conditions, object, {
    match: 'x-amz-copy-source-If-Match',
    date: 'x-amz-copy-source-If-Unmodified-Since',
  });
  if (holdsUnchanged(conditions, object)) {
    throw failed(
      conditions.ifNoneMatch === undefined
        ? 'x-amz-copy-source-If-Modified-Since'
        : 'x-amz-copy-source-If-None-Match',
    );
  }
}

/**
 * Checks the conditions of a write. To be called again with the new state after a lost race.
 *
 * @param existing what is there now; undefined if nothing is.
 * @throws S3Error `PreconditionFailed`; `NoSuchKey` for an `If-Match` where nothing is.
 */
export function checkWriteConditions(
  conditions: Conditions,
  existing: ObjectState | undefined,
): void {
  if (conditions.ifNoneMatch !== undefined && existing !== undefined) throw failed('If-None-Match');
  if (conditions.ifMatch === undefined) return;
  if (existing === undefined) throw new S3Error('NoSuchKey');
  if (!matchesEtag(conditions.ifMatch, existing.etag)) throw failed('If-Match');
}

/** Whether a list of entity tags as sent (`*`, quoted or bare, weak or not) names `etag`. */
export function matchesEtag(list: string, etag: string): boolean {
  return list.split(',').some((item) => {
    const tag = bareEtag(item);
    return tag === '*' || tag === etag;
  });
}

/** An entity tag without spaces, weakness and quotes. */
export function bareEtag(text: string): string {
  let tag = text.trim();
  if (tag.startsWith('W/')) tag = tag.slice(2);
  return tag.length >= 2 && tag.startsWith('"') && tag.endsWith('"') ? tag.slice(1, -1) : tag;
}

function parse(headers: RequestHeaders, prefix: string): Conditions {
  const ifMatch = headers.get(`${prefix}match`);
  const ifNoneMatch = headers.get(`${prefix}none-match`);
  const modified = headers.get(`${prefix}modified-since`);
  const unmodified = headers.get(`${prefix}unmodified-since`);
  if ((ifMatch ?? ifNoneMatch ?? modified ?? unmodified) === undefined) return NONE;
  const ifModifiedSinceMs = modified === undefined ? undefined : parseHttpDate(modified);
  const ifUnmodifiedSinceMs = unmodified === undefined ? undefined : parseHttpDate(unmodified);
  return {
    ...(ifMatch !== undefined && { ifMatch }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch }),
    ...(ifModifiedSinceMs !== undefined && { ifModifiedSinceMs }),
    ...(ifUnmodifiedSinceMs !== undefined && { ifUnmodifiedSinceMs }),
  };
}

function checkMustHold(
  conditions: Conditions,
  object: ObjectState,
  names: { readonly match: string; readonly date: string },
): void {
  if (conditions.ifMatch !== undefined) {
    if (!matchesEtag(conditions.ifMatch, object.etag)) throw failed(names.match);
  } else if (
    conditions.ifUnmodifiedSinceMs !== undefined &&
    wholeSeconds(object.lastModifiedMs) > conditions.ifUnmodifiedSinceMs
  ) {
    throw failed(names.date);
  }
}

function holdsUnchanged(conditions: Conditions, object: ObjectState): boolean {
  if (conditions.ifNoneMatch !== undefined) {
    return matchesEtag(conditions.ifNoneMatch, object.etag);
  }
  return (
    conditions.ifModifiedSinceMs !== undefined &&
    wholeSeconds(object.lastModifiedMs) <= conditions.ifModifiedSinceMs
  );
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

function failed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', { fields: { Condition: condition } });
}
