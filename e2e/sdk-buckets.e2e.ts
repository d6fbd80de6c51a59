/** The AWS SDK for JavaScript v3: listings, odd keys, bulk deletes, and the code of each refusal. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectVersionsCommand,
  paginateListObjectsV2,
  PutBucketVersioningCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { SECRET_ACCESS_KEY } from './harness/dozo-server.ts';
import { serveBucket } from './harness/served-bucket.ts';
import { refusalOf, sdkClient } from './harness/sdk-client.ts';

const MIB = 1024 * 1024;
const Bucket = 'sdk-buckets';
const served = serveBucket({ name: 'sdk-buckets', bucket: Bucket, size: '2GiB' });

async function putAll(bucket: string, keys: readonly string[]): Promise<void> {
  const left = [...keys];
  const put = async (): Promise<void> => {
    for (let Key = left.pop(); Key !== undefined; Key = left.pop()) {
      await served.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: Key }));
    }
  };
  await Promise.all(Array.from({ length: 16 }, put));
}

async function listAll(bucket: string, more: object = {}): Promise<string[]> {
  const keys: string[] = [];
  const pages = paginateListObjectsV2({ client: served.client }, { Bucket: bucket, ...more });
  for await (const page of pages) {
    keys.push(...(page.Contents ?? []).map((entry) => entry.Key ?? ''));
    keys.push(...(page.CommonPrefixes ?? []).map((entry) => `${entry.Prefix ?? ''}*`));
  }
  return keys;
}

const inByteOrder = (keys: readonly string[]): string[] =>
  keys.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));

test('a listing in pages gives every key once, in byte order', async () => {
  const keys = Array.from({ length: 2_345 }, (_, index) => `page/${(index * 7919) % 10_007}`);
  await putAll(Bucket, keys);
  expect(await listAll(Bucket, { Prefix: 'page/' })).toEqual(inByteOrder(keys));
  expect(await listAll(Bucket, { Prefix: 'page/', MaxKeys: 100 })).toEqual(inByteOrder(keys));
  const after = inByteOrder(keys).slice(1_000);
  const StartAfter = inByteOrder(keys)[999];
  expect(await listAll(Bucket, { Prefix: 'page/', StartAfter })).toEqual(after);
  expect(await listAll(Bucket, { Delimiter: '/' })).toContain('page/*');
});

test('ListObjects V1 and ListObjectVersions go through their markers', async () => {
  const bucket = 'sdk-markers';
  await served.client.send(new CreateBucketCommand({ Bucket: bucket }));
  const keys = Array.from({ length: 25 }, (_, index) => `k${index + 10}`);
  await putAll(bucket, keys);
  const listed: string[] = [];
  for (let Marker = ''; ;) {
    const page = await served.client.send(
      new ListObjectsCommand({ Bucket: bucket, Marker, MaxKeys: 4 }),
    );
    listed.push(...(page.Contents ?? []).map((entry) => entry.Key ?? ''));
    if (page.IsTruncated !== true) break;
    Marker = page.NextMarker ?? listed.at(-1) ?? '';
  }
  expect(listed).toEqual(keys);
  const versions = await served.client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  expect(versions.Versions?.map((version) => version.Key)).toEqual(keys);
  expect(new Set(versions.Versions?.map((version) => version.VersionId))).toEqual(
    new Set(['null']),
  );
});

test('keys with every kind of character that S3 allows are kept, listed and read', async () => {
  const bucket = 'sdk-odd-keys';
  await served.client.send(new CreateBucketCommand({ Bucket: bucket }));
  const ascii = Array.from(
    { length: 127 },
    (_, code) => `ascii-${String.fromCodePoint(code + 1)}-`,
  );
  const keys = [
    ...ascii,
    ...[
      'a/./b',
      'a/../b',
      './a',
      '../a',
      'a//b',
      '/a',
      'a/',
      '//',
      '.',
      '..',
      ' ',
      '  x  ',
      '+',
      '%',
    ],
    ...['%2F', '%252F', 'a%00b', 'a+b c', '?', '#', '&amp;', '<tag>', '"quoted"', "it's", 'a\\b'],
    ...[
      'ü',
      'u\u0308',
      '日本語',
      '🏯',
      'مرحبا',
      '\u200b',
      '\ufeff',
      '\u{10ffff}',
      'null',
      'undefined',
    ],
    ...['x'.repeat(1_024), 'ü'.repeat(512), '?acl', 'versions', 'constructor', '__proto__'],
  ];
  await putAll(bucket, keys);
  // In XML 1.0 a control character cannot stand for itself: that is what the encoding type is for.
  const listed = await listAll(bucket, { EncodingType: 'url', MaxKeys: 50 });
  const decoded = listed.map((key) => decodeURIComponent(key.replaceAll('+', ' ')));
  expect(decoded).toEqual(inByteOrder(keys));
  for (const Key of keys) {
    const { Body } = await served.client.send(new GetObjectCommand({ Bucket: bucket, Key }));
    expect(await Body?.transformToString()).toBe(Key);
  }
  const objects = keys.filter((key) => !/[\u0000-\u001f]/.test(key)).map((Key) => ({ Key }));
  const { Deleted, Errors } = await served.client.send(
    new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects } }),
  );
  expect(Errors ?? []).toEqual([]);
  expect(Deleted).toHaveLength(objects.length);
  expect(await listAll(bucket, { EncodingType: 'url' })).toHaveLength(keys.length - objects.length);
});

test('a thousand objects go in one request, and what was not there counts as gone', async () => {
  const keys = Array.from({ length: 999 }, (_, index) => `bulk/${index}`);
  await putAll(Bucket, keys);
  const Objects = [...keys, 'bulk/never-there'].map((Key) => ({ Key }));
  const { Deleted, Errors } = await served.client.send(
    new DeleteObjectsCommand({ Bucket, Delete: { Objects } }),
  );
  expect(Deleted).toHaveLength(1_000);
  expect(Errors).toBeUndefined();
  expect(await listAll(Bucket, { Prefix: 'bulk/' })).toEqual([]);
});

test('an upload is listed at once, and gone with its parts when it is aborted', async () => {
  const Key = 'aborted';
  const { UploadId } = await served.client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  await served.client.send(
    new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: Buffer.alloc(6 * MIB) }),
  );
  const uploads = await served.client.send(new ListMultipartUploadsCommand({ Bucket }));
  expect(uploads.Uploads?.map((upload) => upload.UploadId)).toEqual([UploadId]);
  expect(await refusalOf(served.client.send(new DeleteBucketCommand({ Bucket })))).toBe(
    '409 BucketNotEmpty',
  );
  await served.client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  const none = await served.client.send(new ListMultipartUploadsCommand({ Bucket }));
  expect(none.Uploads ?? []).toEqual([]);
  const late = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 2, Body: 'x' });
  expect(await refusalOf(served.client.send(late))).toBe('404 NoSuchUpload');
});

test('every refusal has the code and the status that clients know', async () => {
  const Key = 'refused';
  await served.client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
  const { UploadId } = await served.client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const part = async (PartNumber: number): Promise<{ PartNumber: number; ETag: string }> => {
    const upload = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: 'small' });
    return { PartNumber, ETag: (await served.client.send(upload)).ETag ?? '' };
  };
  const [one, two] = [await part(1), await part(2)];
  const complete = (...Parts: { PartNumber: number; ETag: string }[]): Promise<string> =>
    refusalOf(
      served.client.send(
        new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
      ),
    );
  expect(await complete(one, two)).toBe('400 EntityTooSmall');
  expect(await complete(two, one)).toBe('400 InvalidPartOrder');
  expect(await complete({ PartNumber: 3, ETag: one.ETag })).toBe('400 InvalidPart');
  await served.client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  expect(await complete(one)).toBe('404 NoSuchUpload');

  const get = (more: object): Promise<string> =>
    refusalOf(served.client.send(new GetObjectCommand({ Bucket, Key, ...more })));
  expect(await get({ Key: 'absent' })).toBe('404 NoSuchKey');
  expect(await get({ Bucket: 'absent-bucket' })).toBe('404 NoSuchBucket');
  expect(await get({ Range: 'bytes=1-' })).toBe('416 InvalidRange');
  expect(await get({ Key: 'x'.repeat(1_025) })).toBe('400 KeyTooLongError');

  const create = (name: string): Promise<string> =>
    refusalOf(served.client.send(new CreateBucketCommand({ Bucket: name })));
  expect(await create(Bucket)).toBe('409 BucketAlreadyOwnedByYou');
  expect(await create('No_Such_Name')).toBe('400 InvalidBucketName');
  expect(await refusalOf(served.client.send(new DeleteBucketCommand({ Bucket })))).toBe(
    '409 BucketNotEmpty',
  );
  expect(
    await refusalOf(served.client.send(new HeadBucketCommand({ Bucket: 'absent-bucket' }))),
  ).toMatch(/^404 /);
  const versioning = new PutBucketVersioningCommand({
    ...{ Bucket, VersioningConfiguration: { Status: 'Enabled' } },
  });
  expect(await refusalOf(served.client.send(versioning))).toBe('501 NotImplemented');
  const { LocationConstraint } = await served.client.send(new GetBucketLocationCommand({ Bucket }));
  expect(LocationConstraint ?? '').toBe('');
});

test('strangers and wrong secrets are refused', async () => {
  const as = (accessKeyId: string, secretAccessKey: string): Promise<string> => {
    const stranger = sdkClient(served.server, { credentials: { accessKeyId, secretAccessKey } });
    return refusalOf(stranger.send(new GetObjectCommand({ Bucket, Key: 'refused' })));
  };
  expect(await as('NOBODYKNOWSME', SECRET_ACCESS_KEY)).toBe('403 InvalidAccessKeyId');
  const { accessKeyId } = await served.client.config.credentials();
  expect(await as(accessKeyId, 'not the secret')).toBe('403 SignatureDoesNotMatch');
  const hourAgo = sdkClient(served.server, { systemClockOffset: -3_600_000 });
  expect(await refusalOf(hourAgo.send(new GetObjectCommand({ Bucket, Key: 'refused' })))).toBe(
    '403 RequestTimeTooSkewed',
  );
  expect((await fetch(`${served.server.endpoint}/${Bucket}/refused`)).status).toBe(403);
});
