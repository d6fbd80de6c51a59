/**
 * One round of the zombie test, with three real processes and two paths to one disk.
 *
 * A writes through the first loop device and is stopped in the middle of it. B waits for the lease through
 * the second one, takes over and writes; then A goes on while B writes, until it ends by itself. B reads
 * everything; B is killed under load and started again, and reads everything once more. What every read
 * must show is decided by a model outside of all processes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDevice } from '@dozo/engine';
import { openFileDevice, openSystemClock, SystemRandom } from '@dozo/platform';
import { KernelObjects } from './kernel-objects.ts';
import type { SeededDraw } from './seeded-draw.ts';
import { WriteModel } from './write-model.ts';
import { ZombieProcess } from './zombie-process.ts';
import type { BatchLine, WriterConfiguration } from './zombie-protocol.ts';

const KIB = 1024;
const DEVICE_BYTES = 16 * KIB * KIB;
const SEGMENT_PAYLOAD_BYTES = 256 * KIB;
const RING_SLOTS = 64;
const BEAT_INTERVAL_MS = 100;
const LEASE_MS = 500;
/** Live data takes a good third of the device, so that reclaim has to move some. */
const KEY_COUNT = 600;
const WORKER_COUNT = 8;
/** Batches that together are about as long as the device, so that segments are used again. */
const TURN_BATCHES = 900;
const PROGRESS_STEP_MS = 10;
const PROGRESS_STEPS_MAX = 3_000;
/** One that does not end by itself in this time is killed; the round says so. */
const ZOMBIE_MS_MAX = 30_000;

type Switches = WriterConfiguration['switches'];

export interface ZombieRoundOptions {
  /** A path for the file that both loop devices lie on. */
  readonly file: string;
  readonly draw: SeededDraw;
  readonly zombieSwitches: Switches;
  readonly successorSwitches: Switches;
  /** How long a zombie may go on that nothing stops; only where nothing is meant to. */
  readonly zombieMsMax?: number;
}

export interface ZombieRoundResult {
  /** Empty when everybody has read what they must. */
  readonly problems: readonly string[];
  /** What the zombie acknowledged after it had lost the device, for nobody. */
  readonly zombieAcknowledgedCount: number;
  /** How the zombie ended: 9 when it was fenced. */
  readonly zombieStatus: number | null;
  readonly acknowledgedCount: number;
  readonly checkpointCount: number;
  readonly bytesMoved: number;
  /** Bytes that B wrote, as a multiple of the device: over 1, segments were used again. */
  readonly deviceTurns: number;
  readonly quarantinedSegmentCount: number;
  readonly staleReadCount: number;
}

export const fullCheck: Switches = {};

/** Nothing but the layout: no watch of time, no beat, no look at anything that a clock decides. */
export const layoutOnly: Switches = { claimSwitches: { skipBeats: true, skipLeaseCheck: true } };

export async function playZombieRound(options: ZombieRoundOptions): Promise<ZombieRoundResult> {
  const kernel = new KernelObjects();
  const processes: ZombieProcess[] = [];
  try {
    const file = kernel.backingFile(options.file, DEVICE_BYTES);
    await format(file);
    const paths = [await kernel.loopDevice(file), await kernel.loopDevice(file)] as const;
    return await new Round(options, paths, processes).play();
  } finally {
    for (const process of processes) if (process.isRunning) await process.kill();
    await kernel.removeAll();
  }
}

async function format(path: string): Promise<void> {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  await formatDevice({
    ...{ device, clock: await openSystemClock(), random: new SystemRandom() },
    ...{ segmentPayloadBytes: SEGMENT_PAYLOAD_BYTES, ringSlotCount: RING_SLOTS },
    ...{ beatIntervalMs: BEAT_INTERVAL_MS, leaseMs: LEASE_MS },
  });
  await device.close();
}

class Round {
  readonly #options: ZombieRoundOptions;
  readonly #paths: readonly [string, string];
  readonly #processes: ZombieProcess[];
  readonly #model = new WriteModel();
  readonly #problems: string[] = [];
  #zombieAcknowledgedCount = 0;

  constructor(
    options: ZombieRoundOptions,
    paths: readonly [string, string],
    processes: ZombieProcess[],
  ) {
    this.#options = options;
    this.#paths = paths;
    this.#processes = processes;
  }

  async play(): Promise<ZombieRoundResult> {
    const { draw, zombieSwitches, successorSwitches } = this.#options;
    const [firstPath, secondPath] = this.#paths;
    let isZombie = false;
    const first = await this.#start('A', firstPath, zombieSwitches, (line) => {
      if (!isZombie) this.#model.hear(line);
      // What was on the disk before it was stopped may still be promised afterwards: it is there.
      else if (line.kind === 'acknowledged' && !this.#model.hasLanded(line.tag)) {
        this.#zombieAcknowledgedCount += 1;
      }
    });
    first.go();
    await sleep(draw.integer(50, 400));
    first.signal('SIGSTOP');
    await first.drain();
    isZombie = true;

    const hear = (line: BatchLine): void => {
      this.#model.hear(line);
    };
    const second = await this.#start('B', secondPath, successorSwitches, hear);
    await this.#check(second, 'B, after it took over');
    second.go();
    await this.#progress(draw.integer(50, 300));
    first.signal('SIGCONT');
    const zombieStatus = await this.#endOf(first);
    await second.pause();
    await this.#check(second, 'B, after the zombie');
    second.go();
    await this.#progress(TURN_BATCHES);
    await second.pause();
    const { stats } = await this.#check(second, 'B, after it had used its segments again');
    second.go();
    await sleep(draw.integer(50, 300));
    await second.kill();

    await this.#restart(draw.pick([firstPath, secondPath]), hear);
    return {
      problems: this.#problems,
      zombieAcknowledgedCount: this.#zombieAcknowledgedCount,
      zombieStatus,
      acknowledgedCount: this.#model.acknowledgedCount,
      checkpointCount: stats.checkpointCount,
      bytesMoved: stats.bytesMoved,
      deviceTurns: stats.bytesWritten / DEVICE_BYTES,
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
  ): Promise<ZombieProcess> {
    const { draw } = this.#options;
    const configuration: WriterConfiguration = {
      ...{ path, name, switches, keyCount: KEY_COUNT, workerCount: WORKER_COUNT },
      // Two loop devices are two devices to the kernel: its lock keeps none of them out either way.
      // Who writes little at once writes often before it needs another segment.
      largeShare: name === 'A' ? draw.pick([0, 0, 0.5]) : 0.5,
      mode: draw.pick(['exclusive', 'unlocked']),
      seed: draw.integer(0, 2 ** 31),
    };
    const process = await ZombieProcess.start(configuration, onBatch);
    this.#processes.push(process);
    return process;
  }

  async #check(
    reader: ZombieProcess,
    who: string,
  ): Promise<Awaited<ReturnType<ZombieProcess['read']>>> {
    const read = await reader.read();
    const { damages } = await reader.verify();
    const wrong = [...read.broken, ...this.#model.adopt(read.rows), ...damages];
    this.#problems.push(...wrong.map((words) => `${who}: ${words}`));
    return read;
  }

  /** Until so many more batches are acknowledged. */
  async #progress(count: number): Promise<void> {
    const goal = this.#model.acknowledgedCount + count;
    for (let step = 0; step < PROGRESS_STEPS_MAX; step += 1) {
      if (this.#model.acknowledgedCount >= goal) return;
      await sleep(PROGRESS_STEP_MS);
    }
    throw new Error(`${count} more batches are not acknowledged.`);
  }

  async #endOf(zombie: ZombieProcess): Promise<number | null> {
    const deadline = setTimeout(
      () => void zombie.kill(),
      this.#options.zombieMsMax ?? ZOMBIE_MS_MAX,
    );
    const { status } = await zombie.ownEnd();
    clearTimeout(deadline);
    return status;
  }
}
