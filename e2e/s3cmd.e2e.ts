/** s3cmd: Signature V4 with region US, ListObjects V1, multipart, sync by MD5. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientEnvironment, S3CMD, writeS3cmdConfiguration } from './harness/client-environment.ts';
import { DozoServer } from './harness/dozo-server.ts';
import { copySampleTree, sha256OfFile, treeDifferences } from './harness/file-tree.ts';
import { writeRandomFile } from './harness/random-bytes.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import { scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';

const MIB = 1024 * 1024;
const scratch = new Scratch('s3cmd');
const environment = clientEnvironment(scratch);
let server: DozoServer;
let configuration: string;

function s3cmd(...args: readonly string[]): Promise<string> {
  return runCommand(S3CMD, ['-c', configuration, '--no-progress', ...args], { environment });
}

beforeAll(async () => {
  server = await DozoServer.start({ dataDirectory: scratch.directory('data'), size: '4GiB' });
  configuration = writeS3cmdConfiguration(scratch, server);
  await s3cmd('mb', 's3://files');
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

test('a tree is the same after sync up and sync down, and a second sync has nothing to do', async () => {
  const source = scratch.directory('tree');
  await copySampleTree(source, scale.treeFiles.s3cmd);
  await s3cmd('sync', `${source}/`, 's3://files/tree/');
  const back = scratch.directory('tree-back');
  await s3cmd('sync', 's3://files/tree/', `${back}/`);
  expect(await treeDifferences(source, back)).toEqual([]);
  expect(await s3cmd('sync', '--dry-run', `${source}/`, 's3://files/tree/')).not.toContain(
    'upload:',
  );
});

test('a file goes up in parts of 5 MiB and comes back byte for byte', async () => {
  const sha256 = await writeRandomFile(scratch.join('parts'), 's3cmd-parts', 64 * MIB + 12_345);
  await s3cmd('put', '--multipart-chunk-size-mb=5', scratch.join('parts'), 's3://files/parts');
  await s3cmd('get', 's3://files/parts', scratch.join('parts-back'));
  expect(await sha256OfFile(scratch.join('parts-back'))).toBe(sha256);
  expect(await s3cmd('multipart', 's3://files')).not.toContain('s3://files/parts');
});

test('put, ls, info, cp, mv and del do what they say', async () => {
  const sha256 = await writeRandomFile(scratch.join('small'), 's3cmd-small', 10_000);
  await s3cmd('put', scratch.join('small'), 's3://files/dir/small one');
  expect(await s3cmd('ls', 's3://files/dir/')).toContain('s3://files/dir/small one');
  expect(await s3cmd('ls', 's3://files')).toMatch(/DIR\s+s3:\/\/files\/dir\//);
  expect(await s3cmd('info', 's3://files/dir/small one')).toMatch(/File size:\s+10000/);
  expect(await s3cmd('info', 's3://files')).toContain('s3://files/ (bucket)');
  await s3cmd('cp', 's3://files/dir/small one', 's3://files/dir/two');
  await s3cmd('mv', 's3://files/dir/two', 's3://files/dir/three');
  await s3cmd('get', 's3://files/dir/three', scratch.join('three'));
  expect(await sha256OfFile(scratch.join('three'))).toBe(sha256);
  await s3cmd('del', 's3://files/dir/three');
  expect(await s3cmd('ls', 's3://files/dir/')).not.toContain('three');
});

test('a bucket goes only when it is empty', async () => {
  const refused = await tryCommand(S3CMD, ['-c', configuration, 'rb', 's3://files'], {
    environment,
  });
  expect(refused.stderr).toContain('BucketNotEmpty');
  await s3cmd('del', '--recursive', '--force', 's3://files');
  await s3cmd('rb', 's3://files');
  expect(await s3cmd('ls')).not.toContain('s3://files');
});
