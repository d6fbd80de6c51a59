/** restic: signed streaming chunks, many small objects, and a repository that checks itself. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientEnvironment, RESTIC } from './harness/client-environment.ts';
import { DozoServer } from './harness/dozo-server.ts';
import { copySampleTree, treeDifferences } from './harness/file-tree.ts';
import { randomBytesOf, writeRandomFile } from './harness/random-bytes.ts';
import { runCommand } from './harness/run-command.ts';
import { scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';

const MIB = 1024 * 1024;
const scratch = new Scratch('restic');
const environment = clientEnvironment(scratch);
let server: DozoServer;

function restic(...args: readonly string[]): Promise<string> {
  const repository = `s3:${server.endpoint}/backups/machine`;
  return runCommand(RESTIC, ['--repo', repository, ...args], { environment });
}

beforeAll(async () => {
  server = await DozoServer.start({ dataDirectory: scratch.directory('data'), size: '6GiB' });
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  scratch.remove();
});

test('a backup is restored byte for byte, also after a restart of the server', async () => {
  const source = scratch.directory('tree');
  await copySampleTree(source, scale.treeFiles.restic);
  await writeRandomFile(join(source, 'large'), 'restic-large', 200 * MIB);
  await restic('init');
  await restic('backup', '--quiet', source);
  await restic('check', '--read-data');
  await server.stop();
  await server.start();
  await restic('check', '--read-data');
  const target = scratch.directory('restored');
  await restic('restore', 'latest', '--target', target);
  expect(await treeDifferences(source, join(target, source))).toEqual([]);
});

test('a second backup, forget and prune leave a repository that still checks', async () => {
  const source = scratch.join('tree');
  writeFileSync(join(source, 'added'), randomBytesOf('added', 3 * MIB));
  await restic('backup', '--quiet', source);
  await restic('forget', '--keep-last', '1', '--prune');
  await restic('check', '--read-data');
  const snapshots = JSON.parse(await restic('snapshots', '--json')) as unknown[];
  expect(snapshots).toHaveLength(1);
  const target = scratch.directory('restored-second');
  await restic('restore', 'latest', '--target', target);
  expect(await treeDifferences(source, join(target, source))).toEqual([]);
});
