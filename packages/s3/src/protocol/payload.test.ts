import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import { sha256, SHA256_OF_NOTHING } from '../../tests/request-signer.ts';
import { parseRequestHeaders } from './headers.ts';
import { createBodyDecoder, decodeWholeBody } from './payload.ts';
import { planBody } from './payload-plan.ts';
import type { BodyOptions, BodyPlan } from './payload-plan.ts';
import { routeRequest } from './route.ts';
import type { Authentication } from './signature-v4.ts';
import { deriveSigningKey } from './signing-key.ts';

const OPTIONS: BodyOptions = { bytesMax: 1000, lengthRequired: true, md5: true };
const HELLO = Buffer.from('hello');
const HELLO_MD5 = '5d41402abc4b2a76b9719d911017c592';
const HELLO_MD5_BASE64 = 'XUFAKrxLKna5cZ2REBfFkg==';
const HELLO_SHA256_BASE64 = Buffer.from(sha256(HELLO), 'hex').toString('base64');

function authenticated(payloadHash: string): Authentication {
  const chunkSigning = {
    key: deriveSigningKey('secret', '20130524', 'us-east-1'),
    seedSignature: '0'.repeat(64),
    date: '20130524T000000Z',
    scope: '20130524/us-east-1/s3/aws4_request',
  };
  return { accessKeyId: 'a', kind: 'header', payloadHash, chunkSigning };
}

function plan(
  payloadHash: string,
  headers: Readonly<Record<string, string>>,
  options: Partial<BodyOptions> = {},
  [method, target] = ['PUT', '/bucket/key'],
): BodyPlan {
  const head = {
    method,
    target,
    headers: parseRequestHeaders(['host', 'h', ...Object.entries(headers).flat()]),
  };
  return planBody(routeRequest(head, []), authenticated(payloadHash), { ...OPTIONS, ...options });
}

function planCode(...input: Parameters<typeof plan>): string {
  return refusal(() => plan(...input)).code;
}

const length = { 'content-length': '5' };
const STREAMING_UNSIGNED = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
const STREAMING_SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';

describe('planBody', () => {
  it('knows every mode by the hash that was signed', () => {
    const decoded = { 'x-amz-decoded-content-length': '5' };
    expect(plan(sha256(HELLO).toUpperCase(), length)).toMatchObject({
      framing: 'plain',
      sizeBytes: 5,
      expectedSha256: sha256(HELLO),
    });
    expect(plan('UNSIGNED-PAYLOAD', length)).toMatchObject({ framing: 'plain', sizeBytes: 5 });
    expect(plan(STREAMING_SIGNED, decoded)).toMatchObject({
      framing: 'chunked',
      hasTrailer: false,
      chunkSigning: { date: '20130524T000000Z' },
    });
    expect(plan(`${STREAMING_SIGNED}-TRAILER`, decoded)).toMatchObject({
      framing: 'chunked',
      hasTrailer: true,
      chunkSigning: { date: '20130524T000000Z' },
    });
    expect(plan(STREAMING_UNSIGNED, decoded)).toMatchObject({
      framing: 'chunked',
      hasTrailer: true,
      chunkSigning: undefined,
    });
  });

  it.each(['', 'abc', 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', `${'a'.repeat(63)}g`])(
    'refuses %j, which is no mode',
    (hash) => {
      expect(planCode(hash, length)).toBe('InvalidArgument');
    },
  );

  it('demands a length of objects and parts, in every mode but unsigned chunks', () => {
    expect(planCode('UNSIGNED-PAYLOAD', {})).toBe('MissingContentLength');
    expect(planCode('UNSIGNED-PAYLOAD', { 'transfer-encoding': 'chunked' })).toBe(
      'MissingContentLength',
    );
    expect(planCode(STREAMING_SIGNED, length)).toBe('MissingContentLength');
    expect(planCode(STREAMING_SIGNED, { 'x-amz-decoded-content-length': '5x' })).toBe(
      'InvalidArgument',
    );
    const unknown = plan(STREAMING_UNSIGNED, { 'transfer-encoding': 'chunked' });
    expect(unknown.sizeBytes).toBeUndefined();
  });

  it('demands no length of a document', () => {
    const options = { lengthRequired: false };
    expect(plan(SHA256_OF_NOTHING, {}, options).sizeBytes).toBe(0);
    const chunked = { 'transfer-encoding': 'chunked' };
    expect(plan(SHA256_OF_NOTHING, chunked, options).sizeBytes).toBeUndefined();
  });

  it('refuses before the body comes what is announced too large', () => {
    expect(planCode('UNSIGNED-PAYLOAD', { 'content-length': '1001' })).toBe('EntityTooLarge');
    expect(planCode(STREAMING_SIGNED, { 'x-amz-decoded-content-length': '1001' })).toBe(
      'EntityTooLarge',
    );
    expect(plan('UNSIGNED-PAYLOAD', { 'content-length': '1000' }).sizeBytes).toBe(1000);
  });

  it.each(['', 'abc', HELLO_MD5, HELLO_MD5_BASE64.slice(0, -2), `${HELLO_MD5_BASE64} `])(
    'refuses %j as Content-MD5',
    (md5) => {
      expect(planCode('UNSIGNED-PAYLOAD', { ...length, 'content-md5': md5 })).toBe('InvalidDigest');
    },
  );

  it.each<[Readonly<Record<string, string>>]>([
    [{ 'x-amz-checksum-crc32': 'nothing' }],
    [{ 'x-amz-checksum-crc32': 'AAAA' }],
    [{ 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-crc32c': 'AAAAAA==' }],
    [{ 'x-amz-sdk-checksum-algorithm': 'CRC32' }],
    [{ 'x-amz-sdk-checksum-algorithm': 'MD4', 'x-amz-checksum-crc32': 'AAAAAA==' }],
    [{ 'x-amz-sdk-checksum-algorithm': 'SHA1', 'x-amz-checksum-crc32': 'AAAAAA==' }],
    [{ 'x-amz-trailer': 'x-amz-checksum-crc32' }],
  ])('refuses the checksum headers %j', (headers) => {
    expect(planCode('UNSIGNED-PAYLOAD', { ...length, ...headers })).toBe('InvalidRequest');
  });

  it('refuses a trailer that is no checksum, or one besides a header', () => {
    const streaming = (headers: Readonly<Record<string, string>>): string =>
      planCode(STREAMING_UNSIGNED, headers);
    expect(streaming({ 'x-amz-trailer': 'x-amz-meta-a' })).toBe('InvalidRequest');
    expect(
      streaming({ 'x-amz-trailer': 'x-amz-checksum-sha1', 'x-amz-checksum-crc32': 'AAAAAA==' }),
    ).toBe('InvalidRequest');
    expect(plan(STREAMING_UNSIGNED, { 'x-amz-trailer': 'x-amz-checksum-sha1' })).toMatchObject({
      trailerName: 'x-amz-checksum-sha1',
      checksumAlgorithm: 'SHA1',
    });
  });

  it('holds a part to the checksum of its upload', () => {
    const crc = { ...length, 'x-amz-checksum-crc32': 'AAAAAA==' };
    expect(planCode('UNSIGNED-PAYLOAD', crc, { checksumAlgorithm: 'SHA1' })).toBe('InvalidRequest');
    const computed = plan('UNSIGNED-PAYLOAD', length, { checksumAlgorithm: 'SHA1' });
    expect(computed).toMatchObject({ checksumAlgorithm: 'SHA1', expectedChecksum: undefined });
  });

  it('does not take the checksum of a whole upload for that of the document', () => {
    const complete = plan(
      'UNSIGNED-PAYLOAD',
      { ...length, 'x-amz-checksum-crc32': 'AAAAAA==-3', 'x-amz-sdk-checksum-algorithm': 'CRC32' },
      {},
      ['POST', '/bucket/key?uploadId=u'],
    );
    expect(complete).toMatchObject({ checksumAlgorithm: undefined, expectedChecksum: undefined });
  });

  it('ignores the checksum of an empty body that a presigned URL carries', () => {
    const target =
      '/bucket/key?X-Amz-Signature=x&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32';
    const presigned = plan('UNSIGNED-PAYLOAD', length, {}, ['PUT', target]);
    expect(presigned).toMatchObject({ checksumAlgorithm: undefined });
    expect(decodeWholeBody(presigned, HELLO).summary.md5).toBe(HELLO_MD5);
  });

  it('checks any other checksum that a presigned URL carries', () => {
    const target = '/bucket/key?X-Amz-Signature=x&x-amz-checksum-crc32=AAAAAQ%3D%3D';
    const presigned = plan('UNSIGNED-PAYLOAD', length, {}, ['PUT', target]);
    expect(refusal(() => decodeWholeBody(presigned, HELLO)).code).toBe('BadDigest');
  });
});

describe('plain bodies', () => {
  const all = {
    ...length,
    'content-md5': HELLO_MD5_BASE64,
    'x-amz-checksum-sha256': HELLO_SHA256_BASE64,
  };

  it('come through with every hash that was asked for, whole or in pieces', () => {
    const bodyPlan = plan(sha256(HELLO), all);
    const expected = {
      sizeBytes: 5,
      md5: HELLO_MD5,
      checksum: { algorithm: 'SHA256', value: HELLO_SHA256_BASE64 },
    };
    expect(decodeWholeBody(bodyPlan, HELLO)).toEqual({ payload: HELLO, summary: expected });
    for (let cut = 0; cut <= 5; cut++) {
      const decoder = createBodyDecoder(bodyPlan);
      const pieces: Uint8Array[] = [];
      decoder.push(HELLO.subarray(0, cut), (piece) => pieces.push(piece));
      decoder.push(HELLO.subarray(cut), (piece) => pieces.push(piece));
      expect(decoder.finish()).toEqual(expected);
      expect(Buffer.concat(pieces).toString()).toBe('hello');
    }
  });

  it('may be empty', () => {
    const bodyPlan = plan(SHA256_OF_NOTHING, { 'content-length': '0' });
    const empty = { sizeBytes: 0, md5: 'd41d8cd98f00b204e9800998ecf8427e', checksum: undefined };
    expect(createBodyDecoder(bodyPlan).finish()).toEqual(empty);
    expect(decodeWholeBody(bodyPlan, Buffer.alloc(0)).summary).toEqual(empty);
  });

  it.each<[string, Readonly<Record<string, string>>, string]>([
    ['another hash than was signed', {}, 'XAmzContentSHA256Mismatch'],
    ['another Content-MD5', { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' }, 'BadDigest'],
    ['another CRC32', { 'x-amz-checksum-crc32': 'AAAAAQ==' }, 'BadDigest'],
    ['another SHA-256', { 'x-amz-checksum-sha256': `${'A'.repeat(43)}=` }, 'BadDigest'],
    ['too few bytes', { 'content-length': '6' }, 'IncompleteBody'],
    ['too many bytes', { 'content-length': '4' }, 'IncompleteBody'],
  ])('are refused with %s, whole or in pieces', (_, headers, code) => {
    const hash = code === 'XAmzContentSHA256Mismatch' ? sha256('other') : sha256(HELLO);
    const bodyPlan = plan(hash, { ...length, ...headers });
    expect(refusal(() => decodeWholeBody(bodyPlan, HELLO)).code).toBe(code);
    const decoder = createBodyDecoder(bodyPlan);
    const inPieces = refusal(() => {
      for (const byte of HELLO) decoder.push(Buffer.of(byte), () => undefined);
      decoder.finish();
    });
    expect(inPieces.code).toBe(code);
  });

  it('of unknown length are bounded', () => {
    const options = { lengthRequired: false, bytesMax: 4 };
    const bodyPlan = plan('UNSIGNED-PAYLOAD', { 'transfer-encoding': 'chunked' }, options);
    expect(refusal(() => decodeWholeBody(bodyPlan, HELLO)).code).toBe('EntityTooLarge');
  });

  it('give the same hashes in any pieces', () => {
    const algorithm = fc.constantFrom('CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.nat(500), algorithm, (body, at, name) => {
        const bodyPlan = plan(
          sha256(body),
          { 'content-length': String(body.length) },
          { checksumAlgorithm: name },
        );
        const decoder = createBodyDecoder(bodyPlan);
        const cut = at % (body.length + 1);
        decoder.push(body.subarray(0, cut), () => undefined);
        decoder.push(body.subarray(cut), () => undefined);
        expect(decoder.finish()).toEqual(decodeWholeBody(bodyPlan, body).summary);
      }),
    );
  });
});
