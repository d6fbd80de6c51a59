/**
 * AWS Signature Version 4 in headers, for programs that speak S3 by hand: the load generator, and the
 * tests that send what no SDK would. Written apart from the server's, so that neither can hide a
 * mistake of the other.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export interface UnsignedRequest {
  readonly method: string;
  /** With port where it is not the protocol's own. */
  readonly host: string;
  /** Percent-encoded, as it goes over the wire. */
  readonly path: string;
  /** Percent-encoded and sorted, without the question mark. */
  readonly query?: string;
  /** Hex SHA-256 of the body, or one of the words that stand in its place. */
  readonly payload: string;
  /** More headers to send and to sign; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What chunk signatures start from. */
export interface SignedRequest {
  /** All headers to send, `authorization` among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signature: string;
  /** `20261122T160000Z` */
  readonly timestamp: string;
  readonly scope: string;
}

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

const hmac = (key: KeyObject, text: string): Buffer =>
  createHmac('sha256', key).update(text).digest();

/** Signs requests of one holder of credentials. The key of a day is derived once. */
export class Signer {
  readonly #credentials: Credentials;
  #day = '';
  #dayKey: KeyObject | undefined;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  sign(request: UnsignedRequest, now: Date): SignedRequest {
    const timestamp = now.toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
    const headers: Record<string, string> = {
      host: request.host,
      'x-amz-content-sha256': request.payload,
      'x-amz-date': timestamp,
      ...request.headers,
    };
    const names = Object.keys(headers).toSorted();
    const signedNames = names.join(';');
    const canonical = [
      request.method,
      request.path,
      request.query ?? '',
      ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replaceAll(/ +/g, ' ')}`),
      '',
      signedNames,
      request.payload,
    ].join('\n');
    const day = timestamp.slice(0, 8);
    const scope = `${day}/${this.#credentials.region}/s3/aws4_request`;
    const signature = this.hmacHex(
      day,
      `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${hash('sha256', canonical, 'hex')}`,
    );
    headers['authorization'] =
      `AWS4-HMAC-SHA256 Credential=${this.#credentials.accessKeyId}/${scope}, ` +
      `SignedHeaders=${signedNames}, Signature=${signature}`;
    return { headers, signature, timestamp, scope };
  }

  /** Signs a text with the key of a day, as chunk signatures need it. */
  hmacHex(day: string, text: string): string {
    if (this.#dayKey === undefined || day !== this.#day) {
      const { secretAccessKey, region } = this.#credentials;
      let key = createSecretKey(Buffer.from(`AWS4${secretAccessKey}`));
      for (const part of [day, region, 's3', 'aws4_request'])
        key = createSecretKey(hmac(key, part));
      this.#dayKey = key;
      this.#day = day;
    }
    return hmac(this.#dayKey, text).toString('hex');
  }
}

/** Percent-encodes a key for a path: every byte except `A-Za-z0-9-._~/`. */
export function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll(/[!'()*]/g, (found) => `%${(found.codePointAt(0) ?? 0).toString(16).toUpperCase()}`)
    .replaceAll('%2F', '/');
}
