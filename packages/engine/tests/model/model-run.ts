/**
 * One run of the model test: a random life of an engine on a simulated disk, compared with a plain map.
 *
 * A run is named by its seed, which also draws its shape: size of the disk, keys, values, memtable,
 * cache, and where merges are computed (`drawn-compute.ts`). Several batches are on their way at once; gets, scans in both directions and snapshots look at
 * the engine meanwhile and much later; the power fails at a random operation of the device, also during
 * recovery, with torn and reordered writes; the engine is closed and opened again. What each read may
 * show is known exactly: see `VersionedMap`.
 *
 * Not checked here: crashes at every operation (`crash-run.ts`), a device that lies (`faults`).
 */
import { SeededRandom, binaryStringOf, hasCode } from '@dozo/base';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { openEngine } from '../../src/index.ts';
import type { Engine, EngineStats, ScanEntry, Snapshot } from '../../src/index.ts';
import type { TestSwitches } from '../../src/test-switches.ts';
import { DrawnCompute } from '../drawn-compute.ts';
import { HAS_RANGE_DELETE, backgroundCountsOf, batchOf } from '../engine-features.ts';
import type { BackgroundCounts, TreeSizes } from '../engine-features.ts';
import { countsOf, problemAtAnyMoment, problemWhenSettled } from '../exact-counts.ts';
import { HOLDER, formattedMedium } from '../simulated-engine.ts';
import { ValueMaker, drawKeys, drawValueBytes, keyBytesOf } from './keys-and-values.ts';
import {
  DELETES_PAYLOAD_BYTES_MIN,
  brokenRule,
  cachedReadShareOf,
  drawShape,
} from './model-shape.ts';
import type { Shape } from './model-shape.ts';
import { VersionedMap, Violation } from './versioned-map.ts';
import type { Change, FoundRow, IndexSpan, Window } from './versioned-map.ts';

export interface ModelRunOptions {
  readonly seed: number;
  /** Puts, deletes, gets, scans and so on. */
  readonly operationCount: number;
  readonly switches?: TestSwitches;
  /** Given, device, threads and clock answer from the event loop: see `SimulatedClockOptions`. */
  readonly nextTurn?: () => Promise<void>;
}

/** How often what was done. */
export interface ModelCounts extends BackgroundCounts {
  readonly puts: number;
  readonly deletes: number;
  readonly rangeDeletes: number;
  readonly refusals: number;
  readonly gets: number;
  readonly scans: number;
  readonly rows: number;
  readonly snapshotReads: number;
  readonly crashes: number;
  readonly reopens: number;
  readonly verifies: number;
  /** Merge steps that were given to threads, and those of them that were lost. */
  readonly threadTasks: number;
  readonly lostTasks: number;
  /** Reads that the device answered at once. */
  readonly cachedReads: number;
}

export interface ModelRunResult {
  readonly counts: ModelCounts;
  /** The first violation, in words. */
  readonly violation: string | undefined;
}

/** The engine as it is open now. */
interface Opened {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
  readonly clock: SimulatedClock;
  readonly medium: SimulatedMedium;
  /** Resolves when an armed crash has come. */
  readonly crashed: Promise<'crashed'>;
  readonly crash: Crash;
}

/** A crash that is to come, and what it leaves. */
interface Crash {
  /** The operation of the device at which it comes. */
  atOperation: number;
  after: SimulatedMedium | undefined;
  readonly tell: () => void;
}

interface HeldSnapshot {
  readonly snapshot: Snapshot;
  readonly window: Window;
}

type Counting = { -readonly [Name in keyof ModelCounts]: number };

const SNAPSHOTS_MAX = 3;
/** Microtasks in which what a crash interrupted comes to rest. */
const REST_MICROTASKS = 200;
/** Operations of the bursts in which a snapshot has just been closed for its space. */
const PINNED_OPERATIONS = 100;
const CRASHES_IN_A_ROW_MAX = 3;

/** Runs one seed. */
export async function runModel(options: ModelRunOptions): Promise<ModelRunResult> {
  const run = new ModelRun(options);
  try {
    await run.run();
    return { counts: run.counts, violation: undefined };
  } catch (error) {
    const text =
      error instanceof Violation
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error);
    return { counts: run.counts, violation: `after ${run.done} operations: ${text}` };
  }
}

class ModelRun {
  readonly counts: Counting = {
    puts: 0,
    deletes: 0,
    rangeDeletes: 0,
    refusals: 0,
    gets: 0,
    scans: 0,
    rows: 0,
    snapshotReads: 0,
    crashes: 0,
    reopens: 0,
    verifies: 0,
    threadTasks: 0,
    lostTasks: 0,
    cachedReads: 0,
    checkpoints: 0,
    movedBytes: 0,
    memtableFlushes: 0,
    compactions: 0,
  };
  done = 0;
  readonly #options: ModelRunOptions;
  readonly #random: SeededRandom;
  readonly #shape: Shape;
  readonly #map: VersionedMap;
  readonly #compute: DrawnCompute;
  #snapshots: HeldSnapshot[] = [];
  /** Scans and verifies that are under way while batches are written; they hold space as snapshots do. */
  #walksHeld = 0;
  /** Until so many operations are done, space that snapshots held may not be free yet. */
  #pinnedUntil = 0;
  #openCount = 0;

  constructor(options: ModelRunOptions) {
    this.#options = options;
    this.#random = new SeededRandom(`model/${options.seed}`);
    this.#compute = new DrawnCompute(options.seed);
    this.#shape = drawShape(this.#random);
    const names = drawKeys(this.#random, this.#shape.keyCount);
    this.#map = new VersionedMap(names, names.map(keyBytesOf), new ValueMaker(this.#random));
  }

  async run(): Promise<void> {
    const { segmentCount, segmentPayloadBytes } = this.#shape;
    const medium = await formattedMedium(this.#world('format'), {
      segmentCount,
      segmentPayloadBytes,
      ringSlotCount: 4,
    });
    let opened = await this.#open(medium);
    while (this.done < this.#options.operationCount) {
      const roll = this.#random.fraction();
      if (roll < 0.003) opened = await this.#crash(opened);
      else if (roll < 0.0045) opened = await this.#reopen(opened);
      else await this.#step(opened);
    }
    opened = await this.#crash(opened);
    opened = await this.#reopen(opened);
    this.#count(opened);
    Object.assign(this.counts, this.#compute.counts);
    await opened.engine.close();
  }

  async #step(opened: Opened): Promise<void> {
    const { engine } = opened;
    const roll = this.#random.fraction();
    if (roll < 0.62) await this.#burst(engine);
    else if (roll < 0.8) await this.#get(engine);
    else if (roll < 0.9) await this.#scan(engine);
    else if (roll < 0.96) await this.#useSnapshot(engine);
    else if (roll < 0.97) this.#changeSnapshots(engine);
    else if (roll < 0.99) this.#checkStats(engine.stats());
    else if (roll < 0.992) await this.#checkAll(opened);
    else if (roll < 0.993) await this.#verify(engine);
    this.done++;
  }

  // Writing.

  /** Some batches on their way at once, and reads and snapshots meanwhile. */
  async #burst(engine: Engine): Promise<void> {
    const count = 1 + this.#random.below(this.#shape.batchesAtOnceMax);
    const work: Promise<void>[] = [];
    for (let index = 0; index < count; index++) {
      work.push(this.#apply(engine));
      if (this.#random.chance(0.1)) work.push(this.#get(engine));
      if (this.#random.chance(0.02)) this.#changeSnapshots(engine);
      if (this.#random.chance(0.2)) await Promise.resolve();
    }
    await Promise.all(work);
  }

  async #burstsDuringWalk(engine: Engine, count: number): Promise<void> {
    this.#walksHeld++;
    for (let index = 0; index < count; index++) await this.#burst(engine);
    this.#walksHeld--;
    if (count > 1) this.#pinnedUntil = this.done + PINNED_OPERATIONS;
  }

  async #apply(engine: Engine): Promise<void> {
    const changes = this.#changes();
    this.done += changes.length;
    const { batch, operations } = this.#map.submit(changes);
    try {
      this.#map.acknowledge(batch, await engine.apply(batchOf(operations)));
    } catch (error) {
      if (!hasCode(error, 'DEVICE_FULL', 'BATCH_TOO_LARGE', 'ENGINE_CLOSED')) throw error;
      this.#map.refuse(batch);
      if (hasCode(error, 'ENGINE_CLOSED')) return;
      this.counts.refusals++;
      const isGrowing = changes.some(({ kind }) => kind === 'put');
      const isHeld = this.#walksHeld > 0 || this.#snapshots.length > 0;
      if (isHeld) this.#pinnedUntil = this.done + PINNED_OPERATIONS;
      if (!isGrowing && this.done > this.#pinnedUntil && this.#areDeletesTaken) {
        throw new Violation(`a batch of deletes was refused: ${String(error)}`);
      }
      // They hold the space that work has freed since.
      for (const { snapshot } of this.#snapshots.splice(0)) snapshot.close();
    }
  }

  get #areDeletesTaken(): boolean {
    return this.#shape.segmentPayloadBytes >= DELETES_PAYLOAD_BYTES_MIN;
  }

  #changes(): Change[] {
    const random = this.#random;
    const count = random.chance(0.75) ? 1 : 1 + random.below(random.chance(0.1) ? 40 : 6);
    const changes: Change[] = [];
    for (let index = 0; index < count; index++) {
      if (HAS_RANGE_DELETE && random.chance(0.02)) {
        this.counts.rangeDeletes++;
        const { from, to } = this.#span(random.chance(0.1) ? this.#shape.keyCount : 12);
        // The end of a range is a key, so the last key itself is deleted alone.
        if (from < to && to < this.#shape.keyCount) {
          changes.push({ kind: 'delete-range', fromIndex: from, toIndex: to });
          continue;
        }
      }
      const keyIndex = this.#keyIndex();
      if (random.chance(this.#shape.putShare)) {
        this.counts.puts++;
        const sizeBytes = drawValueBytes(random, this.#shape.valueBytesMax);
        changes.push({ kind: 'put', keyIndex, sizeBytes });
      } else {
        this.counts.deletes++;
        changes.push({ kind: 'delete', keyIndex });
      }
    }
    return changes;
  }

  #keyIndex(): number {
    const { keyCount, hotShare } = this.#shape;
    const isHot = this.#random.chance(hotShare);
    return this.#random.below(isHot ? Math.ceil(keyCount / 10) : keyCount);
  }

  /** Some neighbouring keys. */
  #span(countMax: number): { readonly from: number; readonly to: number } {
    const from = this.#random.below(this.#shape.keyCount);
    return { from, to: Math.min(this.#shape.keyCount, from + this.#random.below(countMax + 1)) };
  }

  // Reading.

  async #get(source: Engine | Snapshot, given?: Window): Promise<void> {
    const keyIndex = this.#keyIndex();
    const key = keyBytesOf(this.#map.names[keyIndex] as string);
    const { low } = given ?? this.#map.window;
    this.counts.gets++;
    if ('stat' in source && this.#random.chance(0.1)) {
      const found = await source.stat(key);
      this.#map.checkRead(keyIndex, found, { window: { low, high: this.#map.window.high } });
      return;
    }
    const start = this.#random.below(this.#random.chance(0.5) ? 100 : 5000);
    const range = { start, end: start + this.#random.below(3000) };
    const isWhole = this.#random.chance(0.7);
    const found = await (isWhole ? source.get(key) : source.get(key, range));
    const window = given ?? { low, high: this.#map.window.high };
    this.#map.checkRead(keyIndex, found, isWhole ? { window } : { window, ...range });
  }

  async #scan(source: Engine | Snapshot, given?: Window): Promise<void> {
    const { keyCount } = this.#shape;
    const isLong = this.#random.chance(0.1);
    const part = this.#span(isLong ? keyCount : 30);
    const limit = this.#random.chance(0.5) ? 1 + this.#random.below(20) : Number.POSITIVE_INFINITY;
    const span = { ...part, isReverse: this.#random.chance(0.5), limit };
    const { low } = given ?? this.#map.window;
    const walk = this.#walk(source, span, this.#random.chance(0.7));
    const rows: FoundRow[] = [];
    // What is written while it walks is not seen; nothing is on its way when it begins.
    const writesAfter = given === undefined && this.#random.chance(0.2) ? 1 : -1;
    for await (const row of walk) {
      rows.push(foundRow(row));
      if (rows.length !== writesAfter || !('apply' in source)) continue;
      // Sometimes enough for all that it reads from to be flushed, merged and emptied meanwhile.
      const bursts = this.#random.chance(0.2) ? 30 : 1;
      await this.#burstsDuringWalk(source, bursts);
    }
    this.counts.scans++;
    this.counts.rows += rows.length;
    this.#map.checkRows(rows, span, given ?? { low, high: low });
  }

  #walk(source: Engine | Snapshot, span: IndexSpan, values: boolean): AsyncIterable<ScanEntry> {
    const { names } = this.#map;
    const from = names[span.from];
    const to = names[span.to];
    const range = {
      ...(from === undefined || span.from === 0 ? {} : { from: keyBytesOf(from) }),
      ...(to === undefined ? {} : { to: keyBytesOf(to) }),
      reverse: span.isReverse,
    };
    const limit = span.limit === Number.POSITIVE_INFINITY ? {} : { limit: span.limit };
    return source.scan(range, { ...limit, values });
  }

  /** Everything, both ways, and the counts. */
  async #checkAll({ engine, clock }: Opened): Promise<void> {
    const { window } = this.#map;
    const forwards = await this.#rowsOf(engine, false);
    const prefix = this.#map.checkRows(forwards, this.#everything(false), window);
    const backwards = await this.#rowsOf(engine, true);
    this.#map.checkRows(backwards, this.#everything(true), { low: prefix, high: prefix });
    const problem = await problemWhenSettled(engine, clock, countsOf(this.#map.liveAt(prefix)));
    if (problem !== undefined) throw new Violation(problem);
  }

  async #rowsOf(engine: Engine, reverse: boolean): Promise<FoundRow[]> {
    const rows: FoundRow[] = [];
    for await (const row of engine.scan({ reverse })) rows.push(foundRow(row));
    return rows;
  }

  #everything(isReverse: boolean): IndexSpan {
    return { from: 0, to: this.#shape.keyCount, isReverse, limit: Number.POSITIVE_INFINITY };
  }

  async #verify(engine: Engine): Promise<void> {
    this.counts.verifies++;
    const verifying = engine.verify();
    // It is online: work goes on, and nothing that is right is called damaged.
    const bursts = this.#random.chance(0.5) ? this.#random.below(20) : 0;
    await this.#burstsDuringWalk(engine, bursts);
    const { damages } = await verifying;
    const first = damages[0];
    if (first !== undefined) throw new Violation(`verify: ${first.reason} at ${first.offset}`);
  }

  // Snapshots.

  #changeSnapshots(engine: Engine): void {
    if (this.#snapshots.length > 0 && this.#random.chance(0.5)) {
      const index = this.#random.below(this.#snapshots.length);
      for (const { snapshot } of this.#snapshots.splice(index, 1)) snapshot.close();
    } else if (this.#snapshots.length < SNAPSHOTS_MAX) {
      this.#snapshots.push({ snapshot: engine.snapshot(), window: this.#map.window });
    }
  }

  /** Reads from a snapshot that may be old; no batch is on its way. */
  async #useSnapshot(engine: Engine): Promise<void> {
    if (this.#snapshots.length === 0) this.#changeSnapshots(engine);
    const { snapshot, window } = this.#random.pick(this.#snapshots);
    const prefix = this.#map.prefixOf(snapshot.lsn);
    if (prefix < window.low || prefix > window.high) {
      throw new Violation(
        `a snapshot shows ${prefix} batches, not ${window.low} to ${window.high}`,
      );
    }
    this.counts.snapshotReads++;
    const shown = { low: prefix, high: prefix };
    if (this.#random.chance(0.6)) await this.#get(snapshot, shown);
    else await this.#scan(snapshot, shown);
  }

  // Statistics.

  #checkStats(stats: EngineStats): void {
    const broken = brokenRule(stats);
    if (broken !== undefined) throw new Violation(`stats: ${broken}: ${JSON.stringify(stats)}`);
    if (stats.lastLsn < this.#map.acknowledgedLsn) {
      throw new Violation(`stats: last lsn ${stats.lastLsn} < ${this.#map.acknowledgedLsn}`);
    }
    const { low, high } = this.#map.window;
    if (low !== high) return;
    const problem = problemAtAnyMoment(stats, countsOf(this.#map.liveAt(low)));
    if (problem !== undefined) throw new Violation(problem);
  }

  #count({ engine, device }: Opened): void {
    this.counts.cachedReads += device.counts().cachedReads;
    const { checkpoints, movedBytes, memtableFlushes, compactions } = backgroundCountsOf(
      engine.stats(),
    );
    this.counts.checkpoints += checkpoints;
    this.counts.movedBytes += movedBytes;
    this.counts.memtableFlushes += memtableFlushes;
    this.counts.compactions += compactions;
  }

  // Opening, closing, crashing.

  async #reopen(opened: Opened): Promise<Opened> {
    this.counts.reopens++;
    this.#count(opened);
    const burst = this.#random.chance(0.5) ? this.#closing(opened.engine) : undefined;
    // What was accepted is done before it closes.
    await opened.engine.close();
    await burst;
    this.#snapshots = [];
    await opened.device.close();
    const next = await this.#open(opened.medium);
    await this.#checkAll(next);
    return next;
  }

  /** A burst that the close of the engine may cut off. */
  async #closing(engine: Engine): Promise<void> {
    try {
      await this.#burst(engine);
    } catch (error) {
      if (!hasCode(error, 'ENGINE_CLOSED')) throw error;
    }
  }

  /** Works on until the power fails in the middle of it, and opens what is left. */
  async #crash(opened: Opened): Promise<Opened> {
    const { crash, crashed, device } = opened;
    crash.atOperation = device.operationCount + this.#random.below(80);
    for (;;) {
      const outcome = await Promise.race([this.#step(opened), crashed]);
      if (outcome === 'crashed') break;
    }
    await (this.#options.nextTurn?.() ?? microtasks(REST_MICROTASKS));
    this.#count(opened);
    this.#snapshots = [];
    this.#walksHeld = 0;
    let medium = crash.after as SimulatedMedium;
    for (let again = 0; again < CRASHES_IN_A_ROW_MAX; again++) {
      this.counts.crashes++;
      const next = await this.#openCrashed(medium, again + 1 < CRASHES_IN_A_ROW_MAX);
      if (next.opened !== undefined) return next.opened;
      medium = next.medium;
    }
    throw new Violation('the last opening does not crash');
  }

  /** Opens what a crash left, or crashes again on the way. */
  async #openCrashed(
    medium: SimulatedMedium,
    mayCrash: boolean,
  ): Promise<{ readonly medium: SimulatedMedium; readonly opened?: Opened }> {
    const isCut = mayCrash && this.#random.chance(0.3);
    const crash = newCrash();
    const opening = this.#open(medium, crash, isCut ? this.#random.below(60) : undefined);
    const opened = await Promise.race([opening, crash.crashed]);
    // It may have come in the very turn in which the opening was through.
    const { after } = crash.crash;
    if (opened === 'crashed' || after !== undefined) return { medium: after as SimulatedMedium };
    crash.crash.atOperation = Number.POSITIVE_INFINITY;
    const rows = await this.#rowsOf(opened.engine, false);
    const prefix = this.#map.checkRows(rows, this.#everything(false), this.#map.window);
    this.#map.cutTo(prefix, rows);
    if (this.#random.chance(0.2)) await this.#verify(opened.engine);
    this.#checkStats(opened.engine.stats());
    return { medium, opened };
  }

  async #open(
    medium: SimulatedMedium,
    { crash, crashed } = newCrash(),
    crashAt = Number.POSITIVE_INFINITY,
  ): Promise<Opened> {
    crash.atOperation = crashAt;
    const { clock, random, seed } = this.#world('open');
    const device: SimulatedDevice = new SimulatedDevice(medium, {
      clock,
      seed,
      cachedReadShare: cachedReadShareOf(this.#options.seed),
      onOperation: (event) => {
        if (event.index < crash.atOperation || crash.after !== undefined) return;
        const kind = this.#random.chance(0.2) ? 'process' : 'power';
        const tearing = this.#random.pick(['none', 'block', 'sector', 'sector'] as const);
        crash.after = medium.crash(this.#random, { kind, tearing });
        device.halt();
        crash.tell();
      },
    });
    const { memtableBytes, cacheBytes } = this.#shape;
    const sizes: TreeSizes = { memtableBytes, cacheBytes };
    const { switches: testSwitches = {} } = this.#options;
    const base = { device, clock, random, holder: HOLDER, testSwitches };
    const engine = await openEngine({ ...base, ...sizes, ...this.#compute.next(clock) });
    return { engine, device, clock, medium, crash, crashed };
  }

  #world(name: string): {
    readonly seed: string;
    readonly clock: SimulatedClock;
    readonly random: SeededRandom;
  } {
    const { nextTurn } = this.#options;
    const seed = `${this.#options.seed}/${name}/${this.#openCount++}`;
    const clock = new SimulatedClock({ seed, ...(nextTurn === undefined ? {} : { nextTurn }) });
    return { seed, clock, random: new SeededRandom(seed) };
  }
}

function newCrash(): { readonly crash: Crash; readonly crashed: Promise<'crashed'> } {
  let tell = (): void => undefined;
  const crashed = new Promise<'crashed'>((resolve) => {
    tell = () => {
      resolve('crashed');
    };
  });
  const atOperation = Number.POSITIVE_INFINITY;
  return { crash: { atOperation, after: undefined, tell }, crashed };
}

function foundRow({ key, lsn, sizeBytes, value }: ScanEntry): FoundRow {
  const row = { name: binaryStringOf(key), lsn, sizeBytes };
  return value === undefined ? row : { ...row, value };
}

async function microtasks(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await Promise.resolve();
}
