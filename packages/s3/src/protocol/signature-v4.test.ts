import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal } from '../../tests/refusal.ts';
import {
  ACCESS_KEY_ID,
  presign,
  SECRET_ACCESS_KEY,
  sha256,
  SHA256_OF_NOTHING,
  signHeaders,
} from '../../tests/request-signer.ts';
import type { SignerInput } from '../../tests/request-signer.ts';
import { S3Error } from '../errors.ts';
import { parseRequestHeaders } from './headers.ts';
import type { RequestHead } from './headers.ts';
import { routeRequest } from './route.ts';
import { SignatureVerifier } from './signature-v4.ts';
import type { Authentication } from './signature-v4.ts';

const DATE = '20130524T000000Z';
const DATE_MS = Date.UTC(2013, 4, 24);
const DOMAINS = ['s3.amazonaws.com'];
const HOST = 'examplebucket.s3.amazonaws.com';

function newVerifier(): SignatureVerifier {
  return new SignatureVerifier({
    secretOf: (accessKeyId) => (accessKeyId === ACCESS_KEY_ID ? SECRET_ACCESS_KEY : undefined),
  });
}

function headOf(method: string, target: string, rawHeaders: readonly string[]): RequestHead {
  return { method, target, headers: parseRequestHeaders(rawHeaders) };
}

function verify(head: RequestHead, nowMs = DATE_MS, verifier = newVerifier()): Authentication {
  return verifier.verify(head, routeRequest(head, DOMAINS), nowMs);
}

function authorization(signedHeaders: string, signature: string): string {
  const credential = `${ACCESS_KEY_ID}/20130524/us-east-1/s3/aws4_request`;
  return `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${signedHeaders},Signature=${signature}`;
}

/** Source: S3 API Reference, "Examples: Signature Calculations". */
describe("Amazon's published examples", () => {
  const common = ['Host', HOST, 'x-amz-date', DATE];

  it('verifies GET object with a range', () => {
    const head = headOf('GET', '/test.txt', [
      ...common,
      ...['Range', 'bytes=0-9', 'x-amz-content-sha256', SHA256_OF_NOTHING],
      'Authorization',
      authorization(
        'host;range;x-amz-content-sha256;x-amz-date',
        'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
      ),
    ]);
    expect(verify(head)).toMatchObject({ accessKeyId: ACCESS_KEY_ID, kind: 'header' });
  });

  it('verifies PUT object with an escaped key and a Date header', () => {
    const payloadHash = sha256('Welcome to Amazon S3.');
    const head = headOf('PUT', '/test$file.text', [
      ...common,
      ...['Date', 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class', 'REDUCED_REDUNDANCY'],
      ...['x-amz-content-sha256', payloadHash],
      'Authorization',
      authorization(
        'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
        '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
      ),
    ]);
    expect(verify(head).payloadHash).toBe(payloadHash);
  });

  it('verifies GET bucket lifecycle, a parameter without a value', () => {
    const head = headOf('GET', '/?lifecycle', [
      ...common,
      ...['x-amz-content-sha256', SHA256_OF_NOTHING],
      'Authorization',
      authorization(
        'host;x-amz-content-sha256;x-amz-date',
        'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
      ),
    ]);
    expect(verify(head).accessKeyId).toBe(ACCESS_KEY_ID);
  });

  it('verifies a listing, whatever the order of its parameters', () => {
    const head = headOf('GET', '/?prefix=J&max-keys=2', [
      ...common,
      ...['x-amz-content-sha256', SHA256_OF_NOTHING],
      'Authorization',
      authorization(
        'host;x-amz-content-sha256;x-amz-date',
        '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
      ),
    ]);
    expect(verify(head).accessKeyId).toBe(ACCESS_KEY_ID);
  });

  const presigned =
    '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256' +
    '&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
    `&X-Amz-Date=${DATE}&X-Amz-Expires=86400&X-Amz-SignedHeaders=host` +
    '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';

  it('verifies a presigned URL until the second at which it expires', () => {
    const head = headOf('GET', presigned, ['Host', HOST]);
    expect(verify(head)).toMatchObject({ kind: 'presigned', payloadHash: 'UNSIGNED-PAYLOAD' });
    expect(verify(head, DATE_MS + 86_400_000).kind).toBe('presigned');
    const late = refusal(() => verify(head, DATE_MS + 86_400_001));
    expect([late.code, late.message]).toEqual(['AccessDenied', 'Request has expired']);
    expect(late.detail.fields).toMatchObject({ 'X-Amz-Expires': '86400' });
  });

  it('refuses a presigned URL that is not valid yet', () => {
    const head = headOf('GET', presigned, ['Host', HOST]);
    const early = refusal(() => verify(head, DATE_MS - 16 * 60_000));
    expect([early.code, early.message]).toEqual(['AccessDenied', 'Request is not valid yet']);
  });
});

describe('requests of other clients', () => {
  const input: SignerInput = {
    method: 'PUT',
    target: '/photos/key',
    headers: { host: 'localhost:9000', 'content-type': 'text/plain' },
    payloadHash: 'UNSIGNED-PAYLOAD',
    date: DATE,
  };
  const send = (changes: Partial<SignerInput>): RequestHead => {
    const merged = { ...input, ...changes };
    return headOf(merged.method, merged.target, signHeaders(merged).rawHeaders);
  };

  it('verifies any path, query and header that the signature covers', () => {
    const verifier = newVerifier();
    const segment = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });
    const value = fc.string({ unit: 'grapheme-ascii', maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(segment, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(segment, segment), { maxLength: 5 }),
        value,
        fc.constantFrom('us-east-1', 'US', 'eu-west-3', 'here'),
        (segments, parameters, metadata, region) => {
          const path = segments.map((part) => encodeURIComponent(part)).join('/');
          const query = parameters
            .map(([name, text]) => `q${encodeURIComponent(name)}=${encodeURIComponent(text)}`)
            .join('&');
          const head = send({
            target: `/photos/${path}${query === '' ? '' : `?${query}`}`,
            headers: { ...input.headers, 'x-amz-meta-note': metadata },
            region,
          });
          expect(verify(head, DATE_MS, verifier).accessKeyId).toBe(ACCESS_KEY_ID);
        },
      ),
    );
  });

  it('refuses when a single byte of what was signed is another', () => {
    const signed = signHeaders({ ...input, target: '/photos/key?versionId=null' });
    const change = (method: string, target: string, from: string, to: string): string =>
      refusal(() =>
        verify(
          headOf(
            method,
            target,
            signed.rawHeaders.map((text) => (text === from ? to : text)),
          ),
        ),
      ).code;
    const same = '/photos/key?versionId=null';
    expect(change('GET', same, '', '')).toBe('SignatureDoesNotMatch');
    expect(change('PUT', '/photos/kez?versionId=null', '', '')).toBe('SignatureDoesNotMatch');
    expect(change('PUT', '/photos//key?versionId=null', '', '')).toBe('SignatureDoesNotMatch');
    expect(change('PUT', '/photos/key', '', '')).toBe('SignatureDoesNotMatch');
    expect(change('PUT', `${same}&x=y`, '', '')).toBe('SignatureDoesNotMatch');
    expect(change('PUT', same, 'text/plain', 'text/html')).toBe('SignatureDoesNotMatch');
    expect(change('PUT', same, 'localhost:9000', 'localhost:9001')).toBe('SignatureDoesNotMatch');
    expect(change('PUT', same, DATE, '20130524T000001Z')).toBe('SignatureDoesNotMatch');
    expect(change('PUT', same, 'UNSIGNED-PAYLOAD', SHA256_OF_NOTHING)).toBe(
      'SignatureDoesNotMatch',
    );
    expect(verify(headOf('PUT', same, signed.rawHeaders)).accessKeyId).toBe(ACCESS_KEY_ID);
  });

  it('tells what was signed here, so that a person can compare', () => {
    const error = refusal(() => verify(send({ secret: 'wrong' })));
    expect(error.code).toBe('SignatureDoesNotMatch');
    expect(error.detail.fields).toMatchObject({ AWSAccessKeyId: ACCESS_KEY_ID });
    expect(error.detail.fields['CanonicalRequest']).toMatch(/^PUT\n\/photos\/key\n\ncontent-type:/);
    expect(error.detail.fields['StringToSign']).toMatch(/^AWS4-HMAC-SHA256\n20130524T000000Z\n/);
    expect(error.detail.fields['StringToSignBytes']).toMatch(/^41 57 53 34 /);
  });

  it('verifies raw bytes of a header as they came', () => {
    const note = Buffer.from('grün').toString('latin1');
    const signed = signHeaders({
      ...input,
      headers: { ...input.headers, 'x-amz-meta-note': 'grün' },
    });
    const raw = signed.rawHeaders.map((text) => (text === 'grün' ? note : text));
    expect(verify(headOf('PUT', input.target, raw)).accessKeyId).toBe(ACCESS_KEY_ID);
  });

  it('takes a byte A0 at the end of a header for a part of its character, not for a space', () => {
    const signed = signHeaders({
      ...input,
      headers: { ...input.headers, 'x-amz-meta-note': 'voil\u00e0' },
    });
    const note = Buffer.from('voil\u00e0').toString('latin1');
    const raw = signed.rawHeaders.map((text) => (text === 'voil\u00e0' ? note : text));
    expect(note.endsWith('\u00a0')).toBe(true);
    expect(verify(headOf('PUT', input.target, raw)).accessKeyId).toBe(ACCESS_KEY_ID);
  });

  it('takes signed headers in any order, and folds inner spaces', () => {
    const signed = signHeaders({
      ...input,
      headers: { ...input.headers, 'x-amz-meta-a': ' one   two ' },
    });
    const raw = signed.rawHeaders.map((text) =>
      text.replace('content-type;host;', 'host;content-type;'),
    );
    expect(raw).not.toEqual(signed.rawHeaders);
    expect(verify(headOf('PUT', input.target, raw)).accessKeyId).toBe(ACCESS_KEY_ID);
  });

  it('knows an access key that holds slashes', () => {
    const verifier = new SignatureVerifier({ secretOf: () => 'secret' });
    const head = send({ accessKeyId: 'team/a/b', secret: 'secret' });
    expect(verify(head, DATE_MS, verifier).accessKeyId).toBe('team/a/b');
  });

  it('refuses a header of Amazon that is not signed, since it could change the operation', () => {
    const target = presign({
      method: 'PUT',
      target: '/photos/key',
      headers: { host: 'localhost:9000' },
      date: DATE,
      expiresSeconds: 60,
    });
    const plain = headOf('PUT', target, ['host', 'localhost:9000']);
    expect(verify(plain).kind).toBe('presigned');
    const copy = headOf('PUT', target, [
      ...['host', 'localhost:9000', 'x-amz-copy-source', '/secrets/all'],
    ]);
    const error = refusal(() => verify(copy));
    expect(error.code).toBe('AccessDenied');
    expect(error.detail.fields).toEqual({ HeadersNotSigned: 'x-amz-copy-source' });
  });

  it('refuses a signature that does not cover the host', () => {
    const error = refusal(() => verify(send({ unsigned: ['host'] })));
    expect(error.detail.fields).toEqual({ HeadersNotSigned: 'host' });
  });

  it('checks a body by the hash that comes with a presigned URL, and by the framing', () => {
    const target = presign({
      method: 'PUT',
      target: '/photos/key',
      headers: { host: 'h' },
      date: DATE,
      expiresSeconds: 60,
    });
    for (const hash of [SHA256_OF_NOTHING, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER']) {
      const head = headOf('PUT', target, ['host', 'h', 'x-amz-content-sha256', hash]);
      expect(verify(head).payloadHash).toBe(hash);
    }
  });

  it('takes the hash of the body from the query of a presigned URL', () => {
    const target = presign({
      method: 'PUT',
      target: '/photos/key?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD',
      headers: { host: 'h' },
      date: DATE,
      expiresSeconds: 60,
    });
    expect(verify(headOf('PUT', target, ['host', 'h'])).payloadHash).toBe('UNSIGNED-PAYLOAD');
  });

  it('notices that a secret was changed, also with the key of the old one at hand', () => {
    let secret = 'old';
    const verifier = new SignatureVerifier({ secretOf: () => secret });
    verify(send({ secret: 'old' }), DATE_MS, verifier);
    secret = 'new';
    expect(refusal(() => verify(send({ secret: 'old' }), DATE_MS, verifier)).code).toBe(
      'SignatureDoesNotMatch',
    );
    expect(verify(send({ secret: 'new' }), DATE_MS, verifier).accessKeyId).toBe(ACCESS_KEY_ID);
  });
});

describe('requests that prove nothing', () => {
  const base = ['Host', HOST, 'x-amz-content-sha256', SHA256_OF_NOTHING];
  const good = authorization('host;x-amz-content-sha256;x-amz-date', 'a'.repeat(64));
  const codeOf = (target: string, rawHeaders: readonly string[], nowMs = DATE_MS): string =>
    refusal(() => verify(headOf('GET', target, rawHeaders), nowMs)).code;
  const withHeader = (text: string): string =>
    codeOf('/key', [...base, 'x-amz-date', DATE, 'Authorization', text]);

  it('refuses an anonymous request', () => {
    expect(codeOf('/key', base)).toBe('AccessDenied');
  });

  it('refuses an unknown access key', () => {
    const text = good.replace(ACCESS_KEY_ID, 'AKIDUNKNOWN');
    expect(withHeader(text)).toBe('InvalidAccessKeyId');
  });

  it.each([
    ['AWS AKID:signature', 'InvalidRequest'],
    ['AWS4-ECDSA-P256-SHA256 Credential=a', 'InvalidRequest'],
    ['AWS4-HMAC-SHA256 ', 'AuthorizationHeaderMalformed'],
    ['AWS4-HMAC-SHA256 nonsense', 'AuthorizationHeaderMalformed'],
    [good.replace(',Signature=', ',Nothing='), 'AuthorizationHeaderMalformed'],
    [`${good},Signature=${'b'.repeat(64)}`, 'AuthorizationHeaderMalformed'],
    [good.replace('/s3/', '/ec2/'), 'AuthorizationHeaderMalformed'],
    [good.replace('aws4_request', 'aws5_request'), 'AuthorizationHeaderMalformed'],
    [good.replace('/us-east-1/', '//'), 'AuthorizationHeaderMalformed'],
    [good.replace('/20130524/', '/20130525/'), 'AuthorizationHeaderMalformed'],
    [good.replace(`${ACCESS_KEY_ID}/`, ''), 'AuthorizationHeaderMalformed'],
    [`${good}${' '.repeat(9000)}`, 'AuthorizationHeaderMalformed'],
    [good.replace('aaaa', 'AAAA'), 'SignatureDoesNotMatch'],
    [good.replace('aaaa', ''), 'SignatureDoesNotMatch'],
    [good, 'SignatureDoesNotMatch'],
  ])('refuses the header %j as %s', (text, code) => {
    expect(withHeader(text)).toBe(code);
  });

  it('refuses a request without a date, and with one that is none', () => {
    expect(codeOf('/key', [...base, 'Authorization', good])).toBe('AccessDenied');
    expect(codeOf('/key', [...base, 'x-amz-date', 'today', 'Authorization', good])).toBe(
      'AccessDenied',
    );
    const impossible = '20130230T000000Z';
    expect(codeOf('/key', [...base, 'x-amz-date', impossible, 'Authorization', good])).toBe(
      'AccessDenied',
    );
  });

  it('refuses a clock that is too far off, in either direction', () => {
    const raw = [...base, 'x-amz-date', DATE, 'Authorization', good];
    for (const sign of [-1, 1]) {
      const atLimit = DATE_MS + sign * 15 * 60_000;
      expect(codeOf('/key', raw, atLimit)).toBe('SignatureDoesNotMatch');
      expect(codeOf('/key', raw, atLimit + sign)).toBe('RequestTimeTooSkewed');
    }
  });

  it('refuses a signed request that does not say the hash of its body', () => {
    const raw = ['Host', HOST, 'x-amz-date', DATE];
    const text = authorization('host;x-amz-date', 'a'.repeat(64));
    expect(codeOf('/key', [...raw, 'Authorization', text])).toBe('InvalidRequest');
  });

  it('refuses two ways of signing at once, and a session that nobody gave out', () => {
    const raw = [...base, 'x-amz-date', DATE, 'Authorization', good];
    expect(codeOf('/key?X-Amz-Signature=1', raw)).toBe('InvalidArgument');
    expect(codeOf('/key', [...raw, 'x-amz-security-token', 'token'])).toBe('InvalidToken');
  });

  const query = new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${ACCESS_KEY_ID}/20130524/us-east-1/s3/aws4_request`,
    'X-Amz-Date': DATE,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': 'a'.repeat(64),
  });
  const withQuery = (name: string, value: string | undefined): string => {
    const changed = new URLSearchParams(query);
    changed.delete(name);
    if (value !== undefined) changed.set(name, value);
    return codeOf(`/key?${changed.toString()}`, ['Host', HOST]);
  };

  it.each([
    ['X-Amz-Algorithm', 'AWS4-ECDSA-P256-SHA256', 'AuthorizationQueryParametersError'],
    ['X-Amz-Algorithm', undefined, 'AuthorizationQueryParametersError'],
    ['X-Amz-Credential', undefined, 'AuthorizationQueryParametersError'],
    ['X-Amz-Credential', 'x', 'AuthorizationQueryParametersError'],
    ['X-Amz-Date', undefined, 'AuthorizationQueryParametersError'],
    ['X-Amz-Date', '2013-05-24', 'AuthorizationQueryParametersError'],
    ['X-Amz-Expires', undefined, 'AuthorizationQueryParametersError'],
    ['X-Amz-Expires', '-1', 'AuthorizationQueryParametersError'],
    ['X-Amz-Expires', 'soon', 'AuthorizationQueryParametersError'],
    ['X-Amz-Expires', '604801', 'AuthorizationQueryParametersError'],
    ['X-Amz-SignedHeaders', undefined, 'AuthorizationQueryParametersError'],
    ['X-Amz-Signature', undefined, 'AuthorizationQueryParametersError'],
    ['X-Amz-Signature', 'a', 'SignatureDoesNotMatch'],
    ['X-Amz-Security-Token', 'token', 'InvalidToken'],
  ])('refuses the parameter %s=%s as %s', (name, value, code) => {
    expect(withQuery(name, value)).toBe(code);
  });

  it('refuses a URL that was presigned with version 2', () => {
    const target = '/key?AWSAccessKeyId=a&Expires=1&Signature=b';
    expect(codeOf(target, ['Host', HOST])).toBe('InvalidRequest');
  });

  it('never fails otherwise, whatever stands in the header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 200 }), (text) => {
        const raw = [...base, 'x-amz-date', DATE, 'Authorization', `AWS4-HMAC-SHA256 ${text}`];
        expect(refusal(() => verify(headOf('GET', '/key', raw)))).toBeInstanceOf(S3Error);
      }),
    );
  });
});
