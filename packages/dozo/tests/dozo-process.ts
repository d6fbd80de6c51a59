/** A real `dozo`, started as a process of its own, for the tests beside this file. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BIN = join(import.meta.dirname, '../bin/dozo.js');

export const ACCESS_KEY_ID = 'TESTKEY';
export const SECRET = 'a-secret-that-nobody-may-see';

/** The smallest round size that a device file can have. */
export const SIZE = '256MiB';

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

export interface Ready {
  readonly pid: number;
  readonly endpoint: string;
  readonly healthEndpoint: string;
  readonly device: string;
}

/** One started process and what it says. `launcher` is shell code that goes before it. */
export class DozoProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  output = '';
  errors = '';

  constructor(args: readonly string[], environment: NodeJS.ProcessEnv = {}, launcher?: string) {
    const { PATH } = process.env;
    const command = [process.execPath, BIN, ...args];
    const [program = '', ...rest] =
      launcher === undefined ? command : ['sh', '-c', `${launcher}; exec "$0" "$@"`, ...command];
    this.child = spawn(program, rest, { env: { PATH, ...environment } });
    this.child.stdout?.on('data', (data: Buffer) => (this.output += data.toString()));
    this.child.stderr?.on('data', (data: Buffer) => (this.errors += data.toString()));
    this.ended = new Promise((resolve) => {
      this.child.on('close', (status, signal) => {
        resolve({ status, signal, output: this.output, errors: this.errors });
      });
    });
  }

  /** Resolves once the log has a line with that message, with its fields. */
  async logged(message: string): Promise<Readonly<Record<string, unknown>>> {
    for (;;) {
      const found = this.logLines().find((line) => line['msg'] === message);
      if (found !== undefined) return found;
      const end = await Promise.race([
        new Promise((resolve) => this.child.stderr?.once('data', resolve)),
        this.ended.then(() => this.ended),
      ]);
      if (end instanceof Object && 'status' in end) {
        throw new Error(`dozo ended before it said "${message}":\n${this.errors}`);
      }
    }
  }

  /** The log so far, whole lines only. */
  logLines(): readonly Readonly<Record<string, unknown>>[] {
    const whole = this.errors.slice(0, this.errors.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

/** A directory for one test, and the processes that it started; all is gone afterwards. */
export class Workplace {
  readonly directory = mkdtempSync(join(tmpdir(), 'dozo-test-'));
  readonly data = join(this.directory, 'data');
  readonly readyFile = join(this.directory, 'ready.json');
  readonly #processes: DozoProcess[] = [];

  /** Runs any command. */
  run(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    launcher?: string,
  ): DozoProcess {
    const started = new DozoProcess(args, environment, launcher);
    this.#processes.push(started);
    return started;
  }

  /** Starts `dozo up` on this workplace's data directory, with ports of its own. */
  up(
    args: readonly string[] = [],
    environment: NodeJS.ProcessEnv = {},
    launcher?: string,
  ): DozoProcess {
    const fixed = ['--data', this.data, '--port', '0', '--ready-file', this.readyFile];
    const credentials = {
      DOZO_ACCESS_KEY_ID: ACCESS_KEY_ID,
      DOZO_SECRET_ACCESS_KEY: SECRET,
      ...environment,
    };
    return this.run(['up', ...fixed, '--log-format', 'json', ...args], credentials, launcher);
  }

  /** Waits until a started `dozo up` serves. */
  async ready(started: DozoProcess): Promise<Ready> {
    await started.logged('serving');
    return JSON.parse(readFileSync(this.readyFile, 'utf8')) as Ready;
  }

  /** Ends every process that it has started. */
  async end(): Promise<void> {
    for (const { child } of this.#processes) child.kill('SIGKILL');
    await Promise.all(this.#processes.map(({ ended }) => ended));
  }

  async clear(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
