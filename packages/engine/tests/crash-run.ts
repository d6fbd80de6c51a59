/**
 * Crashes an engine at every operation of its device and looks at what is found afterwards.
 *
 * A run is named by its seed. It ages a small simulated disk with a random workload, then goes on with
 * the workload while, at the beginning and at the end of every device operation, the disk is forked as
 * a crash at that moment would leave it (unflushed writes lost, torn and reordered). Each fork is
 * opened and compared with the model; some are crashed again, during recovery or after it.
 *
 * What is checked: the device opens; what a scan shows is exactly the state after the first p batches,
 * with every acknowledged batch among them and each batch whole; reads agree with the scan; the
 * accounting of live bytes agrees with it; verify finds nothing.
 */
import { SeededRandom, binaryStringOf, equalBytes } from '@dozo/base';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { recordBytesOf } from '../src/record.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { HOLDER, KIB, formattedMedium } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';
import { Workload, applyTo, areEqual, bytesOf, drawShape } from './workload.ts';
import type { Knowledge, Shape, State } from './workload.ts';

export interface CrashRunOptions {
  readonly seed: string | number;
  readonly switches?: TestSwitches;
  /** Few keys, overwritten again and again: segments die as soon as they are full. */
  readonly hasFewKeys?: boolean;
  /** Whether the engine discards what is free. */
  readonly discards?: boolean;
  /** Batches before the first crash, and while crashes are tried. */
  readonly agingBatches?: number;
  readonly crashedBatches?: number;
}

/** What was found. */
export interface CrashRunResult {
  readonly crashPoints: number;
  /** The first violation, in words. */
  readonly violation: string | undefined;
}

interface Crash {
  readonly medium: SimulatedMedium;
  readonly knowledge: Knowledge;
  readonly at: string;
}

const FEW_KEYS = { segmentPayloadBytes: 32 * KIB, segmentCount: 10, keyCount: 4 };
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
  #crashPoints = 0;
  #openCount = 0;

  constructor(options: CrashRunOptions) {
    this.#options = options;
    this.#random = new SeededRandom(`crash/${options.seed}`);
    const shape = drawShape(this.#random);
    this.#shape = options.hasFewKeys === true ? { ...shape, ...FEW_KEYS } : shape;
  }

  async run(): Promise<CrashRunResult> {
    const world = this.#world('first');
    let medium = await formattedMedium(world, { ...this.#shape, ringSlotCount: 4 });
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
      return { crashPoints: this.#crashPoints, violation: undefined };
    } catch (error) {
      if (!(error instanceof Violation)) {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        return { crashPoints: this.#crashPoints, violation: text };
      }
      return { crashPoints: this.#crashPoints, violation: error.message };
    }
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
      const writer = new Workload(base, this.#random, this.#shape);
      const current = medium;
      const device = new SimulatedDevice(current, {
        clock: world.clock,
        seed: world.seed,
        onOperation: (event) => {
          if (onCrash === undefined || event.kind === 'read') return;
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
    const engine = await this.#openFound(device, crash);
    await this.#compare(engine, crash);
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
    const opened = openEngine({
      device,
      ...world,
      holder: HOLDER,
      testSwitches: this.#switches,
      discard: this.#options.discards ?? false,
    });
    const stopped = (): boolean => found.crash !== undefined;
    const engine = await untilStopped(opened, stopped);
    if (engine !== undefined) {
      const base = await untilStopped(this.#compare(engine, crash), stopped);
      if (base !== undefined) {
        const writer = new Workload(base, this.#random, this.#shape);
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
    const engine = await this.#openFound(device, crash);
    const state = await this.#compare(engine, crash);
    await engine.close();
    await device.close();
    return state;
  }

  async #openFound(device: SimulatedDevice, crash: Crash): Promise<Engine> {
    try {
      return await this.#open(this.#world('open'), device);
    } catch (error) {
      throw new Violation(`${crash.at}: opening failed: ${String(error)}`);
    }
  }

  /** Throws unless the engine shows a state that the knowledge allows; returns that state. */
  async #compare(engine: Engine, crash: Crash): Promise<State> {
    const { knowledge, at } = crash;
    const found = new Map<string, Uint8Array>();
    let liveBytes = 0;
    for await (const row of engine.scan({})) {
      const value = row.value ?? new Uint8Array(0);
      found.set(binaryStringOf(row.key), value);
      liveBytes += recordBytesOf(row.key.length, value.length);
    }
    if (engine.stats().liveBytes !== liveBytes) {
      throw new Violation(`${at}: live bytes ${engine.stats().liveBytes}, really ${liveBytes}`);
    }
    const state = new Map(knowledge.base);
    let matched: State | undefined;
    knowledge.submitted.forEach((batch, index) => {
      if (index >= knowledge.acknowledgedCount && areEqual(state, found)) matched = found;
      applyTo(state, batch);
    });
    if (areEqual(state, found)) matched = found;
    if (matched === undefined) throw new Violation(`${at}: ${describe(knowledge, found)}`);
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

function describe(knowledge: Knowledge, found: State): string {
  const { submitted, acknowledgedCount, base } = knowledge;
  const acknowledged = new Map(base);
  for (const batch of submitted.slice(0, acknowledgedCount)) applyTo(acknowledged, batch);
  const missing = [...acknowledged.keys()].filter((key) => !found.has(key));
  const extra = [...found.keys()].filter((key) => !acknowledged.has(key));
  return (
    `no state after ${acknowledgedCount} to ${submitted.length} batches is what was found ` +
    `(${found.size} keys; against the acknowledged state missing ${missing.join(' ')}, ` +
    `extra ${extra.join(' ')})`
  );
}
