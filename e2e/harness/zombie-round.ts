/**
 * One round of the zombie test, with three real processes and two paths to one disk.
 *
 * A writes through the first loop device and is stopped in the middle of it. B waits for the lease through
 * the second one, takes over and writes; then A goes on while B writes, until it ends by itself. B reads
 * everything; B is killed under load and started again, and reads everything once more. What every read
 * must show is decided by a model outside of all processes.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelObjects } from './kernel-objects.ts';
import { tryCommand } from './run-command.ts';
import type { SeededDraw } from './seeded-draw.ts';
import {
  formatSmallDevice,
  SMALL_DEVICE_BYTES,
  SMALL_DEVICE_TURN_BATCHES,
  smallDeviceLoad,
} from './small-device.ts';
import { WriteModel } from './write-model.ts';
import { WriterProcess } from './writer-process.ts';
import type { BatchLine, WriterConfiguration } from './writer-protocol.ts';

/** One that does not end by itself in this time is killed; the round says so. */
const ZOMBIE_MS_MAX = 30_000;

const dozo = join(import.meta.dirname, '..', '..', 'packages', 'dozo', 'bin', 'dozo.js');

type Switches = WriterConfiguration['switches'];

export interface ZombieRoundOptions {
  /** A path for the file that both loop devices lie on. */
  readonly file: string;
  readonly draw: SeededDraw;
  readonly zombieSwitches: Switches;
  readonly successorSwitches: Switches;
  /** How long a zombie may go on that nothing stops; only where nothing is meant to. */
  readonly zombieMsMax?: number;
  /** Part of the zombie's batches with large values; drawn by lot without it. */
  readonly zombieLargeShare?: number;
}

export interface ZombieRoundResult {
  /** Empty when everybody has read what they must. */
  readonly problems: readonly string[];
  /** Batches that the zombie acknowledged after it had lost the device, for nobody. */
  readonly zombieAcknowledgedCount: number;
  /** The records in them; `dozo forensics` must have found at least so many. */
  readonly zombieRecordCount: number;
  readonly forensics: ForensicFindings;
  /** How the zombie's engine ended, `fenced` as a rule; otherwise its last words. */
  readonly zombieEnd: string;
  readonly acknowledgedCount: number;
  readonly checkpointCount: number;
  readonly bytesMoved: number;
  /** Bytes that B wrote, as a multiple of the device: over 1, segments were used again. */
  readonly deviceTurns: number;
  readonly quarantinedSegmentCount: number;
  readonly staleReadCount: number;
}

/** What `dozo forensics --json` says of the device when all is over. */
export interface ForensicFindings {
  readonly verdict: string;
  /** Of all holders, past the fences that their successors wrote. */
  readonly recordCountPastFences: number;
}

export const fullCheck: Switches = {};

/** Nothing but the layout: no watch of time, no beat, no look at anything that a clock decides. */
export const layoutOnly: Switches = { claimSwitches: { skipBeats: true, skipLeaseCheck: true } };

export async function playZombieRound(options: ZombieRoundOptions): Promise<ZombieRoundResult> {
  const kernel = new KernelObjects();
  const processes: WriterProcess[] = [];
  try {
    const file = kernel.backingFile(options.file, SMALL_DEVICE_BYTES);
    await formatSmallDevice(file);
    const paths = [await kernel.loopDevice(file), await kernel.loopDevice(file)] as const;
    const result = await new Round(options, paths, processes).play();
    return { ...result, forensics: await examine(file) };
  } finally {
    for (const process of processes) if (process.isRunning) await process.kill();
    await kernel.removeAll();
  }
}

async function examine(file: string): Promise<ForensicFindings> {
  const { stdout, stderr } = await tryCommand(process.execPath, [
    dozo,
    'forensics',
    file,
    '--json',
  ]);
  if (stdout === '') throw new Error(`dozo forensics says nothing: ${stderr}`);
  const report = JSON.parse(stdout) as {
    readonly verdict: { readonly kind: string };
    readonly holders: readonly { readonly pastFence: { readonly recordCount: number } | null }[];
  };
  const counts = report.holders.map(({ pastFence }) => pastFence?.recordCount ?? 0);
  return {
    verdict: report.verdict.kind,
    recordCountPastFences: counts.reduce((total, count) => total + count, 0),
  };
}

class Round {
  readonly #options: ZombieRoundOptions;
  readonly #paths: readonly [string, string];
  readonly #processes: WriterProcess[];
  readonly #model = new WriteModel();
  readonly #problems: string[] = [];
  #zombieAcknowledgedCount = 0;
  #zombieRecordCount = 0;

  constructor(
    options: ZombieRoundOptions,
    paths: readonly [string, string],
    processes: WriterProcess[],
  ) {
    this.#options = options;
    this.#paths = paths;
    this.#processes = processes;
  }

  async play(): Promise<Omit<ZombieRoundResult, 'forensics'>> {
    const { draw, zombieSwitches, successorSwitches } = this.#options;
    const [firstPath, secondPath] = this.#paths;
    let isZombie = false;
    const first = await this.#start('A', firstPath, zombieSwitches, (line) => {
      if (!isZombie) this.#model.hear(line);
      // What was on the disk before it was stopped may still be promised afterwards: it is there.
      else if (line.kind === 'acknowledged' && !this.#model.hasLanded(line.tag)) {
        this.#zombieAcknowledgedCount += 1;
        this.#zombieRecordCount += line.puts.length + line.deletes.length;
      }
    });
    first.go();
    await sleep(draw.integer(50, 400));
    first.signal('SIGSTOP');

    const hear = (line: BatchLine): void => {
      this.#model.hear(line);
    };
    const second = await this.#start('B', secondPath, successorSwitches, hear);
    // Meanwhile a lease is over, and all that the first one had told before it was stopped is heard.
    isZombie = true;
    await this.#check(second, 'B, after it took over');
    second.go();
    await this.#model.progress(draw.integer(50, 300));
    first.signal('SIGCONT');
    const zombieEnd = await this.#endOf(first);
    await second.pause();
    await this.#check(second, 'B, after the zombie');
    second.go();
    await this.#model.progress(SMALL_DEVICE_TURN_BATCHES);
    await second.pause();
    const { stats } = await this.#check(second, 'B, after it had used its segments again');
    second.go();
    await sleep(draw.integer(50, 300));
    await second.kill();

    await this.#restart(draw.pick([firstPath, secondPath]), hear);
    return {
      problems: this.#problems,
      zombieAcknowledgedCount: this.#zombieAcknowledgedCount,
      zombieRecordCount: this.#zombieRecordCount,
      zombieEnd,
      acknowledgedCount: this.#model.acknowledgedCount,
      checkpointCount: stats.checkpointCount,
      bytesMoved: stats.bytesMoved,
      deviceTurns: stats.bytesWritten / SMALL_DEVICE_BYTES,
      quarantinedSegmentCount: stats.quarantinedSegmentCount,
      staleReadCount: stats.staleReadCount,
    };
  }

  async #restart(path: string, hear: (line: BatchLine) => void): Promise<void> {
    try {
      const restarted = await this.#start('C', path, {}, hear);
      await this.#check(restarted, 'the restart');
      const status = await restarted.quit();
      if (status !== 0) this.#problems.push(`the restart: ended with ${String(status)}`);
    } catch (error) {
      this.#problems.push(`the restart: ${String(error)}`);
    }
  }

  async #start(
    name: string,
    path: string,
    switches: Switches,
    onBatch: (line: BatchLine) => void,
  ): Promise<WriterProcess> {
    const { draw, zombieLargeShare } = this.#options;
    const configuration: WriterConfiguration = {
      ...{ ...smallDeviceLoad, path, name, switches },
      // Two loop devices are two devices to the kernel: its lock keeps none of them out either way.
      // Who writes little at once writes often before it needs another segment.
      ...(name === 'A' ? { largeShare: zombieLargeShare ?? draw.pick([0, 0, 0.5]) } : {}),
      mode: draw.pick(['exclusive', 'unlocked']),
      seed: draw.integer(0, 2 ** 31),
    };
    const process = await WriterProcess.start(configuration, onBatch);
    this.#processes.push(process);
    return process;
  }

  async #check(
    reader: WriterProcess,
    who: string,
  ): Promise<Awaited<ReturnType<WriterProcess['read']>>> {
    const read = await reader.read();
    const { damages } = await reader.verify();
    const wrong = [...read.broken, ...this.#model.adopt(read.rows), ...damages];
    this.#problems.push(...wrong.map((words) => `${who}: ${words}`));
    return read;
  }

  async #endOf(zombie: WriterProcess): Promise<string> {
    const deadline = setTimeout(
      () => void zombie.kill(),
      this.#options.zombieMsMax ?? ZOMBIE_MS_MAX,
    );
    const { last, words } = await zombie.ownEnd();
    clearTimeout(deadline);
    return last?.kind === 'ended' ? last.how : `${JSON.stringify(last)} ${words}`;
  }
}
