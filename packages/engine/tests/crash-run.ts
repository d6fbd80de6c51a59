/**
 * Crashes an engine at every operation of its device and looks at what is found afterwards.
 *
 * A run is named by its seed, which also draws where merges are computed. It ages a small simulated disk with a random workload, then goes on with
 * the workload while, at the beginning and at the end of every device operation, the disk is forked as
 * a crash at that moment would leave it (unflushed writes lost, torn and reordered). Each fork is
 * opened and compared with the model; some are crashed again, during recovery or after it.
 *
 * What is checked: the device opens; what a scan shows is exactly the state after the first p batches,
 * with every acknowledged batch among them and each batch whole; reads agree with the scan; the
 * counts of keys and of live bytes in the log agree with it once they are settled; verify finds nothing. Every value ever written is remembered, so
 * that what came back from the dead is told apart from what was lost.
 */
import { SeededRandom, binaryStringOf, equalBytes } from '@dozo/base';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { PhaseWatch, noPhases } from './crash-phases.ts';
import type { PhaseCounts } from './crash-phases.ts';
import { DrawnCompute } from './drawn-compute.ts';
import { SMALL_TREE } from './engine-features.ts';
import type { ProofOperation } from './engine-features.ts';
import { countsOf, problemWhenSettled } from './exact-counts.ts';
import { HOLDER, KIB, formattedMedium } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';
import { ValueHistory } from './value-history.ts';
import { Workload, applyTo, areEqual, bytesOf, drawShape } from './workload.ts';
import type { Knowledge, Shape, State } from './workload.ts';

export interface CrashRunOptions {
  readonly seed: number;
  readonly switches?: TestSwitches;
  /** Few keys, overwritten again and again: segments die as soon as they are full. */
  readonly hasFewKeys?: boolean;
  /** More than the disk takes: it is full nearly all the time. */
  readonly isFull?: boolean;
  /** Merges on the engine's own thread, whatever the seed says. */
  readonly isInline?: boolean;
  /** Whether the engine discards what is free. */
  readonly discards?: boolean;
  /** Batches before the first crash, and while crashes are tried. */
  readonly agingBatches?: number;
  readonly crashedBatches?: number;
}

/** What was found. */
export interface CrashRunResult {
  readonly crashPoints: number;
  /** How many of them came while what was being written. */
  readonly phases: PhaseCounts;
  /** Batches that a full disk refused. */
  readonly refusedCount: number;
  /** Merge steps that were given to threads, and those of them that were lost. */
  readonly threadTasks: number;
  readonly lostTasks: number;
  /** The first violation, in words. */
  readonly violation: string | undefined;
}

/** An engine, and what makes time pass for it. */
interface Opened {
  readonly engine: Engine;
  readonly clock: SimulatedClock;
}

interface Crash {
  readonly medium: SimulatedMedium;
  readonly knowledge: Knowledge;
  readonly at: string;
}

const FEW_KEYS = {
  segmentPayloadBytes: 32 * KIB,
  segmentCount: 64,
  keyCount: 4,
  valueBytesMax: 8 * KIB,
};
const FULL = {
  segmentPayloadBytes: 32 * KIB,
  segmentCount: 14,
  keyCount: 300,
  valueBytesMax: 8 * KIB,
};
const RING_SLOTS = 4;
/** Where the segments of a disk with so many slots begin. */
const AREA_OFFSET = 64 * KIB + RING_SLOTS * 8 * KIB + 4 * KIB;
const SECOND_CRASH_CHANCE = 0.25;

/** Runs one seed. */
export async function runCrashes(options: CrashRunOptions): Promise<CrashRunResult> {
  const run = new CrashRun(options);
  return run.run();
}

class CrashRun {
  readonly #options: CrashRunOptions;
  readonly #random: SeededRandom;
  readonly #shape: Shape;
  readonly #history = new ValueHistory();
  readonly #phases = noPhases();
  readonly #compute: DrawnCompute;
  #refusedCount = 0;
  #crashPoints = 0;
  #openCount = 0;

  constructor(options: CrashRunOptions) {
    this.#options = options;
    this.#random = new SeededRandom(`crash/${options.seed}`);
    this.#compute = new DrawnCompute(options.seed, options.isInline);
    const shape = drawShape(this.#random);
    const { hasFewKeys = false, isFull = false } = options;
    this.#shape = { ...shape, ...(hasFewKeys ? FEW_KEYS : {}), ...(isFull ? FULL : {}) };
  }

  async run(): Promise<CrashRunResult> {
    const world = this.#world('first');
    let medium = await formattedMedium(world, { ...this.#shape, ringSlotCount: RING_SLOTS });
    const { agingBatches = 150, crashedBatches = 40 } = this.#options;
    let state: State = new Map();
    try {
      for (let phase = 0; phase < 2; phase++) {
        const aged = await this.#work({ medium, base: state, batchCount: agingBatches });
        state = aged.state;
        medium = aged.medium;
        const crashes: Crash[] = [];
        const crashed = await this.#work({
          medium,
          base: state,
          batchCount: crashedBatches,
          onCrash: (crash) => crashes.push(crash),
        });
        state = crashed.state;
        for (const crash of crashes) await this.#check(crash);
        // Goes on from one of the crashes, so that later phases work on a disk that has seen some.
        const next = this.#random.pick(crashes);
        medium = next.medium;
        state = await this.#recoveredState(next);
      }
      return this.#result(undefined);
    } catch (error) {
      if (error instanceof Violation) return this.#result(error.message);
      return this.#result(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  }

  #result(violation: string | undefined): CrashRunResult {
    return {
      crashPoints: this.#crashPoints,
      phases: this.#phases,
      refusedCount: this.#refusedCount,
      ...this.#compute.counts,
      violation,
    };
  }

  /** Opens the medium, applies random batches, closes now and then, and ends without closing. */
  async #work(options: {
    readonly medium: SimulatedMedium;
    readonly base: State;
    readonly batchCount: number;
    readonly onCrash?: (crash: Crash) => void;
  }): Promise<{ readonly state: State; readonly medium: SimulatedMedium }> {
    const { onCrash } = options;
    let { medium } = options;
    let base = options.base;
    let left = options.batchCount;
    while (left > 0) {
      const world = this.#world('work');
      const writer = new Workload(base, this.#random, this.#shape, this.#history);
      const watch = new PhaseWatch(AREA_OFFSET);
      const current = medium;
      const device = new SimulatedDevice(current, {
        clock: world.clock,
        seed: world.seed,
        onOperation: (event) => {
          if (event.kind === 'read') return;
          const phases = watch.of(event);
          if (onCrash === undefined) return;
          for (const phase of phases) this.#phases[phase]++;
          const tearing = this.#random.pick(['none', 'block', 'sector'] as const);
          const kind = this.#random.chance(0.15) ? 'process' : 'power';
          onCrash({
            medium: current.crash(this.#random, { tearing, kind }),
            knowledge: writer.knowledge(),
            at: `${event.phase} of ${event.kind} ${event.index}`,
          });
        },
      });
      const engine = await this.#open(world, device);
      const count = this.#random.chance(0.5) ? left : 1 + this.#random.below(left);
      await writer.run(engine, count);
      left -= count;
      this.#refusedCount += writer.refusedCount;
      base = writer.finalState();
      if (left === 0 && this.#random.chance(0.5)) {
        // The process ends without a word; nothing is lost that was resolved.
        device.halt();
        medium = medium.crash(this.#random, { kind: 'process' });
      } else {
        await engine.close();
        await device.close();
      }
    }
    return { state: base, medium };
  }

  /** Opens what a crash left and compares it with what is known. */
  async #check(crash: Crash): Promise<void> {
    this.#crashPoints++;
    const isCrashedAgain = this.#random.chance(SECOND_CRASH_CHANCE);
    if (isCrashedAgain) await this.#crashAgain(crash);
    const medium = crash.medium.fork();
    const device = this.#device(medium);
    await this.#compare(await this.#openFound(device, crash), crash);
    device.halt();
  }

  /** Crashes at a random operation of recovery, or soon after it; recovers from that. */
  async #crashAgain(crash: Crash): Promise<void> {
    const medium = crash.medium.fork();
    const world = this.#world('again');
    const crashAfter = this.#random.below(60);
    const found: { crash?: Crash } = {};
    let knowledge = (): Knowledge => crash.knowledge;
    const device = new SimulatedDevice(medium, {
      clock: world.clock,
      seed: world.seed,
      onOperation: (event) => {
        if (event.index < crashAfter || found.crash !== undefined) return;
        const at = `${crash.at}, then ${event.phase} of ${event.kind} ${event.index}`;
        const after = medium.crash(this.#random, { tearing: 'sector' });
        found.crash = { medium: after, knowledge: knowledge(), at };
        device.halt();
      },
    });
    const stopped = (): boolean => found.crash !== undefined;
    const engine = await untilStopped(this.#open(world, device), stopped);
    if (engine !== undefined) {
      const opened = { engine, clock: world.clock };
      const base = await untilStopped(this.#compare(opened, crash), stopped);
      if (base !== undefined) {
        const writer = new Workload(base, this.#random, this.#shape, this.#history);
        knowledge = () => writer.knowledge();
        await untilStopped(writer.run(engine, 20), stopped);
      }
    }
    if (found.crash === undefined) {
      device.halt();
      return;
    }
    this.#crashPoints++;
    const again = this.#device(found.crash.medium.fork());
    await this.#compare(await this.#openFound(again, found.crash), found.crash);
    again.halt();
  }

  async #recoveredState(crash: Crash): Promise<State> {
    const device = this.#device(crash.medium);
    const opened = await this.#openFound(device, crash);
    const state = await this.#compare(opened, crash);
    await opened.engine.close();
    await device.close();
    return state;
  }

  async #openFound(device: SimulatedDevice, crash: Crash): Promise<Opened> {
    const world = this.#world('open');
    try {
      return { engine: await this.#open(world, device), clock: world.clock };
    } catch (error) {
      throw new Violation(`${crash.at}: opening failed: ${String(error)}`);
    }
  }

  /** Throws unless the engine shows a state that the knowledge allows; returns that state. */
  async #compare({ engine, clock }: Opened, crash: Crash): Promise<State> {
    const { knowledge, at } = crash;
    const found = new Map<string, Uint8Array>();
    const sizes: { readonly keyBytes: number; readonly valueBytes: number }[] = [];
    for await (const row of engine.scan({})) {
      const value = row.value ?? new Uint8Array(0);
      found.set(binaryStringOf(row.key), value);
      sizes.push({ keyBytes: row.key.length, valueBytes: value.length });
    }
    const state = new Map(knowledge.base);
    let matched: State | undefined;
    knowledge.submitted.forEach((batch, index) => {
      if (index >= knowledge.acknowledgedCount && areEqual(state, found)) matched = found;
      applyTo(state, batch);
    });
    if (areEqual(state, found)) matched = found;
    if (matched === undefined) throw new Violation(`${at}: ${this.#describe(knowledge, found)}`);
    const problem = await problemWhenSettled(engine, clock, countsOf(sizes));
    if (problem !== undefined) throw new Violation(`${at}: ${problem}`);
    for (const [key, value] of found) {
      if (!this.#random.chance(0.1)) continue;
      const entry = await engine.get(bytesOf(key));
      if (entry === undefined || !equalBytes(entry.value, value)) {
        throw new Violation(`${at}: get and scan differ on a key`);
      }
    }
    if (this.#random.chance(0.1)) {
      const { damages } = await engine.verify();
      if (damages.length > 0) throw new Violation(`${at}: verify: ${damages[0]?.reason ?? ''}`);
    }
    return found;
  }

  #describe({ submitted, acknowledgedCount, base }: Knowledge, found: State): string {
    const acknowledged = new Map(base);
    for (const batch of submitted.slice(0, acknowledgedCount)) applyTo(acknowledged, batch);
    const touched = new Set<string>();
    for (const batch of submitted.slice(acknowledgedCount)) {
      for (const name of namesIn(batch, [...acknowledged.keys(), ...found.keys()]))
        touched.add(name);
    }
    return (
      `no state after ${acknowledgedCount} to ${submitted.length} batches is what was found: ` +
      this.#history.explain(acknowledged, found, touched)
    );
  }

  #open(world: World, device: SimulatedDevice): Promise<Engine> {
    const { clock, random } = world;
    const discard = this.#options.discards ?? false;
    return openEngine({
      device,
      clock,
      random,
      holder: HOLDER,
      testSwitches: this.#switches,
      discard,
      ...SMALL_TREE,
      ...this.#compute.next(clock),
    });
  }

  #device(medium: SimulatedMedium): SimulatedDevice {
    const world = this.#world('device');
    return new SimulatedDevice(medium, { clock: world.clock, seed: world.seed });
  }

  get #switches(): TestSwitches {
    return this.#options.switches ?? {};
  }

  #world(name: string): World {
    const seed = `${this.#options.seed}/${name}/${this.#openCount++}`;
    return { seed, clock: new SimulatedClock({ seed }), random: new SeededRandom(seed) };
  }
}

/** Something that must not happen did. */
class Violation extends Error {}

/** The result, or `undefined` once the device has been stopped under it: then it never comes. */
async function untilStopped<Result>(
  work: Promise<Result>,
  isStopped: () => boolean,
): Promise<Result | undefined> {
  const settled: { result?: Result; error?: unknown; isSettled: boolean } = { isSettled: false };
  work.then(
    (result) => {
      settled.result = result;
      settled.isSettled = true;
    },
    (error: unknown) => {
      settled.error = error;
      settled.isSettled = true;
    },
  );
  while (!settled.isSettled && !isStopped()) await Promise.resolve();
  if (isStopped()) return undefined;
  if (settled.error !== undefined) throw settled.error as Error;
  return settled.result;
}

/** The keys that a batch may have changed, of these. */
function namesIn(batch: readonly ProofOperation[], names: readonly string[]): string[] {
  return batch.flatMap((operation) => {
    if (operation.kind !== 'delete-range') return [binaryStringOf(operation.key)];
    const from = binaryStringOf(operation.from);
    const to = binaryStringOf(operation.to);
    return names.filter((name) => name >= from && name < to);
  });
}
