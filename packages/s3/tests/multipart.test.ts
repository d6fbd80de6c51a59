import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway } from './gateway-harness.ts';
import type { Harness } from './gateway-harness.ts';
import { elementOf, elementsOf } from './s3-client.ts';
import type { TestClient, TestResponse } from './s3-client.ts';
import { checkStore } from './store-checker.ts';

let harness: Harness;
let client: TestClient;

beforeAll(async () => {
  harness = await startGateway({ limits: { garbageDelayMs: 0, collectorStepMs: 5 } });
  client = harness.client;
  await client.put('/films', '');
});

afterAll(async () => {
  await harness.stop();
});

const ONE = Buffer.alloc(333, 'one ');
const TWO = Buffer.alloc(150, 'two ');
const END = Buffer.from('end');

function md5Of(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest();
}

function crcOf(bytes: Uint8Array): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return value.toString('base64');
}

async function begin(path: string, headers = {}): Promise<string> {
  const answer = await client.post(path, 'uploads', '', headers);
  expect(answer.status, answer.text).toBe(200);
  return elementOf(answer.text, 'UploadId') ?? '';
}

function part(
  path: string,
  uploadId: string,
  number: number,
  body: Uint8Array,
  headers = {},
): Promise<TestResponse> {
  const query = `partNumber=${String(number)}&uploadId=${uploadId}`;
  return client.send({ method: 'PUT', path, query, body, headers });
}

/** Names parts by number and body. */
function complete(
  path: string,
  uploadId: string,
  parts: readonly (readonly [number, Uint8Array])[],
  headers = {},
): Promise<TestResponse> {
  const rows = parts.map(
    ([number, body]) =>
      `<Part><PartNumber>${String(number)}</PartNumber>` +
      `<ETag>"${md5Of(body).toString('hex')}"</ETag></Part>`,
  );
  const document = `<CompleteMultipartUpload>${rows.join('')}</CompleteMultipartUpload>`;
  return client.post(path, `uploadId=${uploadId}`, document, headers);
}

describe('multipart upload', () => {
  it('becomes one object of the parts that are named', async () => {
    const path = '/films/whole';
    const uploadId = await begin(path, { 'content-type': 'video/x', 'x-amz-meta-a': 'b' });
    const sent = await part(path, uploadId, 1, TWO);
    expect(sent.headers['etag']).toBe(`"${md5Of(TWO).toString('hex')}"`);
    await part(path, uploadId, 1, ONE);
    await part(path, uploadId, 2, Buffer.from('not named'));
    await part(path, uploadId, 7, TWO);
    await part(path, uploadId, 10_000, END);
    const listed = await client.get(path, {}, `uploadId=${uploadId}`);
    expect(elementsOf(listed.text, 'PartNumber')).toEqual(['1', '2', '7', '10000']);
    expect((await client.get(path)).code).toBe('NoSuchKey');

    const parts = [
      [1, ONE],
      [7, TWO],
      [10_000, END],
    ] as const;
    const done = await complete(path, uploadId, parts);
    expect(done.status, done.text).toBe(200);
    const md5s = Buffer.concat(parts.map(([, body]) => md5Of(body)));
    const etag = `${md5Of(md5s).toString('hex')}-3`;
    expect(elementOf(done.text, 'ETag')).toContain(etag);
    const got = await client.get(path);
    expect(got.body.equals(Buffer.concat([ONE, TWO, END]))).toBe(true);
    expect(got.headers).toMatchObject({ etag: `"${etag}"`, 'content-type': 'video/x' });
    expect(got.headers['x-amz-meta-a']).toBe('b');

    const again = await complete(path, uploadId, parts);
    expect(again.status, 'the same complete again').toBe(200);
    const other = await complete(path, uploadId, parts.slice(0, 1));
    expect(other.code).toBe('NoSuchUpload');
  });

  it('is read by part', async () => {
    const got = await client.get('/films/whole', {}, 'partNumber=2');
    expect(got.status).toBe(206);
    expect(got.body.equals(TWO)).toBe(true);
    expect(got.headers['x-amz-mp-parts-count']).toBe('3');
    expect(got.headers['content-range']).toBe('bytes 333-482/486');
    expect((await client.get('/films/whole', {}, 'partNumber=4')).code).toBe('InvalidPartNumber');
    const range = { range: 'bytes=0-1' };
    expect((await client.get('/films/whole', range, 'partNumber=1')).code).toBe('InvalidRequest');
    await client.put('/films/plain', 'abc');
    expect((await client.get('/films/plain', {}, 'partNumber=1')).text).toBe('abc');
    const ranged = await client.get('/films/whole', { range: 'bytes=330-334' });
    expect(ranged.text).toBe(Buffer.concat([ONE, TWO]).subarray(330, 335).toString());
  });

  it.each([
    ['alone', []],
    ['at the end', [ONE]],
  ])('is read by a part that is empty and stands %s', async (_, before) => {
    const path = '/films/empty-part';
    const uploadId = await begin(path);
    const bodies = [...before, Buffer.alloc(0)];
    for (const [index, body] of bodies.entries()) await part(path, uploadId, index + 1, body);
    const named = bodies.map((body, index) => [index + 1, body] as const);
    expect((await complete(path, uploadId, named)).status).toBe(200);
    const got = await client.get(path, {}, `partNumber=${String(bodies.length)}`);
    expect([got.status, got.text]).toEqual([206, '']);
    expect(got.headers['x-amz-mp-parts-count']).toBe(String(bodies.length));
    expect(got.headers).not.toHaveProperty('content-range');
  });

  it('refuses parts that are missing, too small, out of order or others', async () => {
    const path = '/films/refused';
    const uploadId = await begin(path);
    await part(path, uploadId, 1, END);
    await part(path, uploadId, 2, ONE);
    const code = async (parts: readonly (readonly [number, Uint8Array])[]): Promise<string> =>
      (await complete(path, uploadId, parts)).code ?? 'none';
    expect(await code([[3, END]])).toBe('InvalidPart');
    expect(await code([[1, ONE]])).toBe('InvalidPart');
    expect(
      await code([
        [1, END],
        [2, ONE],
      ]),
    ).toBe('EntityTooSmall');
    expect(
      await code([
        [2, ONE],
        [1, END],
      ]),
    ).toBe('InvalidPartOrder');
    expect(await code([])).toBe('MalformedXML');
    expect((await part(path, uploadId, 0, END)).code).toBe('InvalidArgument');
    expect((await part(path, uploadId, 10_001, END)).code).toBe('InvalidArgument');
    expect((await part(path, 'f'.repeat(32), 1, END)).code).toBe('NoSuchUpload');
    expect((await part(path, 'nonsense', 1, END)).code).toBe('NoSuchUpload');
    const size = await complete(path, uploadId, [[2, ONE]], { 'x-amz-mp-object-size': '1' });
    expect(size.code).toBe('InvalidRequest');
    expect((await client.delete('/films')).code).toBe('BucketNotEmpty');
    expect((await client.delete(path, `uploadId=${uploadId}`)).status).toBe(204);
    expect((await client.delete(path, `uploadId=${uploadId}`)).code).toBe('NoSuchUpload');
    expect((await client.get(path, {}, `uploadId=${uploadId}`)).code).toBe('NoSuchUpload');
  });

  it.each(['abc', 'no hex', ''])('refuses the ETag "%s" where there is no upload', async (etag) => {
    const part = `<Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part>`;
    const body = `<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`;
    const answer = await client.post('/films/never', `uploadId=${'f'.repeat(32)}`, body);
    expect(answer.code).toBe('NoSuchUpload');
  });

  it('obeys conditions', async () => {
    const path = '/films/conditional';
    const uploadId = await begin(path);
    await part(path, uploadId, 1, ONE);
    await client.put(path, 'first');
    const once = { 'if-none-match': '*' };
    expect((await complete(path, uploadId, [[1, ONE]], once)).code).toBe('PreconditionFailed');
    expect((await complete(path, uploadId, [[1, ONE]])).status).toBe(200);
  });

  it.each(['COMPOSITE', 'FULL_OBJECT'])('combines checksums of type %s', async (type) => {
    const path = `/films/${type}`;
    const uploadId = await begin(path, {
      'x-amz-checksum-algorithm': 'CRC32',
      'x-amz-checksum-type': type,
    });
    const wrong = { 'x-amz-checksum-crc32': crcOf(TWO) };
    expect((await part(path, uploadId, 1, ONE, wrong)).code).toBe('BadDigest');
    const right = { 'x-amz-checksum-crc32': crcOf(ONE) };
    expect((await part(path, uploadId, 1, ONE, right)).headers).toMatchObject(right);
    await part(path, uploadId, 2, END);
    const whole = crcOf(Buffer.concat([ONE, END]));
    const parts = Buffer.concat([ONE, END].map((body) => Buffer.from(crcOf(body), 'base64')));
    const expected = type === 'FULL_OBJECT' ? whole : `${crcOf(parts)}-2`;
    const named = [
      [1, ONE],
      [2, END],
    ] as const;
    const refused = await complete(path, uploadId, named, { 'x-amz-checksum-crc32': crcOf(TWO) });
    expect(refused.code).toBe('BadDigest');
    const done = await complete(path, uploadId, named);
    expect(elementOf(done.text, 'ChecksumCRC32')).toBe(expected);
    const head = await client.head(path, { 'x-amz-checksum-mode': 'ENABLED' });
    expect(head.headers['x-amz-checksum-crc32']).toBe(expected);
    expect(head.headers['x-amz-checksum-type']).toBe(type);
  });

  it('takes parts from objects', async () => {
    await client.put('/films/source', ONE);
    const path = '/films/assembled';
    const uploadId = await begin(path);
    const copy = (number: number, headers: Record<string, string>): Promise<TestResponse> =>
      part(path, uploadId, number, Buffer.alloc(0), {
        'x-amz-copy-source': '/films/source',
        ...headers,
      });
    const first = await copy(1, {});
    expect(first.status, first.text).toBe(200);
    expect(elementOf(first.text, 'ETag')).toContain(md5Of(ONE).toString('hex'));
    const range = { 'x-amz-copy-source-range': 'bytes=95-205' };
    expect((await copy(2, range)).status).toBe(200);
    expect((await copy(3, { 'x-amz-copy-source-range': 'bytes=0-333' })).code).toBe('InvalidRange');
    const other = { 'x-amz-copy-source-if-match': '"0"' };
    expect((await copy(3, other)).code).toBe('PreconditionFailed');
    const middle = ONE.subarray(95, 206);
    expect(
      (
        await complete(path, uploadId, [
          [1, ONE],
          [2, middle],
        ])
      ).status,
    ).toBe(200);
    expect((await client.get(path)).body.equals(Buffer.concat([ONE, middle]))).toBe(true);
  });

  it('is listed by pages of parts', async () => {
    const path = '/films/paged';
    const uploadId = await begin(path);
    for (const number of [1, 2, 3, 5]) await part(path, uploadId, number, END);
    const numbers: string[] = [];
    let marker = '0';
    for (let pages = 0; pages < 2; pages += 1) {
      const query = `max-parts=2&part-number-marker=${marker}&uploadId=${uploadId}`;
      const page = await client.get(path, {}, query);
      numbers.push(...elementsOf(page.text, 'PartNumber'));
      marker = elementOf(page.text, 'NextPartNumberMarker') ?? '';
      expect(elementOf(page.text, 'IsTruncated')).toBe(String(pages === 0));
    }
    expect(numbers).toEqual(['1', '2', '3', '5']);
    await client.delete(path, `uploadId=${uploadId}`);
  });

  it('is listed by pages of uploads, in order of key and beginning, with common prefixes', async () => {
    await client.put('/series', '');
    const keys = ['a', 'a/1', 'a/2', 'a0', 'b', 'b', 'b', 'c/\u00e9', 'c/x'];
    const ids: string[] = [];
    for (const key of keys) ids.push(await begin(`/series/${encodeURIComponent(key)}`));
    const all = await client.get('/series', {}, 'uploads');
    expect(elementsOf(all.text, 'Key')).toEqual([...keys.slice(0, 7), 'c/x', 'c/\u00e9']);
    expect(new Set(elementsOf(all.text, 'UploadId'))).toEqual(new Set(ids));

    const rows: string[] = [];
    let marker = '';
    for (let isTruncated = true; isTruncated;) {
      const query = `delimiter=%2F&max-uploads=2${marker}&uploads`;
      const page = await client.get('/series', {}, query);
      rows.push(...elementsOf(page.text, 'Key'));
      rows.push(
        ...[...page.text.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g)].map((m) => m[1] ?? ''),
      );
      const key = encodeURIComponent(elementOf(page.text, 'NextKeyMarker') ?? '');
      const id = elementOf(page.text, 'NextUploadIdMarker') ?? '';
      marker = `&key-marker=${key}&upload-id-marker=${id}`;
      isTruncated = elementOf(page.text, 'IsTruncated') === 'true';
    }
    expect(rows.sort()).toEqual(['a', 'a/', 'a0', 'b', 'b', 'b', 'c/']);
    const byPrefix = await client.get('/series', {}, 'prefix=a%2F&uploads');
    expect(elementsOf(byPrefix.text, 'Key')).toEqual(['a/1', 'a/2']);
    for (const [index, key] of keys.entries()) {
      await client.delete(`/series/${encodeURIComponent(key)}`, `uploadId=${ids[index] ?? ''}`);
    }
    expect((await client.delete('/series')).status).toBe(204);
  });
});

it('nothing is left over when everything has been collected', async () => {
  await expect.poll(() => checkStore(harness.store), { timeout: 20_000 }).toEqual([]);
});
