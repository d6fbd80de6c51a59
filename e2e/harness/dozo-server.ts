/**
 * A started `dozo up`: the command as people run it, on a data directory of the test's own.
 *
 * Ports are drawn by the kernel; the ready file says which. The process that serves is the one that
 * the ready file names, and that is the one which is measured and killed. Where it runs (here, in
 * namespaces, in a container) is the matter of its {@link Place}.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place, ReadyFile } from './place.ts';

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
  /** Where its ready file and log lie; without it the data directory. */
  readonly runDirectory?: string;
  /** Without it: a child process like any other. */
  readonly place?: Place;
}

/** How a start ended that did not come to serve. */
export interface Refusal {
  /** The exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly words: string;
}

const ownCommand: readonly [string, ...string[]] = [
  process.execPath,
  join(root, 'packages', 'dozo', 'bin', 'dozo.js'),
];
const credentials = {
  DOZO_ACCESS_KEY_ID: ACCESS_KEY_ID,
  DOZO_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
};
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;

export class DozoServer {
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<number | null> = Promise.resolve(null);
  #ready: ReadyFile | undefined;
  #logFrom = 0;
  #isSuspended = false;

  private constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Starts one and waits until it serves. */
  static async start(options: ServerOptions): Promise<DozoServer> {
    const server = new DozoServer(options);
    await server.start();
    return server;
  }

  /** Starts one that may be refused: the server, or how it ended. */
  static async tryStart(options: ServerOptions): Promise<DozoServer | Refusal> {
    const server = new DozoServer(options);
    return (await server.#startOrEnd()) ?? server;
  }

  /** Starts one that is not expected to serve, and does not wait for it. */
  static begin(options: ServerOptions): DozoServer {
    const server = new DozoServer(options);
    server.#spawn();
    return server;
  }

  /** SIGTERM to one that does not serve, and its exit status. */
  async interrupt(): Promise<number | null> {
    this.#child?.kill('SIGTERM');
    return this.#ended;
  }

  /** Starts it again on the same data, after {@link stop} or {@link kill}. */
  async start(): Promise<void> {
    const refusal = await this.#startOrEnd();
    if (refusal === undefined) return;
    throw new Error(
      `dozo up does not serve; it ended with ${refusal.status ?? 'a signal'}; its last words:\n` +
        this.lastWords(),
    );
  }

  async #startOrEnd(): Promise<Refusal | undefined> {
    const child = this.#spawn();
    const deadlineMs = Date.now() + START_TIMEOUT_MS;
    while (!existsSync(this.#readyFile)) {
      if (Date.now() > deadlineMs) child.kill('SIGKILL');
      if (child.exitCode !== null || child.signalCode !== null) {
        return { status: await this.#ended, words: this.words() };
      }
      await sleep(10);
    }
    const ready = JSON.parse(readFileSync(this.#readyFile, 'utf8')) as ReadyFile;
    const { place } = this.#options;
    this.#ready = place === undefined ? ready : await place.reach(ready);
    return undefined;
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
    return join(this.#runDirectory, 'e2e.log');
  }

  /** The end of what it logged. */
  lastWords(): string {
    return existsSync(this.logPath)
      ? readFileSync(this.logPath, 'utf8').slice(-4_000)
      : '(nothing)';
  }

  /** All that it has logged since its last start. */
  words(): string {
    if (!existsSync(this.logPath)) return '';
    return readFileSync(this.logPath).subarray(this.#logFrom).toString('utf8');
  }

  /** SIGSTOP: it lives, holds what it holds, and does nothing. */
  suspend(): void {
    process.kill(this.pid, 'SIGSTOP');
    this.#isSuspended = true;
  }

  /** SIGCONT. */
  continue(): void {
    process.kill(this.pid, 'SIGCONT');
    this.#isSuspended = false;
  }

  get isSuspended(): boolean {
    return this.#isSuspended;
  }

  /** The exit status of one that ends by itself; null when a signal ended it. */
  async ownEnd(): Promise<number | null> {
    const status = await this.#ended;
    this.#ready = undefined;
    return status;
  }

  /** Whether it has not ended. */
  get isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
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
    if (this.isRunning) process.kill(this.pid, 'SIGKILL');
    await this.#ended;
    this.#ready = undefined;
    this.#isSuspended = false;
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
    return join(this.#runDirectory, 'ready.json');
  }

  get #runDirectory(): string {
    return this.#options.runDirectory ?? this.#options.dataDirectory;
  }

  #spawn(): ChildProcess {
    rmSync(this.#readyFile, { force: true });
    const args = [
      ['up', '--data', this.#options.dataDirectory],
      this.#options.size === undefined ? [] : ['--size', this.#options.size],
      ['--port', '0', '--health-port', '0', '--ready-file', this.#readyFile],
      ['--log-format', 'json', ...(this.#options.moreArguments ?? [])],
    ].flat();
    const { place } = this.#options;
    const own = [...(this.#options.command ?? ownCommand), ...args];
    const [program = '', ...rest] = place === undefined ? own : place.commandLine(own, credentials);
    const child = spawn(program, rest, {
      env: { ...process.env, ...credentials },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#logFrom = existsSync(this.logPath) ? statSync(this.logPath).size : 0;
    const log = createWriteStream(this.logPath, { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      // Its end is told after its last words: they are read from the file.
      child.on('close', (status) => {
        log.end(() => {
          resolve(status);
        });
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
