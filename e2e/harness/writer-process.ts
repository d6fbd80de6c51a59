/**
 * A started `engine-writer.ts`, and what is known of it from outside: which writes it has acknowledged,
 * and when.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineStats } from '@dozo/engine';
import type { BatchLine, WriterConfiguration, WriterLine } from './writer-protocol.ts';

const program = join(import.meta.dirname, 'engine-writer.ts');
const ANSWER_MS_MAX = 60_000;

type LineOf<Kind extends WriterLine['kind']> = Extract<WriterLine, { kind: Kind }>;

export class WriterProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  readonly #waiting = new Map<string, (line: WriterLine | Error) => void>();
  readonly #onBatch: (line: BatchLine) => void;
  #stats: EngineStats | undefined;
  #cutOff: string | undefined;
  #words = '';
  #last: WriterLine | undefined;

  private constructor(configuration: WriterConfiguration, onBatch: (line: BatchLine) => void) {
    this.name = configuration.name;
    this.#onBatch = onBatch;
    this.#child = spawn(process.execPath, [program, JSON.stringify(configuration)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('The writer has no pipes.');
    createInterface({ input: stdout }).on('line', (line) => {
      this.#hearText(line);
    });
    stderr.on('data', (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString()).slice(-4_000);
    });
    this.#child.stdin?.on('error', () => {
      // It may have been killed.
    });
    this.#ended = once(this.#child, 'close').then(([status]) => {
      const error = new Error(
        `${this.name} has ended: ${JSON.stringify(this.#last)} ${this.#words}`,
      );
      for (const tell of this.#waiting.values()) tell(error);
      return status as number | null;
    });
  }

  /** Starts one and waits until it has the device. */
  static async start(
    configuration: WriterConfiguration,
    onBatch: (line: BatchLine) => void,
  ): Promise<WriterProcess> {
    const writer = new WriterProcess(configuration, onBatch);
    await writer.#next('opened');
    return writer;
  }

  /** Starts one and kills it after so many milliseconds, whatever it is about to do by then. */
  static async startAndKill(configuration: WriterConfiguration, afterMs: number): Promise<void> {
    const writer = new WriterProcess(configuration, () => {
      throw new Error('A writer that nobody told to go has written.');
    });
    await sleep(afterMs);
    await writer.kill();
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The counters of its engine when it last told them. */
  get stats(): EngineStats | undefined {
    return this.#stats;
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  go(): void {
    this.#child.stdin?.write('go\n');
  }

  pause(): Promise<LineOf<'paused'>> {
    return this.#ask('pause', 'paused');
  }

  /** Everything that is there, or what is there of some keys. */
  read(keys?: readonly string[]): Promise<LineOf<'read'>> {
    return this.#ask(keys === undefined ? 'read' : `read ${JSON.stringify(keys)}`, 'read');
  }

  verify(): Promise<LineOf<'verified'>> {
    return this.#ask('verify', 'verified');
  }

  /** A clean end. */
  async quit(): Promise<number | null> {
    this.#child.stdin?.write('quit\n');
    return this.#ended;
  }

  /** How one ended that nobody told to. */
  async ownEnd(): Promise<{
    readonly status: number | null;
    readonly last: WriterLine | undefined;
    readonly words: string;
  }> {
    const status = await this.#ended;
    return { status, last: this.#last, words: this.#words };
  }

  async kill(): Promise<number | null> {
    this.#child.kill('SIGKILL');
    return this.#ended;
  }

  /** The last line of one that was killed may be cut off: what it would have said was not said. */
  #hearText(text: string): void {
    if (this.#cutOff !== undefined) throw new Error(`Not a line of a writer: ${this.#cutOff}`);
    let line: WriterLine;
    try {
      line = JSON.parse(text) as WriterLine;
    } catch {
      this.#cutOff = text;
      return;
    }
    this.#hear(line);
  }

  #hear(line: WriterLine): void {
    this.#last = line;
    switch (line.kind) {
      case 'submitted':
      case 'acknowledged':
      case 'rejected':
        this.#onBatch(line);
        return;
      case 'stats':
        this.#stats = line.stats;
        return;
      default:
        this.#waiting.get(line.kind)?.(line);
    }
  }

  #ask<Kind extends WriterLine['kind']>(command: string, kind: Kind): Promise<LineOf<Kind>> {
    this.#child.stdin?.write(`${command}\n`);
    return this.#next(kind);
  }

  #next<Kind extends WriterLine['kind']>(kind: Kind): Promise<LineOf<Kind>> {
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        settle(new Error(`${this.name} does not say "${kind}": ${this.#words}`));
      }, ANSWER_MS_MAX);
      const settle = (line: WriterLine | Error): void => {
        clearTimeout(deadline);
        this.#waiting.delete(kind);
        if (line instanceof Error) reject(line);
        else resolve(line as LineOf<Kind>);
      };
      this.#waiting.set(kind, settle);
    });
  }
}
