/**
 * The guard as a single file, where Node is not: in root file systems that are mounted read-only and
 * have a shell and the libraries of glibc, as pid 1 and without being root. And where it cannot run: it
 * says so in one line.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inMinimalRoot, makeMinimalRoot, whyNoMinimalRoots } from './harness/minimal-root.ts';
import type { RootMounts } from './harness/minimal-root.ts';
import { runCommand, tryCommand } from './harness/run-command.ts';
import type { CommandResult } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const root = join(import.meta.dirname, '..');
const built = join(root, 'build');
const binary = join(built, `dozo-guard-linux-${process.arch}`);
const script = join(built, 'dozo-guard');
const scratch = new Scratch('single-file');
const LOADERS: ReadonlyMap<string, string> = new Map([
  ['x64', 'lib64/ld-linux-x86-64.so.2'],
  ['arm64', 'lib/ld-linux-aarch64.so.1'],
]);
const USER = 12_345;
/** No test waits for the lease to end; a busy machine must not come near it. */
const INTERVALS = ['--beat', '100ms', '--lease', '10s'];
const missing = whyNoMinimalRoots();
if (missing !== undefined) console.log(`single file: not tried in a root of its own: ${missing}`);
let count = 0;

beforeAll(async () => {
  await runCommand(process.execPath, [join(root, 'tools', 'build-guard.ts')]);
  console.log(`single file: ${(statSync(binary).size / 1e6).toFixed(1)} MB`);
});

afterAll(() => {
  scratch.remove();
});

function newVolume(): string {
  const path = scratch.directory(`volume-${++count}`);
  chownSync(path, USER, USER);
  return path;
}

/** The one line that was said. */
function lineOf(result: CommandResult): string {
  const lines = result.stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

describe('the single file', () => {
  test('passes on arguments, environment and status, and keeps NODE_OPTIONS for the program', async () => {
    const volume = newVolume();
    const command = ['sh', '-c', 'echo "$1|$NODE_OPTIONS|"; exit 9', 'sh', '-- a b'];
    const result = await tryCommand(script, ['--volume', volume, ...INTERVALS, '--', ...command], {
      environment: { NODE_OPTIONS: '--require /nowhere/at-all.js' },
    });
    expect(result.stderr).toBe('');
    expect(result.stdout).toBe('-- a b|--require /nowhere/at-all.js|\n');
    expect(result.status).toBe(9);
  });

  test('leaves nothing but the claim file, even where it finds no better place for itself', async () => {
    const volume = newVolume();
    const environment = { TMPDIR: volume };
    const result = await tryCommand(binary, ['--volume', volume, '--', 'true'], { environment });
    expect(result.status).toBe(0);
    expect(readdirSync(volume)).toEqual(['.dozo-claim']);
  });

  test('says which command it does not know', async () => {
    const result = await tryCommand(binary, ['--nonsense']);
    expect(result.status).toBe(2);
    expect(lineOf(result)).toContain('--nonsense');
  });
});

describe.runIf(missing === undefined)('in a root file system that is mounted read-only', () => {
  let glibc: string;

  beforeAll(() => {
    glibc = makeMinimalRoot(scratch.directory('glibc'), binary);
  });

  function inside(
    mounts: Partial<RootMounts>,
    command: readonly string[],
    directory = glibc,
    user = USER,
  ): Promise<CommandResult> {
    const all = { guard: built, volume: newVolume(), ...mounts };
    const [program = '', ...args] = inMinimalRoot(directory, all, user, command);
    return tryCommand(program, args, { timeoutMs: 60_000 });
  }

  const guarding = (...command: string[]): string[] => {
    return ['/guard/dozo-guard', '--volume', '/volume', ...INTERVALS, '--', ...command];
  };

  /** What the program sees of itself: its user, its parent's parent, whether the root can be written. */
  const LOOK =
    'id -u; cat /proc/1/comm; touch /tmp/x /x 2>/dev/null || echo read-only; ls -A /volume; exit 7';

  test.each([
    { where: 'with nothing to write to but the volume', noexec: [] },
    { where: 'with tmpfs mounted noexec', noexec: ['/tmp', '/dev/shm', '/run', '/var/tmp'] },
  ])('it runs as pid 1, without being root, $where', async ({ noexec }) => {
    const result = await inside({ noexec }, guarding('sh', '-c', LOOK));
    expect(result.stderr).toBe('');
    expect(result.stdout).toMatch(/^12345\n(dozo-guard\S*|MainThread)\nread-only\n\.dozo-claim\n$/);
    expect(result.status).toBe(7);
  });

  test('a second one is refused and names the first; it gets the volume when the first is killed', async () => {
    const volume = newVolume();
    const second = guarding('echo', 'mine');
    const both = [
      `${guarding('sleep', '1000').join(' ')} &`,
      'until ls /proc/*/cmdline | while read f; do cat $f; echo; done | grep -q ^sleep; do :; done',
      `${second.join(' ')}; echo "refused: $?"`,
      'kill -9 $!; wait $!',
      `${second.join(' ')}; echo "then: $?"`,
    ].join('\n');
    const result = await inside({ volume }, ['sh', '-c', both]);
    expect(result.stdout).toBe('refused: 3\nmine\nthen: 0\n');
    expect(result.stderr).toMatch(/held by sleep, process \d+ on host/);
  });

  test('it says in one line that nothing can be loaded when the volume is noexec too', async () => {
    const noexec = ['/tmp', '/dev/shm'];
    const result = await inside({ noexec, volumeOptions: 'noexec' }, guarding('true'));
    expect(result.status).toBe(6);
    const line = lineOf(result);
    expect(line).toMatch(/\/dev\/shm: noexec; \/tmp: noexec; \/run: EROFS.*\/volume: noexec/);
    expect(line).toContain('TMPDIR');
  });

  test('it says in one line that there is no /proc', async () => {
    const result = await inside({ hasProc: false }, guarding('true'));
    expect(result.status).toBe(6);
    expect(lineOf(result)).toContain('no /proc');
  });

  test('it says in one line that there is no glibc', async () => {
    const musl = makeMinimalRoot(scratch.directory('musl'), undefined);
    const result = await inside({}, guarding('true'), musl);
    expect(result.status).toBe(6);
    expect(lineOf(result)).toContain('no glibc');
  });

  test('it says in one line which libraries are missing', async () => {
    const bare = makeMinimalRoot(scratch.directory('bare'), binary, ['libstdc++', 'libgcc_s']);
    const result = await inside({}, guarding('true'), bare);
    expect(result.status).toBe(6);
    expect(lineOf(result)).toMatch(/libstdc\+\+\.so\.6 or libgcc_s\.so\.1 is missing/);
  });

  test('it says in one line that glibc is too old, when the loader says so', async () => {
    const old = makeMinimalRoot(scratch.directory('old'), undefined);
    // What stands in for an old loader says what those say.
    const loader = join(old, LOADERS.get(process.arch) ?? '');
    mkdirSync(dirname(loader), { recursive: true });
    const complaint = "/lib/libc.so.6: version `GLIBC_2.28' not found (required by $2)";
    writeFileSync(loader, `#!/bin/sh\ncat >&2 <<'END'\n${complaint}\n${complaint}\nEND\nexit 1\n`);
    chmodSync(loader, 0o755);
    const result = await inside({}, guarding('true'), old);
    expect(result.status).toBe(6);
    expect(lineOf(result)).toContain('glibc is older than 2.28');
  });
});
