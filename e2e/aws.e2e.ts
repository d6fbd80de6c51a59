/** The AWS command line of Debian: a real tree, a large multipart, ranges, presigned URLs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AWS, clientEnvironment, CURL } from './harness/client-environment.ts';
import { DozoServer } from './harness/dozo-server.ts';
import { copySampleTree, sha256OfFile, treeDifferences } from './harness/file-tree.ts';
import { randomBytesOf, writeRandomFile } from './harness/random-bytes.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import { scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';

const scratch = new Scratch('aws');
const environment = clientEnvironment(scratch);
let server: DozoServer;

function aws(...args: readonly string[]): Promise<string> {
  return runCommand(AWS, ['--endpoint-url', server.endpoint, ...args], { environment });
}

interface HeadAnswer {
  readonly ContentLength: number;
  readonly ETag: string;
  readonly ContentType: string;
  readonly Metadata: Readonly<Record<string, string>>;
}

async function head(bucket: string, key: string): Promise<HeadAnswer> {
  return JSON.parse(
    await aws('s3api', 'head-object', '--bucket', bucket, '--key', key),
  ) as HeadAnswer;
}

beforeAll(async () => {
  // The large object, its copy, and room to work.
  const size = `${Math.ceil((scale.multipartBytes / 2 ** 30) * 2.5) + 2}GiB`;
  server = await DozoServer.start({ dataDirectory: scratch.directory('data'), size });
  await aws('s3', 'mb', 's3://files');
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

test('a tree of thousands of files is the same after sync up and sync down', async () => {
  const source = scratch.directory('tree');
  const fileCount = await copySampleTree(source, scale.treeFiles.aws);
  await aws('s3', 'sync', '--only-show-errors', source, 's3://files/tree');
  const back = scratch.directory('tree-back');
  await aws('s3', 'sync', '--only-show-errors', 's3://files/tree', back);
  expect(await treeDifferences(source, back)).toEqual([]);
  // A second sync finds nothing to do: sizes and times in the listing are right.
  expect(await aws('s3', 'sync', '--dryrun', source, 's3://files/tree')).toBe('');
  const listing = await aws('s3', 'ls', '--recursive', '--summarize', 's3://files/tree/');
  expect(listing).toContain(`Total Objects: ${fileCount}`);
});

test('a large file goes up in parts and comes back byte for byte', async () => {
  const path = scratch.join('large');
  const sha256 = await writeRandomFile(path, 'aws-large', scale.multipartBytes);
  await aws('s3', 'cp', '--only-show-errors', path, 's3://files/large');
  const { ContentLength, ETag } = await head('files', 'large');
  expect(ContentLength).toBe(scale.multipartBytes);
  expect(ETag).toMatch(/^"[0-9a-f]{32}-\d+"$/);
  await aws('s3', 'cp', '--only-show-errors', 's3://files/large', scratch.join('large-back'));
  expect(await sha256OfFile(scratch.join('large-back'))).toBe(sha256);
  const uploads = await aws('s3api', 'list-multipart-uploads', '--bucket', 'files');
  expect(uploads).not.toContain('UploadId');
});

test('a large file is copied on the server, in parts, and the copy is the same', async () => {
  await aws('s3', 'cp', '--only-show-errors', 's3://files/large', 's3://files/large-copy');
  await aws('s3', 'cp', '--only-show-errors', 's3://files/large-copy', scratch.join('copy-back'));
  expect(await sha256OfFile(scratch.join('copy-back'))).toBe(
    await sha256OfFile(scratch.join('large')),
  );
});

test('a range gives the bytes that were asked for, from small objects and across parts', async () => {
  const large = readFileSync(scratch.join('large'));
  const partBytes = 8 * 1024 * 1024;
  const ranges: [string, number, number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=4194300-4194310', 4_194_300, 4_194_311],
    [`bytes=${partBytes - 5}-${partBytes + 4_999_999}`, partBytes - 5, partBytes + 5_000_000],
    ['bytes=-100', large.length - 100, large.length],
    [`bytes=${large.length - 3}-`, large.length - 3, large.length],
  ];
  for (const [range, from, to] of ranges) {
    const target = scratch.join('range');
    await aws(
      ...['s3api', 'get-object', '--bucket', 'files', '--key', 'large'],
      ...['--range', range, target],
    );
    expect(readFileSync(target).equals(large.subarray(from, to)), range).toBe(true);
  }
  const refused = await tryCommand(
    AWS,
    [
      ...['--endpoint-url', server.endpoint, 's3api', 'get-object', '--bucket', 'files'],
      ...['--key', 'large', '--range', `bytes=${large.length}-`, scratch.join('range')],
    ],
    { environment },
  );
  expect(refused.stderr).toContain('InvalidRange');
});

test('a presigned URL opens the object for curl, until it has expired or was tampered with', async () => {
  const body = randomBytesOf('presigned', 100_000);
  writeFileSync(scratch.join('presigned'), body);
  await aws('s3', 'cp', '--only-show-errors', scratch.join('presigned'), 's3://files/a b/ü+&=');
  const url = (await aws('s3', 'presign', 's3://files/a b/ü+&=', '--expires-in', '600')).trim();
  await runCommand(CURL, ['-sSf', '-o', scratch.join('curl-back'), url]);
  expect(readFileSync(scratch.join('curl-back')).equals(body)).toBe(true);

  const statusOf = async (address: string): Promise<string> =>
    runCommand(CURL, ['-sS', '-o', '/dev/null', '-w', '%{http_code}', address]);
  expect(await statusOf(url.replace(/X-Amz-Expires=\d+/, 'X-Amz-Expires=601'))).toBe('403');
  expect(await statusOf(url.replace(/\?.*/, ''))).toBe('403');
  const short = (await aws('s3', 'presign', 's3://files/a b/ü+&=', '--expires-in', '1')).trim();
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(await statusOf(short)).toBe('403');
});

test('metadata and type are kept by a copy, and replaced when that is asked for', async () => {
  writeFileSync(scratch.join('note'), 'hello\n');
  await aws(
    ...['s3', 'cp', '--only-show-errors', scratch.join('note'), 's3://files/note'],
    ...['--content-type', 'text/x-note', '--metadata', 'colour=blue'],
  );
  await aws('s3', 'cp', '--only-show-errors', 's3://files/note', 's3://files/note-copy');
  expect(await head('files', 'note-copy')).toMatchObject({
    ContentType: 'text/x-note',
    Metadata: { colour: 'blue' },
  });
  await aws(
    ...['s3', 'cp', '--only-show-errors', 's3://files/note', 's3://files/note'],
    ...['--metadata-directive', 'REPLACE', '--content-type', 'text/y', '--metadata', 'colour=red'],
  );
  expect(await head('files', 'note')).toMatchObject({
    ContentType: 'text/y',
    Metadata: { colour: 'red' },
  });
});

test('a listing with delimiter shows folders once, and pages give the same as one answer', async () => {
  await aws('s3', 'mb', 's3://listed');
  const source = scratch.directory('listed');
  for (let index = 0; index < 30; index += 1) {
    writeFileSync(scratch.join('listed', `top-${String(index).padStart(2, '0')}`), '');
    const folder = scratch.directory(`listed/folder-${index % 3}`);
    writeFileSync(`${folder}/leaf-${index}`, String(index));
  }
  await aws('s3', 'sync', '--only-show-errors', source, 's3://listed');
  const list = async (
    ...more: readonly string[]
  ): Promise<{ keys: string[]; folders: string[] }> => {
    const answer = JSON.parse(
      await aws('s3api', 'list-objects-v2', '--bucket', 'listed', '--output', 'json', ...more),
    ) as { Contents?: { Key: string }[]; CommonPrefixes?: { Prefix: string }[] };
    return {
      keys: (answer.Contents ?? []).map((entry) => entry.Key),
      folders: (answer.CommonPrefixes ?? []).map((entry) => entry.Prefix),
    };
  };
  const whole = await list('--delimiter', '/');
  expect(whole.folders).toEqual(['folder-0/', 'folder-1/', 'folder-2/']);
  expect(whole.keys).toHaveLength(30);
  expect(await list('--delimiter', '/', '--page-size', '4')).toEqual(whole);
  expect((await list('--page-size', '7')).keys).toHaveLength(60);
  expect((await list('--prefix', 'folder-1/')).keys).toHaveLength(10);
});

test('a bucket goes only when it is empty', async () => {
  const refused = await tryCommand(
    AWS,
    ['--endpoint-url', server.endpoint, 's3', 'rb', 's3://listed'],
    { environment },
  );
  expect(refused.stderr).toContain('BucketNotEmpty');
  await aws('s3', 'rm', '--only-show-errors', '--recursive', 's3://listed');
  await aws('s3', 'rb', 's3://listed');
  expect(await aws('s3', 'ls')).not.toContain('listed');
});
