/**
 * `dozo lab double-start`, as root and as somebody else: what it shows, how it ends, and that nothing is
 * left of it, however it ends. Root plays everything; the parts that need root say so without it.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { whyNoLoopDevices } from './harness/kernel-objects.ts';
import { runCommand, tryCommand, type CommandResult } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

interface LabResult {
  readonly accidents: readonly { readonly store: string; readonly outcome: string }[];
  readonly ways: readonly { readonly way: string; readonly outcome: string }[];
  readonly verdict: { readonly status: number; readonly text: string };
}

const EXIT_MACHINE_REFUSED = 6;
const NOBODY = 65_534;
const LINE_WIDTH_MAX = 100;
const LEFTOVER_MS = 10_000;
const waysIn = [
  'same path',
  'private lock directory',
  'device node made again with mknod',
  'second loop device on the same file',
  'first daemon stopped and continued',
  'every lock off',
];
const command = join(import.meta.dirname, '..', 'packages', 'dozo', 'bin', 'dozo.js');
const asNobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
const isRoot = process.getuid?.() === 0;
const scratch = new Scratch('lab');
// Another user is to have a directory inside.
chmodSync(scratch.path, 0o711);

afterAll(() => {
  scratch.remove();
});

/** The arguments of a run in a directory of its own. */
function lab(directory: string, ...more: readonly string[]): string[] {
  return [command, 'lab', 'double-start', '--directory', directory, ...more];
}

/** Runs it without root, whoever we are. */
function runWithoutRoot(directory: string): Promise<CommandResult> {
  const args = [process.execPath, ...lab(directory, '--json')];
  if (isRoot) chownSync(directory, NOBODY, NOBODY);
  return isRoot
    ? tryCommand('setpriv', [...asNobody, ...args])
    : tryCommand(process.execPath, args.slice(1));
}

/** Whether another user can reach Node and this checkout at all. */
function nobodyCanRun(): boolean {
  if (!isRoot) return true;
  try {
    const args = [process.execPath, command, 'version'];
    execFileSync('setpriv', [...asNobody, ...args], { stdio: 'ignore', cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

/** Processes of the lab among those that the story has named. */
function livingDaemons(story: string): string[] {
  const pids = [...story.matchAll(/\bpid (\d+):/g)].map((match) => match[1] ?? '');
  return pids.filter((pid) => {
    const path = `/proc/${pid}/cmdline`;
    return existsSync(path) && readFileSync(path, 'utf8').includes('/lab/');
  });
}

/** Loop devices on files of a run, and mounts in its directory. */
async function kernelLeftovers(directory: string): Promise<string[]> {
  const loops = (await runCommand('losetup', ['--all'])).split('\n');
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return [...loops, ...mounts].filter((line) => line.includes(directory));
}

/** The kernel takes a loop device away a moment after its last user has gone. */
async function expectNothingLeft(directory: string, story: string): Promise<void> {
  const deadlineMs = Date.now() + LEFTOVER_MS;
  for (;;) {
    const left = [...livingDaemons(story), ...(await kernelLeftovers(directory))];
    if (left.length === 0) return;
    if (Date.now() > deadlineMs) expect(left).toEqual([]);
    await sleep(20);
  }
}

/** Starts it and reads along until its story has come to `text`. */
async function startUntil(
  directory: string,
  text: RegExp,
): Promise<{ readonly child: ChildProcess; readonly story: () => string }> {
  const child = spawn(process.execPath, lab(directory), { stdio: ['ignore', 'pipe', 'inherit'] });
  let told = '';
  child.stdout.setEncoding('utf8');
  for await (const part of child.stdout.iterator({ destroyOnReturn: false })) {
    told += String(part);
    if (text.test(told)) break;
  }
  child.stdout.on('data', (part: string) => (told += part));
  return { child, story: () => told };
}

describe.runIf(whyNoLoopDevices() === undefined)('as root, with loop devices', () => {
  // With the control: what the lab would say of an engine that does not guard its segments.
  test('the naive stores are destroyed, Dozo is intact in all six ways in', async () => {
    const directory = scratch.directory('root');
    const { status, stdout, stderr } = await tryCommand(process.execPath, [
      ...lab(directory),
      '--control',
    ]);
    console.log(stdout);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/naive store destroyed, LevelDB destroyed; Dozo intact in all six ways/);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^control: Dozo +started/m);
    const story = stdout.slice(0, stdout.lastIndexOf('what the second did'));
    const verified = story.replaceAll(/\s+/g, ' ').match(/all \d+ intact, verify clean/g);
    expect(verified).toHaveLength(waysIn.length);
    expect(stdout).not.toContain('\x1b');
    // Only a word that is too long by itself, such as a path, may make a line too long.
    const tooLong = stdout.split('\n').filter((line) => line.length > LINE_WIDTH_MAX);
    expect(tooLong.filter((line) => /\s/.test(line))).toEqual([]);
    await expectNothingLeft(directory, stdout);
    expect(readdirSync(directory)).toEqual([]);
  });

  test.each([
    ['while two naive daemons write', /Both write\./],
    ['while LevelDB is opened', /2\. LevelDB[^]*daemon A/],
    ['while a daemon is stopped', /\(SIGSTOP\)/],
  ])('Ctrl-C %s leaves nothing behind', async (_name, moment) => {
    const directory = scratch.directory('interrupted');
    const { child, story } = await startUntil(directory, moment);
    child.kill('SIGINT');
    const [status] = (await once(child, 'close')) as [number | null];
    expect(status).toBe(130);
    await expectNothingLeft(directory, story());
    expect(readdirSync(directory)).toEqual([]);
  });

  test('kill -9 leaves no process, no loop device and no mount, but a directory', async () => {
    const directory = scratch.directory('killed');
    const { child, story } = await startUntil(directory, /\(SIGSTOP\)/);
    child.kill('SIGKILL');
    await once(child, 'close');
    await expectNothingLeft(directory, story());
    expect(readdirSync(directory)).toHaveLength(1);
    rmSync(directory, { recursive: true });
  });
});

test.runIf(nobodyCanRun())(
  'without root it plays what it can, and says what it cannot',
  async () => {
    const directory = scratch.directory('nobody');
    const { status, stdout, stderr } = await runWithoutRoot(directory);
    expect(stderr).toBe('');
    const result = JSON.parse(stdout) as LabResult;
    expect(result.accidents).toMatchObject([
      { store: 'naive store', outcome: 'destroyed' },
      { store: 'LevelDB', outcome: 'destroyed' },
    ]);
    expect(result.ways.map(({ way }) => way)).toEqual(waysIn);
    expect(result.ways.map(({ outcome }) => outcome)).toEqual([
      ...['intact', 'intact', 'not played', 'not played', 'intact', 'intact'],
    ]);
    expect(result.verdict.text).toContain('need root');
    expect(status).toBe(EXIT_MACHINE_REFUSED);
    expect(result.verdict.status).toBe(status);
    expect(await kernelLeftovers(directory)).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  },
);
