/**
 * Two daemons on one disk: a holder that is stopped in mid-write, a second one that takes over, and the
 * first one continued with every lock and every look at a clock switched off. Some of the holders have
 * theirs on: they notice, say that they have stopped, and their quarantine ends while B works.
 *
 * A run is named by its seed. Host A holds the disk and is under load when it is paused. Host B, with a
 * page cache of its own that may be stale, takes over after the lease, and at a random operation of B,
 * from its first one on, A goes on: it writes all that it can. B works, checkpoints, reclaims, and is
 * closed or killed; then a third process opens the disk, with A still writing now and then.
 *
 * Memtables are small, so that both sides write tables, merge them, and use their segments again all the
 * while.
 *
 * What is checked: what B serves from is a state of A's log with everything that A had been told before
 * the pause; from then on B and its successor show exactly what B was given; verify finds nothing.
 */
import { SeededRandom, binaryStringOf, equalBytes, sleep } from '@dozo/base';
import type { ClaimSwitches } from '@dozo/claim';
import { PageCache, SimulatedClock, SimulatedDevice, SimulatedProcess } from '@dozo/simulator';
import type { OperationEvent, SimulatedMedium } from '@dozo/simulator';
import { formatDevice, openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { SMALL_TREE, backgroundCountsOf } from './engine-features.ts';
import { KIB, HOLDER, mediumFor } from './simulated-engine.ts';
import { Workload, applyTo, areEqual, bytesOf, drawShape } from './workload.ts';
import type { Knowledge, Shape, State } from './workload.ts';

export interface ZombieRunOptions {
  readonly seed: string | number;
  /** What the zombie leaves out besides its locks and clocks. */
  readonly zombie?: TestSwitches;
  /** What its successors leave out. */
  readonly successor?: TestSwitches;
  /** Whether all of them discard what is free. */
  readonly discards?: boolean;
}

/** What was found. */
export interface ZombieRunResult {
  /** The first violation, in words. */
  readonly violation: string | undefined;
  /** Batches that the zombie was told were durable after it had been stopped and continued. */
  readonly zombieBatches: number;
  /** Flushes and compactions that the zombie did after it had been stopped and continued. */
  readonly zombieTableJobs: number;
  /** The same of its successors. */
  readonly successorTableJobs: number;
}

/** Every lock and every look at a clock switched off; what is left is the layout. */
const BLIND: ClaimSwitches = { skipBeats: true, skipLeaseCheck: true };
const RING_OFFSET = 64 * KIB;
const RING_SLOT_COUNT = 8;
const SLOT_BYTES = 8 * KIB;
const TIMES = { beatIntervalMs: 100, leaseMs: 400 };
const TURNS_MAX = 40;
/** By then a zombie has done all that it can, in virtual time. */
const ZOMBIE_MS_MAX = 10_000;

/** Runs one seed. */
export async function runZombie(options: ZombieRunOptions): Promise<ZombieRunResult> {
  const run = new ZombieRun(options);
  try {
    await run.run();
    return { violation: undefined, ...run.done };
  } catch (error) {
    const violation =
      error instanceof Violation
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error);
    return { violation, ...run.done };
  }
}

class Violation extends Error {}

interface Started {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
  readonly process: SimulatedProcess;
}

class ZombieRun {
  readonly #options: ZombieRunOptions;
  readonly #random: SeededRandom;
  readonly #clock: SimulatedClock;
  readonly #shape: Shape;
  readonly #isTreeSmall: boolean;
  #startCount = 0;
  done = { zombieBatches: 0, zombieTableJobs: 0, successorTableJobs: 0 };

  constructor(options: ZombieRunOptions) {
    this.#options = options;
    this.#random = new SeededRandom(`zombie/${options.seed}`);
    this.#clock = new SimulatedClock({ seed: options.seed });
    const shape = drawShape(this.#random);
    this.#shape = { ...shape, segmentCount: shape.segmentCount + 8 };
    this.#isTreeSmall = this.#random.chance(0.8);
  }

  async run(): Promise<void> {
    const medium = await this.#formatted();
    const cacheA = new PageCache({ seed: 'a', lockName: 'path-a' });
    const cacheB = new PageCache({ seed: 'b', lockName: 'path-b', keepProbability: 0.3 });
    const isBlind = this.#options.zombie !== undefined || this.#random.chance(0.7);
    const a = await this.#start(medium, 'alpha', cacheA, {
      ...this.#options.zombie,
      ...(isBlind ? { claimSwitches: BLIND } : {}),
    });
    const writerA = new Workload(new Map(), this.#random, this.#shape);
    await this.#until(writerA.run(a.engine, 20 + this.#random.below(150)));
    if (this.#random.chance(0.5)) await this.#readAll(medium, cacheB);
    const before = await this.#pauseInMidWrite(a, writerA);
    const jobsBefore = tableJobsOf(a.engine);
    // One that hears that it is fenced leaves a part of what it may still write.
    if (isBlind && this.#random.chance(0.6)) this.#hangLooks(a.device);

    const switches = this.#options.successor ?? {};
    // One that beats would be waited for, and rightly.
    const turns = isBlind ? this.#turnsOf(a.process) : undefined;
    const b = await this.#start(medium, 'beta', cacheB, switches, turns);
    const knowledge = { ...writerA.knowledge(), acknowledgedCount: before.acknowledgedCount };
    const base = await this.#until(compare(b.engine, knowledge, 'B after its recovery'));
    const zombie = writeOn(a.engine, writerA);
    const writerB = new Workload(base, this.#random, this.#shape);
    await this.#until(writerB.run(b.engine, 40 + this.#random.below(400)));
    a.process.resume();
    const state = writerB.finalState();
    await this.#until(compareExactly(b.engine, state, 'B with a zombie beside it'));
    if (this.#random.chance(0.5)) await this.#until(b.engine.close());
    else b.process.kill('lands');

    const c = await this.#start(medium, 'beta', cacheB, switches);
    await this.#until(compareExactly(c.engine, state, 'a restart of B'));
    const writerC = new Workload(state, this.#random, this.#shape);
    await this.#until(writerC.run(c.engine, 40));
    await this.#until(Promise.race([zombie, sleep(this.#clock, ZOMBIE_MS_MAX)]));
    await this.#until(compareExactly(c.engine, writerC.finalState(), 'the restart after a while'));
    this.done = {
      zombieBatches: writerA.knowledge().acknowledgedCount - before.acknowledgedCount,
      zombieTableJobs: tableJobsOf(a.engine) - jobsBefore,
      successorTableJobs: tableJobsOf(b.engine) + tableJobsOf(c.engine),
    };
  }

  /** Puts A under load and stops it at one of the operations of that; what it had been told by then. */
  async #pauseInMidWrite(a: Started, writer: Workload): Promise<Knowledge> {
    const stopAt = a.device.operationCount + this.#random.below(40);
    const load = { isOver: false };
    const end = (): void => {
      load.isOver = true;
    };
    writer.run(a.engine, 60).then(end, end);
    for (let turn = 0; !load.isOver && a.device.operationCount < stopAt; turn++) {
      if (turn === TURNS_MAX * 1000) throw new Violation('the holder is stuck under its load');
      await this.#clock.advance(0.5);
    }
    a.process.pause();
    await this.#clock.advance(5);
    return writer.knowledge();
  }

  /** Looks at the ring hang from now on: the process is never told anything, and writes while it may. */
  #hangLooks(device: SimulatedDevice): void {
    const ringEnd = RING_OFFSET + RING_SLOT_COUNT * SLOT_BYTES;
    const read = device.readUncached.bind(device);
    device.readUncached = (offset, into) =>
      offset < ringEnd ? new Promise<void>(() => undefined) : read(offset, into);
  }

  /**
   * Continues the zombie at some operation of B, while that recovers or when it serves. Half of them go on
   * in turns from then on: what they may still write must last for as long as B works, and B meets it
   * wherever it has come to.
   */
  #turnsOf(zombie: SimulatedProcess): (event: OperationEvent) => void {
    const inTurns = this.#random.chance(0.5);
    const random = this.#random.derive('turns');
    let nextAt = random.below(random.chance(0.5) ? 60 : 400);
    let isGoing = false;
    return ({ index, phase }) => {
      if (phase !== 'begin' || index < nextAt) return;
      isGoing = !isGoing;
      if (isGoing) zombie.resume();
      else zombie.pause();
      nextAt = inTurns ? index + 1 + random.below(isGoing ? 6 : 120) : Number.POSITIVE_INFINITY;
    };
  }

  async #formatted(): Promise<SimulatedMedium> {
    const medium = mediumFor({ ...this.#shape, ringSlotCount: RING_SLOT_COUNT });
    const device = new SimulatedDevice(medium, { clock: this.#clock, seed: 'format' });
    await formatDevice({
      device,
      clock: this.#clock,
      random: this.#random,
      segmentPayloadBytes: this.#shape.segmentPayloadBytes,
      ringSlotCount: RING_SLOT_COUNT,
      ...TIMES,
    });
    await device.close();
    return medium;
  }

  async #start(
    medium: SimulatedMedium,
    host: string,
    cache: PageCache,
    testSwitches: TestSwitches,
    onOperation?: (event: OperationEvent) => void,
  ): Promise<Started> {
    const process = new SimulatedProcess(this.#clock);
    const seed = `${this.#options.seed}/${this.#startCount++}`;
    const device = new SimulatedDevice(medium, {
      clock: this.#clock,
      seed,
      process,
      cache,
      access: 'unlocked',
      ...(onOperation === undefined ? {} : { onOperation }),
    });
    const engine = await this.#until(
      openEngine({
        device,
        clock: process,
        random: new SeededRandom(seed),
        holder: { ...HOLDER, host, bootId: `boot of ${host}` },
        // It may be seen to write its slot before it is taken over.
        wait: true,
        discard: this.#options.discards ?? false,
        ...(this.#isTreeSmall ? SMALL_TREE : {}),
        testSwitches,
      }),
    );
    return { engine, device, process };
  }

  /** Fills the page cache of a host with what stands there now. */
  async #readAll(medium: SimulatedMedium, cache: PageCache): Promise<void> {
    const device = new SimulatedDevice(medium, {
      clock: this.#clock,
      seed: 'stale',
      cache,
      access: 'read-only',
    });
    const bytes = new Uint8Array(64 * KIB);
    for (let offset = 0; offset + bytes.length <= medium.sizeBytes; offset += bytes.length) {
      await device.read(offset, bytes);
    }
  }

  #until<Result>(work: Promise<Result>): Promise<Result> {
    return this.#clock.runUntil(work);
  }
}

/** The zombie writes until it is told no, or for long enough. */
async function writeOn(engine: Engine, writer: Workload): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    try {
      await writer.run(engine, 10);
    } catch {
      return;
    }
  }
}

/** Flushes and compactions since it was opened. */
function tableJobsOf(engine: Engine): number {
  const { memtableFlushes, compactions } = backgroundCountsOf(engine.stats());
  return memtableFlushes + compactions;
}

/** Throws unless the engine shows a state that the knowledge allows; returns that state. */
async function compare(engine: Engine, knowledge: Knowledge, what: string): Promise<State> {
  const found = await stateOf(engine, what);
  const state = new Map(knowledge.base);
  for (let count = 0; ; count++) {
    if (count >= knowledge.acknowledgedCount && areEqual(state, found)) return found;
    const batch = knowledge.submitted[count];
    if (batch === undefined) break;
    applyTo(state, batch);
  }
  throw new Violation(`${what}: none of the states of the log is what was found`);
}

async function compareExactly(engine: Engine, state: State, what: string): Promise<void> {
  const found = await stateOf(engine, what);
  if (!areEqual(state, found)) throw new Violation(`${what}: something else was found`);
  for (const [key, value] of found) {
    const entry = await engine.get(bytesOf(key)).catch(violate(what));
    if (entry === undefined || !equalBytes(entry.value, value)) {
      throw new Violation(`${what}: get and scan differ on a key`);
    }
  }
  const { damages } = await engine.verify().catch(violate(what));
  if (damages[0] !== undefined) throw new Violation(`${what}: verify: ${damages[0].reason}`);
}

async function stateOf(engine: Engine, what: string): Promise<State> {
  const found = new Map<string, Uint8Array>();
  try {
    for await (const row of engine.scan({})) {
      found.set(binaryStringOf(row.key), row.value ?? new Uint8Array(0));
    }
  } catch (error) {
    violate(what)(error);
  }
  return found;
}

function violate(what: string): (error: unknown) => never {
  return (error) => {
    throw new Violation(`${what}: ${String(error)}`);
  };
}
