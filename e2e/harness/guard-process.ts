/** A real `dozo guard`, its program, and what both say, for the tests beside this folder. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const BIN = join(import.meta.dirname, '..', '..', 'packages', 'dozo', 'bin', 'dozo.js');

/** `dozo` as a command line of its own. */
export const DOZO: readonly string[] = [process.execPath, BIN];

export interface GuardEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface GuardOptions {
  readonly volume: string;
  /** Between `--volume DIR` and `--`. Default: a beat of 200 ms and a lease of 3 s. */
  readonly options?: readonly string[];
  readonly command: readonly string[];
  /** What goes before `dozo`: `unshare ...`. */
  readonly before?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

const INTERVALS = ['--beat', '200ms', '--lease', '3s'];
const started = new Set<GuardProcess>();

/** One started guard. */
export class GuardProcess {
  readonly child: ChildProcess;
  /** The guard itself has ended. */
  readonly exited: Promise<GuardEnd>;
  /** Nobody has its output open any more: guard, watcher, program and what that has started are gone. */
  readonly closed: Promise<GuardEnd>;
  output = '';
  errors = '';
  #listeners = new Set<() => void>();
  #isClosed = false;

  constructor(options: GuardOptions) {
    const guard = ['guard', '--volume', options.volume, ...(options.options ?? INTERVALS)];
    const line = [...(options.before ?? []), ...DOZO, ...guard, '--', ...options.command];
    const [program = '', ...args] = line;
    this.child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.environment },
    });
    this.child.stdout?.on('data', (data: Buffer) => {
      this.output += data.toString();
      this.#notify();
    });
    this.child.stderr?.on('data', (data: Buffer) => {
      this.errors += data.toString();
      this.#notify();
    });
    this.exited = new Promise((resolve) => {
      this.child.once('exit', (status, signal) => resolve({ status, signal }));
    });
    this.closed = new Promise((resolve) => {
      this.child.once('close', (status, signal) => {
        this.#isClosed = true;
        this.#notify();
        resolve({ status, signal });
      });
    });
    started.add(this);
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('The guard was not started.');
    return this.child.pid;
  }

  /** The first match of `pattern` in what was written to standard output or standard error. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output) ?? pattern.exec(this.errors);
      if (match !== null) return match;
      if (this.#isClosed) {
        throw new Error(`It never said ${String(pattern)}:\n${this.output}\n${this.errors}`);
      }
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  /** Waits for a line `NAME=pid` of the program. */
  async pidOf(name: string): Promise<number> {
    return Number((await this.said(new RegExp(`^${name}=(\\d+)$`, 'm')))[1]);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Ends whatever the guards of a test have left. */
export function killAllGuards(): void {
  for (const { child } of started) {
    for (const stream of [child.stdout, child.stderr]) stream?.destroy();
    try {
      if (child.exitCode === null) child.kill('SIGKILL');
    } catch {
      // It has ended.
    }
  }
  started.clear();
}

/** A process that is no child of ours lives: it is there, and not a zombie. */
export function isAlive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(text.slice(text.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** A shell program that says its own pid and its parent's (the watcher's), and then goes on. */
export function shell(script: string): readonly string[] {
  return ['sh', '-c', `echo PROGRAM=$$; echo WATCHER=$PPID; ${script}`];
}
