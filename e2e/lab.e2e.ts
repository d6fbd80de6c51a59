/**
 * `dozo lab double-start`, as root and as somebody else: what it shows, how it ends, and that nothing is
 * left of it. Root plays everything; the parts that need root say so without it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { whyNoLoopDevices } from './harness/kernel-objects.ts';
import { dozo, kernelLeftovers, labArguments, leftBehind } from './harness/lab-run.ts';
import { tryCommand, type CommandResult } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

interface LabResult {
  readonly accidents: readonly { readonly store: string; readonly outcome: string }[];
  readonly ways: readonly { readonly way: string; readonly outcome: string }[];
  readonly verdict: { readonly status: number; readonly text: string };
}

const EXIT_MACHINE_REFUSED = 6;
const NOBODY = 65_534;
const LINE_WIDTH_MAX = 100;
const waysIn = [
  'same path',
  'private lock directory',
  'device node made again with mknod',
  'second loop device on the same file',
  'first daemon stopped and continued',
  'every lock off',
];
const asNobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
const isRoot = process.getuid?.() === 0;
const scratch = new Scratch('lab');
// Another user is to have a directory inside.
chmodSync(scratch.path, 0o711);

afterAll(() => {
  scratch.remove();
});

/** Runs it without root, whoever we are. */
function runWithoutRoot(directory: string): Promise<CommandResult> {
  const args = [process.execPath, ...labArguments(directory, '--json')];
  if (isRoot) chownSync(directory, NOBODY, NOBODY);
  return isRoot
    ? tryCommand('setpriv', [...asNobody, ...args])
    : tryCommand(process.execPath, args.slice(1));
}

/** Whether another user can reach Node and this checkout at all. */
function nobodyCanRun(): boolean {
  if (!isRoot) return true;
  try {
    const args = [process.execPath, dozo, 'version'];
    execFileSync('setpriv', [...asNobody, ...args], { stdio: 'ignore', cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

describe.runIf(whyNoLoopDevices() === undefined)('as root, with loop devices', () => {
  // With the control: what the lab would say of an engine that does not guard its segments.
  test('the naive stores are destroyed, Dozo is intact in all six ways in', async () => {
    const directory = scratch.directory('root');
    const { status, stdout, stderr } = await tryCommand(process.execPath, [
      ...labArguments(directory),
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
    expect(await leftBehind(directory, stdout)).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
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
