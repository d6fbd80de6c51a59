/**
 * A started `dozo up`: the command as people run it, on a data directory of the test's own.
 *
 * Ports are drawn by the kernel; the ready file says which. The process that serves is the one that
 * the ready file names, and that is the one which is measured and killed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..', '..');

export const ACCESS_KEY_ID = 'DOZOENDTOENDTEST';
export const SECRET_ACCESS_KEY = 'end-to-end-secret-of-forty-characters-00';
export const REGION = 'us-east-1';

export interface ServerOptions {
  readonly dataDirectory: string;
  /** As `--size` takes it, for example `8GiB`; absent with a device that is there. */
  readonly size?: string;
  readonly moreArguments?: readonly string[];
  /** The command to start; without it the one of this checkout. */
  readonly command?: readonly [string, ...string[]];
}

interface ReadyFile {
  readonly endpoint: string;
  readonly healthEndpoint: string;
  readonly pid: number;
}

const ownCommand: readonly [string, ...string[]] = [
  process.execPath,
  join(root, 'packages', 'dozo', 'bin', 'dozo.js'),
];
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;

export class DozoServer {
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<number | null> = Promise.resolve(null);
  #ready: ReadyFile | undefined;

  private constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Starts one and waits until it serves. */
  static async start(options: ServerOptions): Promise<DozoServer> {
    const server = new DozoServer(options);
    await server.start();
    return server;
  }

  /** Starts it again on the same data, after {@link stop} or {@link kill}. */
  async start(): Promise<void> {
    const child = this.#spawn();
    const deadlineMs = Date.now() + START_TIMEOUT_MS;
    while (!existsSync(this.#readyFile)) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadlineMs) {
        child.kill('SIGKILL');
        throw new Error(`dozo up does not serve; its last words:\n${this.lastWords()}`);
      }
      await sleep(10);
    }
    this.#ready = JSON.parse(readFileSync(this.#readyFile, 'utf8')) as ReadyFile;
  }

  /** Starts it and kills it after a while, wherever it is by then. */
  async startAndKill(afterMs: number): Promise<void> {
    const child = this.#spawn();
    await sleep(afterMs);
    child.kill('SIGKILL');
    await this.#ended;
  }

  get endpoint(): string {
    return this.#serving().endpoint;
  }

  get healthEndpoint(): string {
    return this.#serving().healthEndpoint;
  }

  get pid(): number {
    return this.#serving().pid;
  }

  get host(): string {
    return new URL(this.endpoint).hostname;
  }

  get port(): number {
    return Number(new URL(this.endpoint).port);
  }

  get logPath(): string {
    return join(this.#options.dataDirectory, 'e2e.log');
  }

  /** The end of what it logged. */
  lastWords(): string {
    return existsSync(this.logPath)
      ? readFileSync(this.logPath, 'utf8').slice(-4_000)
      : '(nothing)';
  }

  /** SIGTERM, and the exit status of a clean stop. */
  async stop(): Promise<number | null> {
    if (this.#ready === undefined) return null;
    process.kill(this.pid, 'SIGTERM');
    const child = this.#child;
    const deadline = setTimeout(() => child?.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const status = await this.#ended;
    clearTimeout(deadline);
    this.#ready = undefined;
    return status;
  }

  /** SIGKILL: what a power cut does, except for what the kernel still writes. */
  async kill(): Promise<void> {
    process.kill(this.pid, 'SIGKILL');
    await this.#ended;
    this.#ready = undefined;
  }

  /** Resident memory now, in bytes. */
  residentBytes(): number {
    return this.#statusField('VmRSS');
  }

  /** Highest resident memory since its start, in bytes. */
  peakResidentBytes(): number {
    return this.#statusField('VmHWM');
  }

  /** Bytes that live records take on the device, as the daemon says. */
  async liveBytes(): Promise<number> {
    const response = await fetch(`${this.healthEndpoint}/status`);
    const { engine } = (await response.json()) as {
      readonly engine: { readonly liveBytes: number };
    };
    return engine.liveBytes;
  }

  get #readyFile(): string {
    return join(this.#options.dataDirectory, 'ready.json');
  }

  #spawn(): ChildProcess {
    rmSync(this.#readyFile, { force: true });
    const args = [
      ['up', '--data', this.#options.dataDirectory],
      this.#options.size === undefined ? [] : ['--size', this.#options.size],
      ['--port', '0', '--health-port', '0', '--ready-file', this.#readyFile],
      ['--log-format', 'json', ...(this.#options.moreArguments ?? [])],
    ].flat();
    const [program, ...before] = this.#options.command ?? ownCommand;
    const child = spawn(program, [...before, ...args], {
      env: {
        ...process.env,
        DOZO_ACCESS_KEY_ID: ACCESS_KEY_ID,
        DOZO_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(this.logPath, { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.on('close', (status) => {
        log.end();
        resolve(status);
      });
    });
    return child;
  }

  #serving(): ReadyFile {
    if (this.#ready === undefined) throw new Error('The server is not running.');
    return this.#ready;
  }

  #statusField(name: string): number {
    const text = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
    if (match === null) throw new Error(`/proc does not tell ${name} of ${this.pid}.`);
    return Number(match[1]) * 1024;
  }
}
