/**
 * What `npm run build` makes, packed and installed into an empty directory, is a working `dozo`: on
 * the Node that comes along, and started by whatever older one the machine has.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import { signedExchange } from './harness/raw-http.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const root = join(import.meta.dirname, '..');
// Outside this checkout, whose own packages would otherwise be found.
const scratch = new Scratch('published', tmpdir());
const installed = scratch.directory('installed');
const dozo = join(installed, 'node_modules', '.bin', 'dozo');

/** The PATH of a shell outside this checkout: the machine's own Node. */
const machinePath = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

beforeAll(async () => {
  await runCommand(process.execPath, [join(root, 'tools', 'build.ts')]);
  const packages = readdirSync(join(root, 'build', 'packages'));
  const tarballs = scratch.directory('tarballs');
  const folders = packages.map((name) => join(root, 'build', 'packages', name));
  await runCommand('npm', ['pack', '--pack-destination', tarballs, ...folders]);
  writeFileSync(join(installed, 'package.json'), '{ "private": true }\n');
  const files = readdirSync(tarballs).map((name) => join(tarballs, name));
  await runCommand('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...files], {
    workingDirectory: installed,
  });
});

afterAll(() => {
  scratch.remove();
});

test('the installed command tells its version', async () => {
  const manifest = readFileSync(join(root, 'packages', 'dozo', 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { readonly version: string };
  expect(await runCommand(dozo, ['version'])).toContain(version);
});

test('an older Node goes on with the one that came along', async () => {
  const environment = { PATH: machinePath };
  const machineNode = await tryCommand('node', ['--version'], { environment });
  const outcome = await tryCommand(dozo, ['version', '--json'], { environment });
  expect(outcome.stderr).toBe('');
  expect(outcome.status).toBe(0);
  console.log(`published: the machine's Node is ${machineNode.stdout.trim()}`);
  expect(outcome.stdout).toMatch(/"v?(24|2[5-9]|[3-9]\d)\./);
});

test('the installed command serves', async () => {
  const server = await DozoServer.start({
    ...{ dataDirectory: scratch.directory('data'), size: '1GiB' },
    command: [dozo],
  });
  expect((await signedExchange(server, { method: 'PUT', path: '/published' })).status).toBe(200);
  expect(
    (await signedExchange(server, { method: 'PUT', path: '/published/key' }, 'value')).status,
  ).toBe(200);
  const back = await signedExchange(server, { method: 'GET', path: '/published/key' });
  expect(back.text.endsWith('value')).toBe(true);
  expect(await server.stop()).toBe(0);
});

test('types come along: a program that imports a published package compiles', async () => {
  writeFileSync(
    join(installed, 'program.ts'),
    "import { crc32c } from '@dozo/base';\nconst sum: number = crc32c(new Uint8Array(4));\n" +
      'if (sum < 0) throw new Error(String(sum));\n',
  );
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const outcome = await tryCommand(
    process.execPath,
    [tsc, '--noEmit', '--strict', '--module', 'nodenext', 'program.ts'],
    { workingDirectory: installed },
  );
  expect(outcome.stdout).toBe('');
  expect(outcome.status).toBe(0);
  await runCommand(process.execPath, ['program.ts'], { workingDirectory: installed });
});
