/**
 * Checks AWS Signature Version 4, in the `Authorization` header and in presigned URLs.
 *
 * Any region will do, since clients sign with the one they are set to. Every header that begins
 * with `x-amz-` must be signed: otherwise the holder of a presigned URL for a PUT could turn it into
 * a copy. Comparison takes constant time.
 *
 * Source: S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { S3Error } from '../errors.ts';
import { CLOCK_SKEW_MS_MAX } from '../limits.ts';
import { readClaim } from './authorization.ts';
import type { Claim } from './authorization.ts';
import { canonicalRequest, stringToSign } from './canonical-request.ts';
import { isoDate } from './dates.ts';
import type { RequestHead, RequestHeaders } from './headers.ts';
import type { Route } from './route.ts';
import { SigningKeys } from './signing-key.ts';

/** What the signatures of an `aws-chunked` body are made with. */
export interface ChunkSigning {
  readonly key: KeyObject;
  /** Signature of the head, lower-case hex: what the first chunk is chained to. */
  readonly seedSignature: string;
  /** `yyyyMMddTHHmmssZ`. */
  readonly date: string;
  /** `yyyyMMdd/region/s3/aws4_request`. */
  readonly scope: string;
}

/** A request whose signature was right. */
export interface Authentication {
  readonly accessKeyId: string;
  readonly kind: 'header' | 'presigned';
  /** What is said of the body: hex SHA-256, `UNSIGNED-PAYLOAD` or `STREAMING-...`. */
  readonly payloadHash: string;
  readonly chunkSigning: ChunkSigning;
}

/** What a {@link SignatureVerifier} asks of its surroundings. */
export interface SignatureVerifierOptions {
  /** The secret of an access key; undefined if there is none. */
  readonly secretOf: (accessKeyId: string) => string | undefined;
}

const PAYLOAD_HEADER = 'x-amz-content-sha256';
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/** Headers that are covered by the signature in another way, or mean nothing. */
const NEED_NOT_BE_SIGNED: ReadonlySet<string> = new Set([
  PAYLOAD_HEADER,
  'x-amz-date',
  'x-amz-user-agent',
]);

/** Checks signatures, with a bounded number of derived keys at hand. */
export class SignatureVerifier {
  readonly #secretOf: (accessKeyId: string) => string | undefined;
  readonly #keys = new SigningKeys();

  constructor(options: SignatureVerifierOptions) {
    this.#secretOf = options.secretOf;
  }

  /**
   * Proves who a request is from.
   *
   * @param head as sent; `route` is what `routeRequest` made of it.
   * @param nowMs wall time.
   * @throws S3Error `AccessDenied` (nothing signed; expired; a header not signed),
   *   `RequestTimeTooSkewed`, `InvalidAccessKeyId`, `SignatureDoesNotMatch`, and what `readClaim` says.
   */
  verify(head: RequestHead, route: Route, nowMs: number): Authentication {
    const claim = readClaim(head.headers, route.query);
    checkTime(claim, nowMs);
    checkSignedHeaders(claim, head.headers);
    const payload = readPayloadHash(claim, head.headers, route);
    const secret = this.#secretOf(claim.accessKeyId);
    if (secret === undefined) {
      throw new S3Error('InvalidAccessKeyId', { fields: { AWSAccessKeyId: claim.accessKeyId } });
    }
    const canonical = canonicalRequest({
      method: head.method,
      rawPath: route.rawPath,
      query: route.query,
      headers: head.headers,
      signedHeaders: claim.signedHeaders,
      payloadHash: payload.signed,
    });
    const toSign = stringToSign(canonical, claim.date, claim.scope);
    const { key, keep } = this.#keys.keyFor(claim, secret);
    if (!isSignatureOf(key, toSign, claim.signature)) throw mismatch(claim, toSign, canonical);
    keep();
    return {
      accessKeyId: claim.accessKeyId,
      kind: claim.kind,
      payloadHash: payload.effective,
      chunkSigning: {
        key,
        seedSignature: claim.signature,
        date: claim.date,
        scope: claim.scope,
      },
    };
  }
}

/** Whether `signature` (64 lower-case hex digits) is the HMAC of `text`. Constant time. */
export function isSignatureOf(key: KeyObject, text: string, signature: string): boolean {
  const computed = createHmac('sha256', key).update(text).digest();
  return timingSafeEqual(computed, Buffer.from(signature, 'hex'));
}

function checkTime(claim: Claim, nowMs: number): void {
  if (claim.expiresSeconds === undefined) {
    if (Math.abs(nowMs - claim.dateMs) <= CLOCK_SKEW_MS_MAX) return;
    throw new S3Error('RequestTimeTooSkewed', {
      fields: {
        RequestTime: claim.date,
        ServerTime: isoDate(nowMs),
        MaxAllowedSkewMilliseconds: String(CLOCK_SKEW_MS_MAX),
      },
    });
  }
  if (claim.dateMs - nowMs > CLOCK_SKEW_MS_MAX) {
    throw new S3Error('AccessDenied', {
      message: 'Request is not valid yet',
      fields: { 'X-Amz-Date': claim.date, ServerTime: isoDate(nowMs) },
    });
  }
  const expiresMs = claim.dateMs + claim.expiresSeconds * 1000;
  if (nowMs > expiresMs) {
    throw new S3Error('AccessDenied', {
      message: 'Request has expired',
      fields: {
        'X-Amz-Expires': String(claim.expiresSeconds),
        Expires: isoDate(expiresMs),
        ServerTime: isoDate(nowMs),
      },
    });
  }
}

function checkSignedHeaders(claim: Claim, headers: RequestHeaders): void {
  let unsigned = claim.signedHeaders.includes('host') ? '' : 'host';
  for (const name of headers.keys()) {
    if (!name.startsWith('x-amz-') || NEED_NOT_BE_SIGNED.has(name)) continue;
    if (!claim.signedHeaders.includes(name)) unsigned += unsigned === '' ? name : `, ${name}`;
  }
  if (unsigned === '') return;
  throw new S3Error('AccessDenied', {
    message: 'There were headers present in the request which were not signed',
    fields: { HeadersNotSigned: unsigned },
  });
}

/**
 * What was signed as the hash of the body, and what to check the body by. They differ for a
 * presigned URL that was made before anything was known of the body and is used with a header that
 * tells.
 */
function readPayloadHash(
  claim: Claim,
  headers: RequestHeaders,
  route: Route,
): { readonly signed: string; readonly effective: string } {
  const header = headers.get(PAYLOAD_HEADER);
  if (claim.kind === 'header') {
    if (header !== undefined) return { signed: header, effective: header };
    const message = `Missing required header for this request: ${PAYLOAD_HEADER}`;
    throw S3Error.of('InvalidRequest', message);
  }
  const inHeader = claim.signedHeaders.includes(PAYLOAD_HEADER) ? header : undefined;
  const signed = route.query.get('X-Amz-Content-Sha256') ?? inHeader ?? UNSIGNED_PAYLOAD;
  return { signed, effective: signed === UNSIGNED_PAYLOAD ? (header ?? signed) : signed };
}

function mismatch(claim: Claim, toSign: string, canonical: string): S3Error {
  return new S3Error('SignatureDoesNotMatch', {
    fields: {
      AWSAccessKeyId: claim.accessKeyId,
      StringToSign: toSign,
      SignatureProvided: claim.signature,
      StringToSignBytes: spacedHex(toSign),
      CanonicalRequest: canonical,
      CanonicalRequestBytes: spacedHex(canonical),
    },
  });
}

function spacedHex(text: string): string {
  return Buffer.from(text, 'latin1')
    .toString('hex')
    .replace(/..(?=.)/g, '$& ');
}
