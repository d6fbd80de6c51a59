/**
 * The command started by a Node.js that is too old for it.
 *
 * Each test copies the real `bin/dozo.js` into a directory of its own, beside a small main program,
 * so that it can choose which runtimes are there. Where this machine has no old Node.js, a copy of
 * the file that takes its starter for an old one stands in.
 */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const BIN = join(import.meta.dirname, '../bin/dozo.js');
const OLD_NODE = findOldNode();

const MAIN = `
export async function main(args: readonly string[]): Promise<void> {
  const [what, value] = args;
  if (what === 'wait') {
    for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(name, () => { console.log(name); process.exit(7); });
    }
    setInterval(() => {}, 1000);
  }
  console.log(JSON.stringify({ pid: process.pid, node: process.versions.node, args }));
  if (what === 'exit') process.exit(Number(value));
  if (what === 'kill') process.kill(process.pid, value as NodeJS.Signals);
  if (what === 'read') process.stdin.pipe(process.stdout);
}
`;

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

class Run {
  readonly child: ChildProcess;
  output = '';
  errors = '';
  readonly ended: Promise<Ended>;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.on('data', (data: Buffer) => (this.output += data.toString()));
    child.stderr?.on('data', (data: Buffer) => (this.errors += data.toString()));
    this.ended = new Promise((resolve) => {
      child.on('close', (status, signal) => {
        resolve({ status, signal, output: this.output, errors: this.errors });
      });
    });
  }

  /** Resolves with what the main program said first. */
  async firstLine(): Promise<{ readonly pid: number; readonly node: string }> {
    while (!this.output.includes('\n')) {
      await new Promise((resolve) => this.child.stdout?.once('data', resolve));
    }
    return JSON.parse(this.output.split('\n', 1)[0] ?? '') as { pid: number; node: string };
  }
}

let directory: string;
let bin: string;
const runs: Run[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-bin-'));
  const packageDirectory = join(directory, 'packages/dozo');
  mkdirSync(join(packageDirectory, 'bin'), { recursive: true });
  mkdirSync(join(packageDirectory, 'src'));
  writeFileSync(join(packageDirectory, 'package.json'), '{"type":"module"}');
  writeFileSync(join(packageDirectory, 'src/main.ts'), MAIN);
  bin = join(packageDirectory, 'bin/dozo.js');
  if (OLD_NODE === undefined) {
    const pretend = `function nodeMajor() { if (process.env[PARENT_PIPE] === undefined) return 20;`;
    writeFileSync(bin, readFileSync(BIN, 'utf8').replace('function nodeMajor() {', pretend));
  } else {
    copyFileSync(BIN, bin);
  }
});

afterEach(() => {
  for (const run of runs.splice(0)) run.child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** Brings a runtime along as `node_modules/.bin/node`. */
function linkRuntime(target: string = process.execPath): void {
  mkdirSync(join(directory, 'node_modules/.bin'), { recursive: true });
  symlinkSync(target, join(directory, 'node_modules/.bin/node'));
}

function start(...args: string[]): Run {
  const run = new Run(spawn(OLD_NODE ?? process.execPath, [bin, ...args]));
  runs.push(run);
  return run;
}

describe('dozo, started by an old Node.js', () => {
  it('goes on with the runtime that is linked further up, with the same arguments', async () => {
    linkRuntime();
    const ended = await start('exit', '0', 'two words').ended;
    expect(ended.errors).toBe('');
    expect(JSON.parse(ended.output)).toMatchObject({
      node: process.versions.node,
      args: ['exit', '0', 'two words'],
    });
  });

  it('goes on with the runtime package that Node finds from here', async () => {
    const runtime = `node_modules/node-${process.platform}-${process.arch}`;
    mkdirSync(join(directory, runtime, 'bin'), { recursive: true });
    writeFileSync(join(directory, runtime, 'package.json'), '{"version":"24.0.0"}');
    symlinkSync(process.execPath, join(directory, runtime, 'bin/node'));
    const ended = await start('exit', '0').ended;
    expect(ended.status).toBe(0);
    expect(JSON.parse(ended.output)).toMatchObject({ node: process.versions.node });
  });

  it('says in one line what is missing when nothing came along', async () => {
    const ended = await start('exit', '0').ended;
    expect(ended.status).toBe(1);
    expect(ended.output).toBe('');
    expect(ended.errors).toMatch(/^dozo: needs Node\.js 24 or newer and this is .+\n$/);
  });

  it.runIf(OLD_NODE !== undefined)(
    'says so too, and does not start itself for ever, when what came along is old',
    async () => {
      linkRuntime(OLD_NODE);
      const ended = await start('exit', '0').ended;
      expect(ended.status).toBe(1);
      expect(ended.errors).toMatch(/^dozo: needs Node\.js 24 or newer and this is .+\n$/);
    },
  );

  it('says so in one line when what came along cannot be run', async () => {
    mkdirSync(join(directory, 'node_modules/.bin'), { recursive: true });
    writeFileSync(join(directory, 'node_modules/.bin/node'), '#!/nowhere/interpreter\n', {
      mode: 0o755,
    });
    const ended = await start('exit', '0').ended;
    expect(ended.status).toBe(1);
    expect(ended.errors).toMatch(/^dozo: cannot start the Node\.js that came along, .+\n$/);
  });

  it('ends with the same status', async () => {
    linkRuntime();
    expect((await start('exit', '42').ended).status).toBe(42);
  });

  it('ends by the same signal', async () => {
    linkRuntime();
    expect((await start('kill', 'SIGABRT').ended).signal).toBe('SIGABRT');
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('passes %s on', async (signal) => {
    linkRuntime();
    const run = start('wait');
    await run.firstLine();
    run.child.kill(signal);
    const ended = await run.ended;
    expect(ended.status).toBe(7);
    expect(ended.output.trim().split('\n').slice(1)).toEqual([signal]);
  });

  it('hands standard input through', async () => {
    linkRuntime();
    const run = start('read');
    run.child.stdin?.end('a line from outside\n');
    expect((await run.ended).output).toContain('a line from outside\n');
  });

  it('does not outlive a starter that is killed', async () => {
    linkRuntime();
    const run = start('wait');
    const { pid } = await run.firstLine();
    expect(pid).not.toBe(run.child.pid);
    run.child.kill('SIGKILL');
    // The pipes end when the last process that holds them is gone: the one that runs the program.
    await run.ended;
    // It closes them a moment before nothing is left of it.
    await expect.poll(() => isAlive(pid)).toBe(false);
  });
});

/** A process that has ended and that nobody has waited for yet does not run any more either. */
function isAlive(pid: number): boolean {
  try {
    const state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0];
    return state !== 'Z' && state !== 'X';
  } catch {
    return false;
  }
}

function findOldNode(): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin'];
  return directories.map((path) => join(path, 'node')).find(isOldNode);
}

function isOldNode(path: string): boolean {
  try {
    const version = execFileSync(path, ['--version'], { encoding: 'utf8', stdio: 'pipe' });
    const major = Number(/^v(\d+)\./.exec(version)?.[1]);
    return major >= 13 && major < 24;
  } catch {
    return false;
  }
}
