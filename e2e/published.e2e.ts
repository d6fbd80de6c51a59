/**
 * What `npm run build` makes, packed and installed into an empty directory, is a working `dozo`: on
 * the Node that comes along, and started by whatever older one the machine has.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DozoServer } from './harness/dozo-server.ts';
import { signedExchange } from './harness/raw-http.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const root = join(import.meta.dirname, '..');
// Outside this checkout, whose own packages would otherwise be found.
const scratch = new Scratch('published', tmpdir());
const installed = scratch.directory('installed');
const dozo = join(installed, 'node_modules', '.bin', 'dozo');
const tarballs = scratch.directory('tarballs');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');

/** The PATH of a shell outside this checkout: the machine's own Node. */
const machinePath = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

beforeAll(async () => {
  await runCommand(process.execPath, [join(root, 'tools', 'build.ts')]);
  const packages = readdirSync(join(root, 'build', 'packages'));
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
  const outcome = await tryCommand(
    process.execPath,
    [tsc, '--noEmit', '--strict', '--module', 'nodenext', 'program.ts'],
    { workingDirectory: installed },
  );
  expect(outcome.stdout).toBe('');
  expect(outcome.status).toBe(0);
  await runCommand(process.execPath, ['program.ts'], { workingDirectory: installed });
});

test('an installed package computes on a thread, with tasks of another one', async () => {
  const program = `
    import { sumTask } from '@dozo/base/contracts';
    import { WorkerCompute } from '@dozo/platform';
    const compute = new WorkerCompute();
    console.log(JSON.stringify(await compute.run(sumTask, { numbers: [20, 22] })));`;
  writeFileSync(join(installed, 'compute.mjs'), program);
  const output = await runCommand(process.execPath, ['compute.mjs'], {
    workingDirectory: installed,
  });
  expect(output.trim()).toBe('{"sum":42}');
});

describe('the example that guards a directory of its own, on the three packages that it needs', () => {
  const example = scratch.directory('example');
  const ledger = scratch.join('ledger');
  const running = new Set<ChildProcess>();
  /** What the one that was started last has complained of. */
  let errors = '';

  beforeAll(async () => {
    cpSync(join(root, 'examples', 'guard-a-directory'), example, { recursive: true });
    const files = readdirSync(tarballs)
      .filter((name) => /^dozo-(base|claim|platform)-/.test(name))
      .map((name) => join(tarballs, name));
    expect(files).toHaveLength(3);
    await runCommand('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...files], {
      workingDirectory: example,
    });
  });

  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
    running.clear();
  });

  /** Starts it; resolves when it says that it holds the directory. */
  async function holder(...options: readonly string[]): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['ledger.ts', ledger, ...options], {
      cwd: example,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    errors = '';
    child.stderr.on('data', (data: Buffer) => {
      errors += data.toString();
    });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    expect(said.toString()).toContain(`Process ${child.pid ?? 0} keeps the ledger`);
    return child;
  }

  test('needs nothing of the rest', () => {
    expect(readdirSync(join(example, 'node_modules', '@dozo')).sort()).toEqual([
      'base',
      'claim',
      'platform',
    ]);
  });

  test('compiles against the declarations that come along', async () => {
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules', '@types')];
    const options = ['--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes'];
    const target = ['--noEmit', '--module', 'nodenext', '--target', 'es2024'];
    const outcome = await tryCommand(
      process.execPath,
      [tsc, ...target, ...options, ...types, 'ledger.ts'],
      { workingDirectory: example },
    );
    expect(outcome.stdout).toBe('');
    expect(outcome.status).toBe(0);
  });

  test('refuses a second process and names the first; when that is killed, the next one gets it', async () => {
    const first = await holder();
    const second = await tryCommand(process.execPath, ['ledger.ts', ledger], {
      workingDirectory: example,
    });
    expect(second.status).toBe(3);
    expect(second.stderr).toContain(`held by ledger, process ${first.pid ?? 0} on host`);
    first.kill('SIGKILL');
    await once(first, 'exit');
    const next = await holder();
    // It would say so if it had to watch a lease run out.
    expect(errors).toBe('');
    next.kill('SIGTERM');
    expect(await once(next, 'exit')).toEqual([0, null]);
    const writers = readFileSync(join(ledger, 'ledger.txt'), 'utf8').match(/^\d+/gm);
    expect([...new Set(writers)]).toEqual([String(first.pid), String(next.pid)]);
  });

  test('waits when it is asked to, and goes on when the first one ends', async () => {
    const first = await holder();
    const waiting = holder('--wait');
    await expect.poll(() => errors).toContain(`held: ledger, process ${first.pid ?? 0}`);
    first.kill('SIGTERM');
    expect(await once(first, 'exit')).toEqual([0, null]);
    await waiting;
  });

  test('ends with a status of its own when its claim file is damaged under it', async () => {
    const first = await holder();
    writeFileSync(join(ledger, '.dozo-claim'), '');
    expect(await once(first, 'exit')).toEqual([10, null]);
  });
});
