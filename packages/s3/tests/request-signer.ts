/**
 * Signs requests the way a client does, for tests. Written from Amazon's description, apart from the
 * code that it tests, so that one mistake is not made twice.
 */
import { createHash, createHmac } from 'node:crypto';

/** Amazon's own example credentials. */
export const ACCESS_KEY_ID = 'AKIAIOSFODNN7EXAMPLE';
export const SECRET_ACCESS_KEY = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const SHA256_OF_NOTHING = sha256('');

/** What a client wants to send. Paths and queries as they stand on the request line. */
export interface SignerInput {
  readonly method: string;
  /** With the query behind a question mark. */
  readonly target: string;
  /** Lower-case names; `host` must be one of them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payloadHash: string;
  /** `yyyyMMddTHHmmssZ`. */
  readonly date: string;
  readonly region?: string;
  readonly secret?: string;
  readonly accessKeyId?: string;
  /** Names that are sent unsigned. */
  readonly unsigned?: readonly string[];
}

/** Name, value, name, value, ... with the `Authorization` header, and the signature. */
export interface SignedRequest {
  readonly rawHeaders: string[];
  readonly signature: string;
}

/** Signs with the `Authorization` header. */
export function signHeaders(input: SignerInput): SignedRequest {
  const headers: Record<string, string> = {
    ...input.headers,
    'x-amz-date': input.date,
    'x-amz-content-sha256': input.payloadHash,
  };
  const names = signedNames(headers, input.unsigned);
  const signature = sign(input, input.target, headers, names);
  const credential = `${input.accessKeyId ?? ACCESS_KEY_ID}/${scopeOf(input)}`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return {
    rawHeaders: [...Object.entries(headers).flat(), 'Authorization', authorization],
    signature,
  };
}

/** Signs with query parameters; returns the target to request. */
export function presign(
  input: Omit<SignerInput, 'payloadHash'> & { readonly expiresSeconds: number },
): string {
  const names = signedNames(input.headers, input.unsigned);
  const credential = `${input.accessKeyId ?? ACCESS_KEY_ID}/${scopeOf(input)}`;
  const parameters = [
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${encodeURIComponent(credential)}`,
    `X-Amz-Date=${input.date}`,
    `X-Amz-Expires=${input.expiresSeconds}`,
    `X-Amz-SignedHeaders=${encodeURIComponent(names.join(';'))}`,
  ];
  const target = `${input.target}${input.target.includes('?') ? '&' : '?'}${parameters.join('&')}`;
  const signature = sign({ ...input, payloadHash: UNSIGNED_PAYLOAD }, target, input.headers, names);
  return `${target}&X-Amz-Signature=${signature}`;
}

/**
 * One signed chunk of a body with its end of line, and its signature, to which the next is chained.
 * The last chunk, which is empty, comes without the empty line (or trailer) that ends the body.
 */
export function signChunk(
  input: Pick<SignerInput, 'date' | 'region' | 'secret'>,
  previous: string,
  data: Uint8Array,
): { readonly bytes: Buffer; readonly signature: string } {
  const toSign = [
    'AWS4-HMAC-SHA256-PAYLOAD',
    input.date,
    scopeOf(input),
    previous,
    SHA256_OF_NOTHING,
    sha256(data),
  ].join('\n');
  const signature = hmac(signingKey(input), toSign).toString('hex');
  const head = Buffer.from(`${data.length.toString(16)};chunk-signature=${signature}\r\n`);
  const end = data.length === 0 ? [] : [Buffer.from('\r\n')];
  return { bytes: Buffer.concat([head, data, ...end]), signature };
}

/** The signature of a trailer, chained to that of the last chunk. */
export function signTrailer(
  input: Pick<SignerInput, 'date' | 'region' | 'secret'>,
  previous: string,
  lines: string,
): string {
  const toSign = [
    'AWS4-HMAC-SHA256-TRAILER',
    input.date,
    scopeOf(input),
    previous,
    sha256(lines),
  ].join('\n');
  return hmac(signingKey(input), toSign).toString('hex');
}

export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function sign(
  input: SignerInput,
  target: string,
  headers: Readonly<Record<string, string>>,
  names: readonly string[],
): string {
  const [path = '', query = ''] = target.split(/\?(.*)/s, 2);
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => pair.split('=', 2))
    .map(([name = '', value = '']) => [canonical(name), canonical(value)] as const)
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  const request = [
    input.method,
    canonical(path).replaceAll('%2F', '/'),
    pairs.map(([name, value]) => `${name}=${value}`).join('&'),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    input.payloadHash,
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', input.date, scopeOf(input), sha256(request)].join('\n');
  return hmac(signingKey(input), toSign).toString('hex');
}

/** Decodes and encodes byte by byte, so that however it was written one form comes out. */
function canonical(text: string): string {
  const bytes = Buffer.from(decodeURIComponent(text), 'utf8');
  let encoded = '';
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9\-._~]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

function signedNames(
  headers: Readonly<Record<string, string>>,
  unsigned: readonly string[] = [],
): string[] {
  return Object.keys(headers)
    .filter((name) => !unsigned.includes(name))
    .sort();
}

function scopeOf(input: Pick<SignerInput, 'date' | 'region'>): string {
  return `${input.date.slice(0, 8)}/${input.region ?? 'us-east-1'}/s3/aws4_request`;
}

function signingKey(input: Pick<SignerInput, 'date' | 'region' | 'secret'>): Buffer {
  const [day, region, service, terminal] = scopeOf(input).split('/') as [
    string,
    string,
    string,
    string,
  ];
  const secret = `AWS4${input.secret ?? SECRET_ACCESS_KEY}`;
  return hmac(hmac(hmac(hmac(secret, day), region), service), terminal);
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
