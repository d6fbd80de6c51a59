/**
 * Reads how a request says who it is from: the `Authorization` header or the `X-Amz-*` parameters
 * of a presigned URL. Nothing is proved here; `signature-v4.ts` does that.
 *
 * Source: S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
 */
import { S3Error } from '../errors.ts';
import { AUTHORIZATION_LENGTH_MAX, PRESIGNED_EXPIRES_SECONDS_MAX } from '../limits.ts';
import { basicDate, parseBasicDate, parseHttpDate } from './dates.ts';
import type { RequestHeaders } from './headers.ts';
import type { Query } from './query.ts';

/** What a request claims, well-formed but unproved. */
export interface Claim {
  readonly kind: 'header' | 'presigned';
  readonly accessKeyId: string;
  /** `yyyyMMdd`. */
  readonly day: string;
  readonly region: string;
  /** `yyyyMMdd/region/s3/aws4_request`. */
  readonly scope: string;
  /** Lower-case names, sorted. */
  readonly signedHeaders: readonly string[];
  /** 64 lower-case hex digits. */
  readonly signature: string;
  /** `yyyyMMddTHHmmssZ`, as it is signed. */
  readonly date: string;
  readonly dateMs: number;
  /** How long it is valid, for a presigned URL. */
  readonly expiresSeconds: number | undefined;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
const SIGNATURE = /^[0-9a-f]{64}$/;

/**
 * Reads the claim of a request.
 *
 * @throws S3Error `AccessDenied` where there is none, `InvalidArgument` where there are two,
 *   `AuthorizationHeaderMalformed`, `AuthorizationQueryParametersError`, `InvalidRequest` for another
 *   way of signing, `InvalidToken` for a session, which nobody here gave out.
 */
export function readClaim(headers: RequestHeaders, query: Query): Claim {
  const authorization = headers.get('authorization');
  const hasQuery =
    query.parameters.length > 0 &&
    ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature', 'Signature'].some((name) =>
      query.has(name),
    );
  if (authorization !== undefined && hasQuery) {
    const message =
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query ' +
      'string parameter or the Authorization header should be specified';
    throw S3Error.of('InvalidArgument', message);
  }
  if (headers.has('x-amz-security-token') || query.has('X-Amz-Security-Token')) {
    throw new S3Error('InvalidToken');
  }
  if (authorization !== undefined) return readHeader(authorization, headers);
  if (hasQuery) return readQuery(query);
  throw new S3Error('AccessDenied');
}

function readHeader(authorization: string, headers: RequestHeaders): Claim {
  if (!authorization.startsWith(`${ALGORITHM} `)) throw unsupportedMechanism();
  if (authorization.length > AUTHORIZATION_LENGTH_MAX) throw malformedHeader('it is too long');
  const fields = new Map<string, string>();
  for (const piece of authorization.slice(ALGORITHM.length + 1).split(',')) {
    const equals = piece.indexOf('=');
    const name = piece.slice(0, Math.max(0, equals)).trim();
    if (equals < 0 || fields.has(name))
      throw malformedHeader(`"${piece.trim()}" is no field of it`);
    fields.set(name, piece.slice(equals + 1).trim());
  }
  const field = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined || value === '') throw malformedHeader(`the ${name} field is missing`);
    return value;
  };
  const [credential, signed] = [field('Credential'), field('SignedHeaders')];
  const signature = readSignature(field('Signature'));
  const date = readDate(headers);
  return {
    kind: 'header',
    ...readCredential(credential, date.text, malformedHeader),
    signedHeaders: readSignedHeaders(signed),
    signature,
    date: date.text,
    dateMs: date.ms,
    expiresSeconds: undefined,
  };
}

function readQuery(query: Query): Claim {
  const algorithm = query.get('X-Amz-Algorithm');
  if (algorithm === undefined && query.has('Signature')) throw unsupportedMechanism();
  const credential = query.get('X-Amz-Credential');
  const dateText = query.get('X-Amz-Date');
  const expires = query.get('X-Amz-Expires');
  const signed = query.get('X-Amz-SignedHeaders');
  const signature = query.get('X-Amz-Signature');
  if (
    algorithm === undefined ||
    credential === undefined ||
    dateText === undefined ||
    expires === undefined ||
    signed === undefined ||
    signature === undefined
  ) {
    throw new S3Error('AuthorizationQueryParametersError');
  }
  if (algorithm !== ALGORITHM) {
    throw malformedQuery(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  }
  const dateMs = parseBasicDate(dateText);
  if (dateMs === undefined) {
    throw malformedQuery(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`);
  }
  return {
    kind: 'presigned',
    ...readCredential(credential, dateText, malformedQuery),
    signedHeaders: readSignedHeaders(signed),
    signature: readSignature(signature),
    date: dateText,
    dateMs,
    expiresSeconds: readExpires(expires),
  };
}

function readExpires(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw malformedQuery('X-Amz-Expires should be a number');
  const seconds = Number(text);
  if (seconds < 0) throw malformedQuery('X-Amz-Expires must be non-negative');
  if (seconds > PRESIGNED_EXPIRES_SECONDS_MAX) {
    const message = `X-Amz-Expires must be less than a week (in seconds) that is ${PRESIGNED_EXPIRES_SECONDS_MAX}`;
    throw malformedQuery(message);
  }
  return seconds;
}

/** An access key may hold slashes; the four pieces of the scope may not. Any region will do. */
function readCredential(
  text: string,
  date: string,
  malformed: (why: string) => S3Error,
): Pick<Claim, 'accessKeyId' | 'day' | 'region' | 'scope'> {
  const pieces = text.split('/');
  const [day, region, service, terminal] = pieces.slice(-4);
  const accessKeyId = pieces.slice(0, -4).join('/');
  if (pieces.length < 5 || accessKeyId === '' || region === undefined || region === '') {
    throw malformed(
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"',
    );
  }
  if (service !== 's3') {
    throw malformed(`incorrect service "${service ?? ''}". This endpoint belongs to "s3"`);
  }
  if (terminal !== 'aws4_request') {
    throw malformed(`incorrect terminal "${terminal ?? ''}". This endpoint uses "aws4_request"`);
  }
  if (day === undefined || day !== date.slice(0, 8)) {
    throw malformed(
      `Invalid credential date "${day ?? ''}". This date is not the same as "${date}"`,
    );
  }
  return { accessKeyId, day, region, scope: `${day}/${region}/s3/aws4_request` };
}

function readSignedHeaders(text: string): readonly string[] {
  const names = text.toLowerCase().split(';');
  for (let index = 1; index < names.length; index++) {
    if ((names[index - 1] as string) > (names[index] as string)) return names.sort();
  }
  return names;
}

function readSignature(text: string): string {
  if (SIGNATURE.test(text)) return text;
  throw new S3Error('SignatureDoesNotMatch', { fields: { SignatureProvided: text } });
}

function readDate(headers: RequestHeaders): { readonly text: string; readonly ms: number } {
  const text = headers.get('x-amz-date');
  if (text !== undefined) {
    const ms = parseBasicDate(text);
    if (ms !== undefined) return { text, ms };
  } else {
    const ms = parseHttpDate(headers.get('date') ?? '');
    if (ms !== undefined) return { text: basicDate(ms), ms };
  }
  throw S3Error.of('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
}

function unsupportedMechanism(): S3Error {
  const message = `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`;
  return S3Error.of('InvalidRequest', message);
}

function malformedHeader(why: string): S3Error {
  return S3Error.of(
    'AuthorizationHeaderMalformed',
    `The authorization header is malformed; ${why}.`,
  );
}

function malformedQuery(why: string): S3Error {
  return S3Error.of('AuthorizationQueryParametersError', why);
}
