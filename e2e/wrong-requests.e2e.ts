/**
 * Requests that are wrong in one place: length, checksum, signature, document. Each gets the error
 * that S3 gives, leaves no object behind, and the server goes on.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import {
  exchange,
  headText,
  sha256Hex,
  sign,
  signedExchange,
  signedHead,
  signer,
  type RequestShape,
} from './harness/raw-http.ts';
import { Scratch } from './harness/scratch.ts';

const scratch = new Scratch('wrong-requests');
const body = Buffer.from('the body that was meant');
const path = '/wrong/key';
const put: RequestShape = { method: 'PUT', path, payload: sha256Hex(body) };
const length = { 'content-length': String(body.length) };
let server: DozoServer;

beforeAll(async () => {
  server = await DozoServer.start({ dataDirectory: scratch.directory('data'), size: '1GiB' });
  expect((await signedExchange(server, { method: 'PUT', path: '/wrong' })).status).toBe(200);
});

afterEach(async () => {
  // Whatever was wrong: nothing is stored, and an honest request still works.
  expect((await signedExchange(server, { method: 'GET', path })).code).toBe('NoSuchKey');
  expect((await signedExchange(server, { method: 'PUT', path: '/wrong/ok' }, body)).status).toBe(
    200,
  );
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

const md5Base64 = (bytes: string): string => createHash('md5').update(bytes).digest('base64');

test.each([
  ['an MD5 of other bytes', { 'content-md5': md5Base64('other') }, 'BadDigest'],
  ['an MD5 that is none', { 'content-md5': 'not base64 of 16 bytes' }, 'InvalidDigest'],
  ['a CRC32 of other bytes', { 'x-amz-checksum-crc32': 'AAAAAA==' }, 'BadDigest'],
  ['a SHA1 of other bytes', { 'x-amz-checksum-sha1': 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=' }, 'BadDigest'],
  ['a CRC32 that is none', { 'x-amz-checksum-crc32': '!' }, 'InvalidRequest'],
])('%s is refused', async (_, headers, code) => {
  const answer = await exchange(server, [signedHead(server, { ...put, headers }, length), body]);
  expect([answer.status, answer.code]).toEqual([400, code]);
});

test('a body with another SHA-256 than was signed is refused', async () => {
  const head = signedHead(server, { ...put, payload: sha256Hex('other') }, length);
  const answer = await exchange(server, [head, body]);
  expect([answer.status, answer.code]).toEqual([400, 'XAmzContentSHA256Mismatch']);
});

test('a body that ends early stores nothing', async () => {
  const head = signedHead(server, put, { 'content-length': String(body.length + 10) });
  const answer = await exchange(server, [head, body], { isOver: true });
  expect([0, 400]).toContain(answer.status);
});

test('a PUT without any length is refused', async () => {
  const answer = await exchange(server, signedHead(server, put));
  expect([answer.status, answer.code]).toEqual([411, 'MissingContentLength']);
});

test('a body of more than 5 GiB is refused before it is sent', async () => {
  const huge = { 'content-length': String(5 * 2 ** 30 + 1) };
  const answer = await exchange(server, signedHead(server, put, huge));
  expect([answer.status, answer.code]).toEqual([400, 'EntityTooLarge']);
});

test('a client that expects 100-continue is refused before it sends its body', async () => {
  const signed = sign(server, put).headers;
  const authorization = (signed['authorization'] ?? '').replace(/.$/, 'x');
  const headers = { ...signed, ...length, authorization, expect: '100-continue' };
  const answer = await exchange(server, headText(put, headers));
  expect([answer.status, answer.code]).toEqual([403, 'SignatureDoesNotMatch']);
  expect(answer.text).not.toContain('100 Continue');
});

test.each([
  ['a header that was signed and is another one now', { 'x-amz-meta-colour': 'red' }],
  ['a signature with a wrong digit', { authorization: 'wrong digit' }],
])('%s does not pass', async (_, change) => {
  const signed = sign(server, { ...put, headers: { 'x-amz-meta-colour': 'blue' } }).headers;
  const changed: Record<string, string> = { ...signed, ...length, ...change };
  if (changed['authorization'] === 'wrong digit') {
    const digits = signed['authorization'] ?? '';
    changed['authorization'] = `${digits.slice(0, -1)}${digits.endsWith('0') ? '1' : '0'}`;
  }
  const answer = await exchange(server, [headText(put, changed), body]);
  expect([answer.status, answer.code]).toEqual([403, 'SignatureDoesNotMatch']);
});

test.each([
  ['AWS4-HMAC-SHA256 nonsense', 400, 'AuthorizationHeaderMalformed'],
  ['AWS id:signature-of-version-2', 400, 'InvalidRequest'],
])('the authorization "%s" is refused', async (authorization, status, code) => {
  const headers = { ...sign(server, put).headers, ...length, authorization };
  const answer = await exchange(server, [headText(put, headers), body]);
  expect([answer.status, answer.code]).toEqual([status, code]);
});

interface Chunk {
  readonly bytes: Buffer;
  /** Signs other bytes than are sent. */
  readonly isForged?: boolean;
}

/** A body in signed chunks, as restic and old SDKs send it. */
function signedChunks(chunks: readonly Chunk[], decodedBytes: number): (string | Buffer)[] {
  const request = {
    ...{ method: 'PUT', path, payload: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' },
    headers: {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': `${decodedBytes}`,
    },
  };
  const { headers, signature, timestamp, scope } = sign(server, request);
  let previous = signature;
  const parts: (string | Buffer)[] = [];
  for (const { bytes, isForged = false } of [...chunks, { bytes: Buffer.alloc(0) }]) {
    const signedBytes = isForged ? Buffer.from('forged') : bytes;
    const text = [
      ...['AWS4-HMAC-SHA256-PAYLOAD', timestamp, scope, previous],
      ...[sha256Hex(''), sha256Hex(signedBytes)],
    ].join('\n');
    previous = signer.hmacHex(timestamp.slice(0, 8), text);
    parts.push(`${bytes.length.toString(16)};chunk-signature=${previous}\r\n`, bytes, '\r\n');
  }
  const bodyBytes = parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
  return [headText(request, { ...headers, 'content-length': `${bodyBytes}` }), ...parts];
}

test('signed chunks are stored when each signature is right', async () => {
  const chunks = [{ bytes: Buffer.alloc(70_000, 'a') }, { bytes: Buffer.from('end') }];
  const answer = await exchange(server, signedChunks(chunks, 70_003));
  expect(answer.status).toBe(200);
  const back = await signedExchange(server, { method: 'GET', path });
  expect(back.text.endsWith('aaaend')).toBe(true);
  expect((await signedExchange(server, { method: 'DELETE', path })).status).toBe(204);
});

test('a chunk with other bytes than were signed spoils the whole object', async () => {
  const chunks = [{ bytes: Buffer.alloc(70_000) }, { bytes: Buffer.from('end'), isForged: true }];
  const answer = await exchange(server, signedChunks(chunks, 70_003));
  expect([answer.status, answer.code]).toEqual([403, 'SignatureDoesNotMatch']);
});

test.each([
  [10, 'less'],
  [30_000, 'more'],
])('chunks that bring another length than the %i bytes declared are refused', async (declared) => {
  const answer = await exchange(server, signedChunks([{ bytes: Buffer.alloc(20_000) }], declared));
  expect([answer.status, answer.code]).toEqual([400, 'IncompleteBody']);
});

/** A body of unknown length in unsigned chunks with a checksum behind it, as SDKs send streams. */
function unsignedChunks(bytes: Buffer, checksum: string): (string | Buffer)[] {
  const request = {
    ...{ method: 'PUT', path, payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' },
    headers: { 'content-encoding': 'aws-chunked', 'x-amz-trailer': 'x-amz-checksum-crc32' },
  };
  const text = Buffer.concat([
    ...[Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n0\r\n')],
    Buffer.from(`x-amz-checksum-crc32:${checksum}\r\n\r\n`),
  ]);
  const head = signedHead(server, request, { 'transfer-encoding': 'chunked' });
  return [head, `${text.length.toString(16)}\r\n`, text, '\r\n0\r\n\r\n'];
}

test('chunks with the right checksum behind them are stored, without any length given', async () => {
  const bytes = Buffer.alloc(100_000, 'b');
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(bytes));
  const answer = await exchange(server, unsignedChunks(bytes, checksum.toString('base64')));
  expect([answer.status, answer.code]).toEqual([200, '']);
  const back = await signedExchange(server, { method: 'GET', path });
  expect(back.text).toMatch(/\r\nContent-Length: 100000\r\n/i);
  expect((await signedExchange(server, { method: 'DELETE', path })).status).toBe(204);
});

test('chunks with another checksum behind them are refused', async () => {
  const answer = await exchange(server, unsignedChunks(Buffer.alloc(100_000, 'b'), 'AAAAAA=='));
  expect([answer.status, answer.code]).toEqual([400, 'BadDigest']);
});

test('a chunk size that is no number is refused', async () => {
  const [head = '', ...rest] = signedChunks([{ bytes: Buffer.alloc(100) }], 100);
  rest[0] = String(rest[0]).replace(/^64/, 'zz');
  const answer = await exchange(server, [head, ...rest]);
  expect(answer.status).toBe(400);
});

test.each([
  ['nothing', ''],
  ['half a document', '<Delete><Object><Key>a</Key>'],
  ['another document', '<Tagging/>'],
  ['an entity', '<!DOCTYPE d [<!ENTITY e "x">]><Delete><Object><Key>&e;</Key></Object></Delete>'],
  ['a billion laughs', '<!DOCTYPE d [<!ENTITY a "&b;&b;"><!ENTITY b "&a;">]><Delete>&a;</Delete>'],
  ['depth without end', '<Delete>'.repeat(10_000)],
  ['too many keys', `<Delete>${'<Object><Key>k</Key></Object>'.repeat(1_001)}</Delete>`],
  [
    'bytes that are not UTF-8',
    Buffer.from('<Delete><Object><Key>\xff</Key></Object></Delete>', 'latin1'),
  ],
])('a document for DeleteObjects with %s is malformed', async (_, document) => {
  const bytes = Buffer.from(document);
  const md5 = createHash('md5').update(bytes).digest('base64');
  const answer = await signedExchange(
    server,
    { method: 'POST', path: '/wrong', query: 'delete=', headers: { 'content-md5': md5 } },
    bytes,
  );
  expect(answer.status).toBe(400);
  expect(['MalformedXML', 'MissingRequestBodyError']).toContain(answer.code);
});

test.each([
  ['/wrong/%zz', 400],
  [`/wrong/${'x'.repeat(1_025)}`, 400],
  ['/wrong/%ff%fe', 400],
])('the path %s is refused', async (badPath, status) => {
  const answer = await signedExchange(server, { method: 'PUT', path: badPath }, body);
  expect(answer.status).toBe(status);
});

test.each([
  ['GET', '/wrong', 'max-keys=x&versions=', 400, 'InvalidArgument'],
  ['GET', '/wrong', 'continuation-token=%21%21&list-type=2', 400, 'InvalidArgument'],
  ['GET', '/wrong', 'inventory=', 501, 'NotImplemented'],
  ['PUT', '/wrong/key', 'partNumber=0&uploadId=x', 400, 'InvalidArgument'],
  ['PUT', '/wrong/key', 'partNumber=1&uploadId=x', 404, 'NoSuchUpload'],
  ['PATCH', '/wrong/key', '', 405, 'MethodNotAllowed'],
])('%s %s?%s is answered with %i %s', async (method, where, query, status, code) => {
  const answer = await signedExchange(server, { method, path: where, query });
  expect([answer.status, answer.code]).toEqual([status, code]);
});
