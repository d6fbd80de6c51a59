/**
 * A process with the engine on a device, killed with SIGKILL at random moments, opened again, and asked
 * what is there.
 *
 * The process writes with several workers (`writer-batches.ts`) and says of every batch, over a pipe,
 * that it is about to hand it in and that it was acknowledged. The checker, which is this process and
 * outlives all of them, decides by that alone (`write-model.ts`) what a reader must see: nothing
 * acknowledged lost, no batch half there, nothing that was never written, nothing deleted come back.
 *
 * A round: open; read what was in doubt, what was written last and a sample of all keys; write; kill.
 * Every so many rounds everything is read and the engine verifies its device. In some rounds the start
 * itself is killed first; some end with a clean stop.
 *
 * Not checked: what a power cut takes away. A killed process loses nothing that the kernel has.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineStats } from '@dozo/engine';
import { SeededDraw } from './seeded-draw.ts';
import { keysOfWorkers } from './writer-batches.ts';
import { WriteModel } from './write-model.ts';
import { WriterProcess } from './writer-process.ts';
import type { BatchLine, WriterConfiguration } from './writer-protocol.ts';

const FULL_PASS_ROUNDS = 10;
const KILLED_START_SHARE = 0.15;
const CLEAN_STOP_SHARE = 0.1;
const LOAD_MS_MIN = 30;
const LOAD_MS_MAX = 1_500;
const KILLED_START_MS_MIN = 50;
const KILLED_START_MS_MAX = 500;
const SAMPLE_KEYS = 500;
const RECENT_BATCHES = 300;
const SEED_END = 2 ** 31;

export interface EngineSoakOptions {
  /** A formatted device that nobody else has written to. */
  readonly path: string;
  /** Decides the batches of every round and when it is to end. */
  readonly seed: number;
  readonly load: Pick<
    WriterConfiguration,
    | 'keyCount'
    | 'workerCount'
    | 'largeShare'
    | 'largeBytesMax'
    | 'rangeDeleteShare'
    | 'memory'
    | 'statsIntervalMs'
  >;
  readonly switches: WriterConfiguration['switches'];
}

/** Sums over all rounds until now. */
export interface EngineSoakReport {
  readonly roundCount: number;
  readonly killCount: number;
  readonly killedStartCount: number;
  readonly acknowledgedCount: number;
  readonly rejectedCount: number;
  /** Batches in flight when the process was killed, and how many of those were there afterwards. */
  readonly cutOffCount: number;
  readonly landedCount: number;
  readonly keysRead: number;
  readonly fullPassCount: number;
  /** Of the engine, as far as it was told before the kill. */
  readonly bytesWritten: number;
  readonly bytesMoved: number;
  readonly checkpointCount: number;
  readonly openMsMax: number;
}

type Mutable<Type> = { -readonly [Name in keyof Type]: Type[Name] };

export class EngineSoak {
  readonly #options: EngineSoakOptions;
  readonly #draw: SeededDraw;
  readonly #model = new WriteModel();
  readonly #keys: readonly string[];
  readonly #recent: BatchLine[] = [];
  readonly #sums: Mutable<EngineSoakReport> = {
    ...{ roundCount: 0, killCount: 0, killedStartCount: 0, acknowledgedCount: 0, rejectedCount: 0 },
    ...{ cutOffCount: 0, landedCount: 0, keysRead: 0, fullPassCount: 0 },
    ...{ bytesWritten: 0, bytesMoved: 0, checkpointCount: 0, openMsMax: 0 },
  };

  constructor(options: EngineSoakOptions) {
    this.#options = options;
    this.#draw = new SeededDraw(options.seed);
    this.#keys = keysOfWorkers(options.load).flat();
  }

  get report(): EngineSoakReport {
    const { acknowledgedCount, landedCount } = this.#model;
    return { ...this.#sums, acknowledgedCount, landedCount };
  }

  /** One more round. @returns what is wrong, in words; nothing is, if it is empty. */
  async round(): Promise<readonly string[]> {
    const draw = this.#draw;
    this.#sums.roundCount += 1;
    const configuration = this.#configurationOfRound();
    if (draw.fraction() < KILLED_START_SHARE) {
      this.#sums.killedStartCount += 1;
      const afterMs = draw.integer(KILLED_START_MS_MIN, KILLED_START_MS_MAX);
      await WriterProcess.startAndKill(configuration, afterMs);
    }
    const startMs = performance.now();
    const writer = await this.#start(configuration);
    this.#sums.openMsMax = Math.max(this.#sums.openMsMax, Math.round(performance.now() - startMs));
    try {
      const wrong = await this.#check(writer, this.#sums.roundCount % FULL_PASS_ROUNDS === 0);
      if (wrong.length > 0) return wrong;
      writer.go();
      await sleep(draw.integer(LOAD_MS_MIN, LOAD_MS_MAX));
      return await this.#end(writer);
    } finally {
      if (writer.isRunning) await writer.kill();
    }
  }

  /** Opens once more, reads everything and stops cleanly. */
  async finish(): Promise<readonly string[]> {
    const writer = await this.#start(this.#configurationOfRound());
    const wrong = await this.#check(writer, true);
    const status = await writer.quit();
    return status === 0 ? wrong : [...wrong, `the clean stop ended with ${String(status)}`];
  }

  #configurationOfRound(): WriterConfiguration {
    const { path, load, switches } = this.#options;
    const seed = this.#draw.integer(0, SEED_END);
    return { ...load, path, switches, mode: 'exclusive', name: `${this.#sums.roundCount}`, seed };
  }

  #start(configuration: WriterConfiguration): Promise<WriterProcess> {
    return WriterProcess.start(configuration, (line) => {
      this.#model.hear(line);
      if (line.kind === 'rejected') this.#sums.rejectedCount += 1;
      if (line.kind !== 'acknowledged') return;
      this.#recent.push(line);
      if (this.#recent.length >= 2 * RECENT_BATCHES) this.#recent.splice(0, RECENT_BATCHES);
    });
  }

  async #check(reader: WriterProcess, isFull: boolean): Promise<string[]> {
    const asked = isFull ? undefined : this.#askedKeys();
    const { rows, broken } = await reader.read(asked && [...asked]);
    const wrong = [...broken, ...this.#model.adopt(rows, asked)];
    this.#sums.keysRead += asked?.size ?? rows.length;
    if (!isFull) return wrong;
    this.#sums.fullPassCount += 1;
    const { damages } = await reader.verify();
    return [...wrong, ...damages.map((words) => `verify: ${words}`)];
  }

  /** What a kill puts at risk most, and some of everything, deleted keys included. */
  #askedKeys(): ReadonlySet<string> {
    const recent = this.#recent.slice(-RECENT_BATCHES);
    const sample = Array.from(
      { length: SAMPLE_KEYS },
      () => this.#keys[this.#draw.integer(0, this.#keys.length)] ?? '',
    );
    return new Set([
      ...this.#model.pendingKeys(),
      ...recent.flatMap(({ puts, deletes }) => [...puts, ...deletes]),
      ...sample,
    ]);
  }

  async #end(writer: WriterProcess): Promise<readonly string[]> {
    if (!writer.isRunning) {
      const { status, last, words } = await writer.ownEnd();
      return [
        `the process ended by itself with ${String(status)}: ${JSON.stringify(last)} ${words}`,
      ];
    }
    const isClean = this.#draw.fraction() < CLEAN_STOP_SHARE;
    const status = isClean ? await writer.quit() : await writer.kill();
    this.#note(writer.stats);
    if (!isClean) {
      this.#sums.killCount += 1;
      this.#sums.cutOffCount += this.#model.pendingCount;
    }
    return isClean && status !== 0 ? [`a clean stop ended with ${String(status)}`] : [];
  }

  #note(stats: EngineStats | undefined): void {
    this.#sums.bytesWritten += stats?.bytesWritten ?? 0;
    this.#sums.bytesMoved += stats?.bytesMoved ?? 0;
    this.#sums.checkpointCount += stats?.checkpointCount ?? 0;
  }
}
