import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway } from './gateway-harness.ts';
import type { Harness } from './gateway-harness.ts';
import { elementOf, elementsOf } from './s3-client.ts';
import type { TestClient } from './s3-client.ts';
import { checkStore } from './store-checker.ts';

let harness: Harness;
let client: TestClient;

beforeAll(async () => {
  harness = await startGateway({ limits: { garbageDelayMs: 0, collectorStepMs: 5 } });
  client = harness.client;
  await client.put('/photos', '');
  await client.put('/other', '');
});

afterAll(async () => {
  await harness.stop();
});

/** Bytes that differ everywhere. */
function bytesOf(sizeBytes: number): Buffer {
  return Buffer.from(
    Array.from({ length: sizeBytes }, (_, index) => (index * 7 + (index >> 8)) & 255),
  );
}

function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** Small (inside its entry) and long (in chunks of 100 bytes). */
const SIZES = [0, 1, 64, 65, 100, 101, 1000];

describe('put, get and head', () => {
  it.each(SIZES)('give back the %i bytes that were put', async (size) => {
    const body = bytesOf(size);
    const path = `/photos/size-${String(size)}`;
    const put = await client.put(path, body);
    expect(put.status, put.text).toBe(200);
    expect(put.headers['etag']).toBe(`"${md5Of(body)}"`);
    const got = await client.get(path);
    expect(got.status).toBe(200);
    expect(got.body.equals(body)).toBe(true);
    expect(got.headers['etag']).toBe(put.headers['etag']);
    expect(got.headers['content-length']).toBe(String(size));
    expect(got.headers['x-amz-request-id']).toMatch(/^[0-9A-F]{16}$/);
    const head = await client.head(path);
    expect(head.headers['content-length']).toBe(String(size));
    expect(head.headers['last-modified']).toBe(got.headers['last-modified']);
    expect(head.body).toHaveLength(0);
  });

  it('keep headers and metadata, and let the query override them', async () => {
    const headers = {
      'content-type': 'image/png',
      'cache-control': 'no-cache',
      'content-disposition': 'attachment; filename="a b"',
      'content-encoding': 'gzip',
      'content-language': 'de',
      expires: 'Thu, 01 Jan 2032 00:00:00 GMT',
      'x-amz-meta-camera': 'box',
      'x-amz-meta-place': 'Z\u00fcrich',
    };
    await client.put('/photos/meta', 'x', headers);
    expect((await client.head('/photos/meta')).headers).toMatchObject(headers);
    // Bytes that are not ASCII go out as they came, whatever Node thinks of the header.
    for (const name of ['\u00e9', '\u65e5\u672c', '\ud83d\ude00']) {
      const disposition = `attachment; filename="${name}"`;
      const override = `response-content-disposition=${encodeURIComponent(disposition)}`;
      const named = await client.get('/photos/meta', {}, override);
      expect(named.headers).toMatchObject({
        'content-disposition': Buffer.from(disposition).toString('latin1'),
        'content-length': '1',
      });
    }
    const query = 'response-content-type=text%2Fplain';
    const got = await client.get('/photos/meta', {}, query);
    expect(got.headers['content-type']).toBe('text/plain');
    expect((await client.put('/photos/plain', 'x')).status).toBe(200);
    expect((await client.head('/photos/plain')).headers['content-type']).toBe(
      'binary/octet-stream',
    );
  });

  it.each([
    '/photos/a%20b%2Bc+d',
    '/photos/%E3%81%A9%E3%81%86%E3%81%9E',
    '/photos//double//slash/',
    '/photos/../dots/./',
    `/photos/${'%F4%8F%BF%BF'.repeat(256)}`,
    '/photos/%00%01%7F%FE'.replace('%FE', '%C3%BE'),
    '/photos/%3Cxml%3E%26%22%27',
  ])('take the key %s as it is', async (path) => {
    const put = await client.put(path, path);
    expect(put.status, put.text).toBe(200);
    expect((await client.get(path)).text).toBe(path);
    const key = decodeURIComponent(path.slice('/photos/'.length));
    const query = `encoding-type=url&list-type=2&prefix=${encodeURIComponent(key)}`;
    const listed = await client.get('/photos', {}, query);
    const keys = elementsOf(listed.text, 'Key').map((name) =>
      decodeURIComponent(name.replaceAll('+', ' ')),
    );
    expect(keys).toContain(key);
    expect((await client.delete(path)).status).toBe(204);
    expect((await client.get(path)).code).toBe('NoSuchKey');
  });

  it('refuse a key that is too long', async () => {
    const refused = await client.put(`/photos/${'k'.repeat(1025)}`, 'x');
    expect(refused.code).toBe('KeyTooLongError');
  });

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=99-100', 99, 101],
    ['bytes=150-', 150, 1000],
    ['bytes=-101', 899, 1000],
    ['bytes=990-5000', 990, 1000],
    ['bytes=-5000', 0, 1000],
  ])('give the range %s', async (range, start, end) => {
    const body = bytesOf(1000);
    for (const path of ['/photos/ranged', '/photos/ranged-long']) {
      await client.put(path, body);
      const got = await client.get(path, { range });
      expect(got.status).toBe(206);
      expect(got.headers['content-range']).toBe(`bytes ${String(start)}-${String(end - 1)}/1000`);
      expect(got.body.equals(body.subarray(start, end))).toBe(true);
    }
  });

  it('refuse a range behind the end, also of nothing', async () => {
    await client.put('/photos/short', 'abc');
    const refused = await client.get('/photos/short', { range: 'bytes=3-' });
    expect(refused.status).toBe(416);
    expect(refused.code).toBe('InvalidRange');
    expect(refused.headers['content-range']).toBe('bytes */3');
    await client.put('/photos/nothing', '');
    expect((await client.get('/photos/nothing', { range: 'bytes=0-' })).status).toBe(416);
  });

  it('evaluate conditions of reads', async () => {
    const put = await client.put('/photos/conditional', 'abc');
    const etag = String(put.headers['etag']);
    const unchanged = await client.get('/photos/conditional', { 'if-none-match': etag });
    expect(unchanged.status).toBe(304);
    expect(unchanged.headers['etag']).toBe(etag);
    expect(unchanged.body).toHaveLength(0);
    const changed = await client.get('/photos/conditional', { 'if-match': '"other"' });
    expect(changed.status).toBe(412);
    expect(changed.code).toBe('PreconditionFailed');
    expect((await client.head('/photos/conditional', { 'if-match': '"other"' })).status).toBe(412);
  });

  it('answer what is missing', async () => {
    expect((await client.get('/photos/missing')).code).toBe('NoSuchKey');
    expect((await client.head('/photos/missing')).status).toBe(404);
    expect((await client.get('/nobucket/key')).code).toBe('NoSuchBucket');
    expect((await client.put('/nobucket/key', 'x')).code).toBe('NoSuchBucket');
    expect((await client.put('/nobucket/key', bytesOf(500))).code).toBe('NoSuchBucket');
    expect((await client.delete('/nobucket/key')).code).toBe('NoSuchBucket');
    expect((await client.delete('/photos/missing')).status).toBe(204);
  });
});

describe('conditional writes', () => {
  it.each([10, 500])(
    'put %i bytes only where nothing is, or where it is as expected',
    async (size) => {
      const path = `/photos/lock-${String(size)}`;
      const once = { 'if-none-match': '*' };
      const first = await client.put(path, bytesOf(size), once);
      expect(first.status).toBe(200);
      const second = await client.put(path, bytesOf(size + 1), once);
      expect(second.status).toBe(412);
      const wrong = await client.put(path, bytesOf(size + 1), { 'if-match': '"0"' });
      expect(wrong.code).toBe('PreconditionFailed');
      const ifMatch = { 'if-match': String(first.headers['etag']) };
      expect((await client.put(path, bytesOf(size + 1), ifMatch)).status).toBe(200);
      const missing = await client.put('/photos/never', bytesOf(size), { 'if-match': '"0"' });
      expect(missing.code).toBe('NoSuchKey');
      const kept = await client.send({ method: 'DELETE', path, headers: ifMatch });
      expect(kept.status).toBe(412);
      const headers = { 'if-none-match': '*' };
      const none = await client.send({ method: 'DELETE', path, headers });
      expect(none.code).toBe('NotImplemented');
      expect((await client.head(path)).status).toBe(200);
    },
  );

  it('let exactly one of many win', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        client.put('/photos/contended', String(index), { 'if-none-match': '*' }),
      ),
    );
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200, 412]));
  });
});

describe('checksums', () => {
  it.each([10, 500])('are checked, kept and given back with %i bytes', async (size) => {
    const body = bytesOf(size);
    const value = Buffer.alloc(4);
    value.writeUInt32BE(crc32(body));
    const headers = { 'x-amz-checksum-crc32': value.toString('base64') };
    const path = `/photos/checked-${String(size)}`;
    const put = await client.put(path, body, headers);
    expect(put.headers).toMatchObject(headers);
    const mode = { 'x-amz-checksum-mode': 'ENABLED' };
    expect((await client.get(path, mode)).headers).toMatchObject(headers);
    expect((await client.head(path)).headers['x-amz-checksum-crc32']).toBeUndefined();
    const listed = await client.get('/photos', {}, `list-type=2&prefix=checked-${String(size)}`);
    expect(elementOf(listed.text, 'ChecksumAlgorithm')).toBe('CRC32');
    const wrong = await client.put(path, bytesOf(size + 1), headers);
    expect(wrong.code).toBe('BadDigest');
    expect((await client.get(path)).body.equals(body)).toBe(true);
  });
});

describe('copies', () => {
  it.each([10, 64, 65, 730])('have the bytes and headers of a source of %i bytes', async (size) => {
    const body = bytesOf(size);
    await client.put('/photos/source', body, { 'content-type': 'a/b', 'x-amz-meta-k': 'v' });
    const copy = await client.put('/other/copy', '', { 'x-amz-copy-source': '/photos/source' });
    expect(copy.status, copy.text).toBe(200);
    expect(elementOf(copy.text, 'ETag')).toContain(md5Of(body));
    const got = await client.get('/other/copy');
    expect(got.body.equals(body)).toBe(true);
    expect(got.headers).toMatchObject({ 'content-type': 'a/b', 'x-amz-meta-k': 'v' });
  });

  it('take new headers where they are told to, also onto themselves', async () => {
    await client.put('/photos/self', bytesOf(300), { 'content-type': 'a/b' });
    const source = { 'x-amz-copy-source': 'photos/self' };
    expect((await client.put('/photos/self', '', source)).code).toBe('InvalidRequest');
    const replaced = { ...source, 'x-amz-metadata-directive': 'REPLACE', 'content-type': 'c/d' };
    expect((await client.put('/photos/self', '', replaced)).status).toBe(200);
    const rewritten = { ...source, 'x-amz-storage-class': 'STANDARD' };
    expect((await client.put('/photos/self', '', rewritten)).status).toBe(200);
    const got = await client.get('/photos/self');
    expect(got.headers['content-type']).toBe('c/d');
    expect(got.body.equals(bytesOf(300))).toBe(true);
  });

  it('refuse where the source is missing or another', async () => {
    const copy = (source: string, headers = {}): Promise<{ code: string | undefined }> =>
      client.put('/other/no', '', { 'x-amz-copy-source': source, ...headers });
    expect((await copy('/photos/missing')).code).toBe('NoSuchKey');
    expect((await copy('/nobucket/missing')).code).toBe('NoSuchBucket');
    const other = { 'x-amz-copy-source-if-match': '"0"' };
    expect((await copy('/photos/source', other)).code).toBe('PreconditionFailed');
    expect((await client.get('/other/no')).code).toBe('NoSuchKey');
  });
});

describe('DeleteObjects', () => {
  it('deletes each key and answers for each', async () => {
    await client.put('/photos/d1', 'x');
    await client.put('/photos/d2', bytesOf(400));
    const object = (key: string, rest = ''): string => `<Object><Key>${key}</Key>${rest}</Object>`;
    const document =
      `<Delete>${object('d1')}${object('d2')}${object('d3')}` +
      `${object('meta', '<ETag>"0"</ETag>')}${object('plain', '<VersionId>v1</VersionId>')}</Delete>`;
    const answer = await client.post('/photos', 'delete', document);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.text.match(/<Deleted>/g)).toHaveLength(3);
    expect(elementsOf(answer.text, 'Code').sort()).toEqual([
      'NotImplemented',
      'PreconditionFailed',
    ]);
    expect((await client.get('/photos/d2')).code).toBe('NoSuchKey');
    expect((await client.get('/photos/meta')).status).toBe(200);
    expect((await client.post('/nobucket', 'delete', document)).code).toBe('NoSuchBucket');
    expect((await client.post('/photos', 'delete', '<Delete>')).code).toBe('MalformedXML');
  });
});

describe('buckets', () => {
  it('are created, found, listed, and deleted only when they are empty', async () => {
    expect((await client.put('/vacation', '')).headers['location']).toBe('/vacation');
    expect((await client.put('/vacation', '')).code).toBe('BucketAlreadyOwnedByYou');
    expect((await client.head('/vacation')).status).toBe(200);
    expect((await client.head('/nowhere')).status).toBe(404);
    const listed = await client.get('/');
    expect(elementsOf(listed.text, 'Name')).toEqual(['other', 'photos', 'vacation']);
    expect((await client.get('/vacation', {}, 'location')).text).toContain('LocationConstraint');
    await client.put('/vacation/beach', 'x');
    expect((await client.delete('/vacation')).code).toBe('BucketNotEmpty');
    await client.delete('/vacation/beach');
    expect((await client.delete('/vacation')).status).toBe(204);
    expect((await client.delete('/vacation')).code).toBe('NoSuchBucket');
    expect((await client.get('/vacation', {}, 'list-type=2')).code).toBe('NoSuchBucket');
  });

  it('are hosts where a base domain is known', async () => {
    const hosted = await startGateway({ baseDomains: ['s3.test'] });
    try {
      await hosted.client.put('/photos', '');
      const put = await hosted.client.put('/a/key', 'x', { host: 'photos.s3.test' });
      expect(put.status).toBe(200);
      expect((await hosted.client.get('/photos/a/key')).text).toBe('x');
    } finally {
      await hosted.stop();
    }
  });

  it('answer for their sub-resources, and say what is not there', async () => {
    expect((await client.get('/photos', {}, 'policy')).code).toBe('NoSuchBucketPolicy');
    expect((await client.get('/photos', {}, 'acl')).text).toContain('FULL_CONTROL');
    expect((await client.get('/photos', {}, 'versioning')).status).toBe(200);
    expect((await client.get('/photos/plain', {}, 'acl')).text).toContain('FULL_CONTROL');
    expect((await client.get('/nobucket', {}, 'acl')).code).toBe('NoSuchBucket');
    const put = await client.send({ method: 'PUT', path: '/photos', query: 'policy', body: '{}' });
    expect(put.code).toBe('NotImplemented');
    const encrypted = { 'x-amz-server-side-encryption': 'AES256' };
    expect((await client.put('/photos/x', 'x', encrypted)).code).toBe('NotImplemented');
  });
});

it('nothing is left over when everything has been collected', async () => {
  await expect.poll(() => checkStore(harness.store), { timeout: 20_000 }).toEqual([]);
});
