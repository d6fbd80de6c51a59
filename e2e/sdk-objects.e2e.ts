/** The AWS SDK for JavaScript v3: streams, checksums, conditions, presigned URLs. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
  type ChecksumAlgorithm,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { expect, test } from 'vitest';
import { randomBytesOf, randomStream } from './harness/random-bytes.ts';
import { serveBucket } from './harness/served-bucket.ts';
import { refusalOf } from './harness/sdk-client.ts';

const MIB = 1024 * 1024;
const Bucket = 'sdk';
const algorithms = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
const served = serveBucket({ name: 'sdk-objects', bucket: Bucket, size: '4GiB' });

async function read(Key: string, more: object = {}): Promise<Buffer> {
  const { Body } = await served.client.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

const md5Of = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const checksumField = (algorithm: ChecksumAlgorithm): `Checksum${ChecksumAlgorithm}` =>
  `Checksum${algorithm}`;

test.each([0, 1, 1_000, 5 * MIB - 1, 5 * MIB, 33 * MIB + 7])(
  'a stream of %i bytes and unknown length goes up through lib-storage',
  async (sizeBytes) => {
    const Key = `streamed-${sizeBytes}`;
    const body = randomBytesOf(Key, sizeBytes);
    const upload = new Upload({
      client: served.client,
      params: { Bucket, Key, Body: randomStream(Key, sizeBytes) },
    });
    const { ETag } = await upload.done();
    if (sizeBytes < 5 * MIB) expect(ETag).toBe(`"${md5Of(body)}"`);
    expect((await read(Key)).equals(body)).toBe(true);
  },
);

test('a single PUT of a stream goes in chunks with its checksum behind it', async () => {
  const body = randomBytesOf('chunked', 3 * MIB + 11);
  const Body = Readable.from([body.subarray(0, 10), body.subarray(10, MIB), body.subarray(MIB)], {
    objectMode: false,
  });
  const put = new PutObjectCommand({ Bucket, Key: 'chunked', Body, ContentLength: body.length });
  const { ETag, ChecksumCRC32 } = await served.client.send(put);
  expect(ETag).toBe(`"${md5Of(body)}"`);
  expect(ChecksumCRC32).toBeTypeOf('string');
  expect((await read('chunked')).equals(body)).toBe(true);
});

test.each(algorithms)('%s is checked on the way in, kept, and given back', async (algorithm) => {
  const Key = `checked-${algorithm}`;
  const body = randomBytesOf(Key, 100_000);
  const field = checksumField(algorithm);
  const put = await served.client.send(
    new PutObjectCommand({ Bucket, Key, Body: body, ChecksumAlgorithm: algorithm }),
  );
  expect(put[field]).toBeTypeOf('string');
  const head = await served.client.send(
    new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }),
  );
  expect(head[field]).toBe(put[field]);
  // With the checksum mode on, the SDK compares the bytes with the checksum itself.
  expect((await read(Key, { ChecksumMode: 'ENABLED' })).equals(body)).toBe(true);

  const streamed = await served.client.send(
    new PutObjectCommand({
      ...{ Bucket, Key: `${Key}-streamed`, ChecksumAlgorithm: algorithm },
      Body: randomStream(Key, 100_000),
      ContentLength: 100_000,
    }),
  );
  expect(streamed[field]).toBe(put[field]);

  const wrong = new PutObjectCommand({
    Bucket,
    Key,
    Body: Buffer.from('other'),
    [field]: put[field],
  });
  expect(await refusalOf(served.client.send(wrong))).toBe('400 BadDigest');
  expect((await read(Key)).equals(body)).toBe(true);
});

test.each([
  ['CRC32', 'FULL_OBJECT'],
  ['CRC32C', 'FULL_OBJECT'],
  ['CRC64NVME', 'FULL_OBJECT'],
  ['CRC32', 'COMPOSITE'],
  ['CRC32C', 'COMPOSITE'],
  ['SHA1', 'COMPOSITE'],
  ['SHA256', 'COMPOSITE'],
] as const)('a multipart upload with %s keeps a checksum of type %s', async (algorithm, type) => {
  const Key = `parts-${algorithm}-${type}`;
  const body = randomBytesOf(Key, 11 * MIB);
  const field = checksumField(algorithm);
  const { UploadId } = await served.client.send(
    new CreateMultipartUploadCommand({
      ...{ Bucket, Key, ChecksumAlgorithm: algorithm, ChecksumType: type },
    }),
  );
  const Parts = [];
  for (const [index, from] of [0, 5 * MIB, 10 * MIB].entries()) {
    const part = await served.client.send(
      new UploadPartCommand({
        ...{ Bucket, Key, UploadId, PartNumber: index + 1, ChecksumAlgorithm: algorithm },
        Body: body.subarray(from, from + 5 * MIB),
      }),
    );
    Parts.push({ PartNumber: index + 1, ETag: part.ETag, [field]: part[field] });
  }
  const listed = await served.client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
  expect(listed.Parts?.map((part) => part.Size)).toEqual([5 * MIB, 5 * MIB, MIB]);
  const completed = await served.client.send(
    new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
  );
  const head = await served.client.send(
    new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }),
  );
  expect(head.ChecksumType).toBe(type);
  expect(head[field]).toBe(completed[field]);
  if (type === 'COMPOSITE') expect(head[field]).toMatch(/-3$/);
  else {
    const whole = await served.client.send(
      new PutObjectCommand({ Bucket, Key: 'whole', Body: body, ChecksumAlgorithm: algorithm }),
    );
    expect(head[field]).toBe(whole[field]);
  }
  expect((await read(Key)).equals(body)).toBe(true);
});

test('parts are copied from ranges of an object that is there', async () => {
  const source = randomBytesOf('copy-source', 12 * MIB);
  await served.client.send(new PutObjectCommand({ Bucket, Key: 'copy source/ä', Body: source }));
  const Key = 'parts-copied';
  const { UploadId } = await served.client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const CopySource = `${Bucket}/${encodeURIComponent('copy source/ä')}`;
  const Parts = [];
  for (const [index, range] of [`0-${6 * MIB - 1}`, `${6 * MIB}-${12 * MIB - 1}`].entries()) {
    const { CopyPartResult } = await served.client.send(
      new UploadPartCopyCommand({
        ...{ Bucket, Key, UploadId, PartNumber: index + 1, CopySource },
        CopySourceRange: `bytes=${range}`,
      }),
    );
    Parts.push({ PartNumber: index + 1, ETag: CopyPartResult?.ETag });
  }
  await served.client.send(
    new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
  );
  expect((await read(Key)).equals(source)).toBe(true);
  await served.client.send(new CopyObjectCommand({ Bucket, Key: 'copied', CopySource }));
  expect((await read('copied')).equals(source)).toBe(true);
});

test('conditional writes: of many that create one key, one wins', async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, writer) =>
      refusalOf(
        served.client.send(
          new PutObjectCommand({ Bucket, Key: 'lock', Body: `writer ${writer}`, IfNoneMatch: '*' }),
        ),
      ),
    ),
  );
  expect(outcomes.filter((outcome) => outcome === 'not refused')).toHaveLength(1);
  for (const outcome of outcomes) {
    // 409 is what S3 says to the ones that came while the winner was being stored.
    expect(outcome).toMatch(
      /^(not refused|412 PreconditionFailed|409 ConditionalRequestConflict)$/,
    );
  }
  const winner = outcomes.indexOf('not refused');
  expect((await read('lock')).toString()).toBe(`writer ${winner}`);
});

test('conditional writes: If-Match replaces only what the writer has seen', async () => {
  const Key = 'matched';
  const first = await served.client.send(new PutObjectCommand({ Bucket, Key, Body: 'first' }));
  const second = new PutObjectCommand({ Bucket, Key, Body: 'second', IfMatch: first.ETag });
  await served.client.send(second);
  expect(await refusalOf(served.client.send(second))).toBe('412 PreconditionFailed');
  const absent = new PutObjectCommand({ Bucket, Key: 'absent', Body: '', IfMatch: first.ETag });
  expect(await refusalOf(served.client.send(absent))).toBe('404 NoSuchKey');
  expect((await read(Key)).toString()).toBe('second');
});

test('conditional reads: 304 for what the reader has, 412 for what is not there any more', async () => {
  const Key = 'read-conditions';
  const { ETag } = await served.client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
  const get = (more: object): Promise<string> =>
    refusalOf(served.client.send(new GetObjectCommand({ Bucket, Key, ...more })));
  expect(await get({ IfNoneMatch: ETag })).toMatch(/^304 /);
  expect(await get({ IfMatch: '"0"' })).toBe('412 PreconditionFailed');
  expect(await get({ IfModifiedSince: new Date(Date.now() + 3_600_000) })).toMatch(/^304 /);
  expect(await get({ IfModifiedSince: new Date(0) })).toBe('not refused');
  expect(await get({ IfUnmodifiedSince: new Date(0) })).toBe('412 PreconditionFailed');
  expect(await get({ IfMatch: ETag })).toBe('not refused');
});

test('presigned GET and PUT work without any credentials, and with nothing else than was signed', async () => {
  const body = randomBytesOf('presigned', 70_000);
  const Key = 'pre signed/ö?#';
  const put = await getSignedUrl(served.client, new PutObjectCommand({ Bucket, Key }), {
    expiresIn: 300,
  });
  const answer = await fetch(put, { method: 'PUT', body: new Uint8Array(body) });
  expect(answer.status).toBe(200);
  const get = await getSignedUrl(served.client, new GetObjectCommand({ Bucket, Key }), {
    expiresIn: 300,
  });
  const back = await fetch(get);
  expect(Buffer.from(await back.arrayBuffer()).equals(body)).toBe(true);
  expect((await fetch(get, { method: 'DELETE' })).status).toBe(403);
  expect((await fetch(get.replace('pre%20signed', 'other'))).status).toBe(403);
});

test('metadata and headers come back as they were given', async () => {
  const Key = 'described';
  const described = {
    CacheControl: 'max-age=60',
    ContentDisposition: 'attachment; filename="a b.txt"',
    ContentEncoding: 'gzip',
    ContentLanguage: 'de',
    ContentType: 'text/x-described',
    Metadata: { plain: 'value', 'with-dash': 'a, b' },
  };
  await served.client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...described }));
  expect(await served.client.send(new HeadObjectCommand({ Bucket, Key }))).toMatchObject(described);
  const overridden = await served.client.send(
    new GetObjectCommand({ Bucket, Key, ResponseContentType: 'text/other' }),
  );
  expect(overridden.ContentType).toBe('text/other');
  await served.client.send(new DeleteObjectCommand({ Bucket, Key }));
  expect(await refusalOf(served.client.send(new HeadObjectCommand({ Bucket, Key })))).toMatch(
    /^404 /,
  );
});
