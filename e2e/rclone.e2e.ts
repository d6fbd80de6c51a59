/** rclone: sync with many transfers, check by hash, multipart, server-side copy and move. */
import { rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  clientEnvironment,
  RCLONE,
  writeRcloneConfiguration,
} from './harness/client-environment.ts';
import { DozoServer } from './harness/dozo-server.ts';
import { copySampleTree, sha256OfFile, treeDifferences } from './harness/file-tree.ts';
import { writeRandomFile } from './harness/random-bytes.ts';
import { runCommand } from './harness/run-command.ts';
import { scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';

const MIB = 1024 * 1024;
const scratch = new Scratch('rclone');
const environment = clientEnvironment(scratch);
let server: DozoServer;
let configuration: string;

function rclone(...args: readonly string[]): Promise<string> {
  return runCommand(RCLONE, ['--config', configuration, '--retries', '1', ...args], {
    environment,
  });
}

beforeAll(async () => {
  server = await DozoServer.start({ dataDirectory: scratch.directory('data'), size: '6GiB' });
  configuration = writeRcloneConfiguration(scratch, server);
  await rclone('mkdir', 'dozo:files');
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

test('a tree of thousands of files is the same after sync up, check and sync down', async () => {
  const source = scratch.directory('tree');
  const fileCount = await copySampleTree(source, scale.treeFiles.rclone);
  await rclone('sync', '--transfers', '32', source, 'dozo:files/tree');
  await rclone('check', '--checkers', '32', source, 'dozo:files/tree');
  const back = scratch.directory('tree-back');
  await rclone('sync', '--transfers', '32', 'dozo:files/tree', back);
  expect(await treeDifferences(source, back)).toEqual([]);
  const size = JSON.parse(await rclone('size', '--json', 'dozo:files/tree')) as { count: number };
  expect(size.count).toBe(fileCount);
});

test('a sync carries over changes and deletions', async () => {
  const source = scratch.directory('changing');
  writeFileSync(`${source}/stays`, 'stays');
  writeFileSync(`${source}/changes`, 'before');
  writeFileSync(`${source}/goes`, 'goes');
  await rclone('sync', source, 'dozo:files/changing');
  writeFileSync(`${source}/changes`, 'afterwards');
  rmSync(`${source}/goes`);
  await rclone('sync', source, 'dozo:files/changing');
  const names = (await rclone('lsf', 'dozo:files/changing')).trim().split('\n');
  expect(names.toSorted()).toEqual(['changes', 'stays']);
  expect(await rclone('cat', 'dozo:files/changing/changes')).toBe('afterwards');
});

test('a large file goes up in parts, is copied and moved on the server, and is the same', async () => {
  const path = scratch.join('large');
  const sha256 = await writeRandomFile(path, 'rclone-large', 300 * MIB + 1);
  await rclone(
    'copyto',
    '--s3-chunk-size',
    '16M',
    '--s3-upload-concurrency',
    '4',
    path,
    'dozo:files/large',
  );
  await rclone('copyto', 'dozo:files/large', 'dozo:files/large-copy');
  await rclone('moveto', 'dozo:files/large-copy', 'dozo:files/large-moved');
  await rclone('copyto', 'dozo:files/large-moved', scratch.join('large-back'));
  expect(await sha256OfFile(scratch.join('large-back'))).toBe(sha256);
});

test('a range across the parts of a file is what stands there', async () => {
  const text = Array.from({ length: 2_000_000 }, (_, line) => `line ${line}\n`).join('');
  writeFileSync(scratch.join('lines'), text);
  await rclone('copyto', '--s3-upload-cutoff', '5M', scratch.join('lines'), 'dozo:files/lines');
  const offset = 5 * MIB - 50;
  const range = await rclone('cat', '--offset', `${offset}`, '--count', '100', 'dozo:files/lines');
  expect(range).toBe(text.slice(offset, offset + 100));
});

test('purge leaves nothing behind', async () => {
  await rclone('purge', 'dozo:files');
  expect(await rclone('lsd', 'dozo:')).toBe('');
});
