/**
 * Keeps the tree in shape in the background: flushes the memtable, compacts, copies tables out of
 * segments that are to be emptied.
 *
 * Two lines of work, one job each at a time: flushes, because memory waits for them, and the rest. What
 * they make is durable before it becomes part of the tree; a checkpoint follows. Writers are stalled when
 * the active memtable is full while the last one is still being flushed, and when level 0 has become so
 * long that reads would suffer: see `flush-pace.ts` and `compaction-choice.ts`. What entries hide is found out
 * beside that, in `settling-line.ts`.
 *
 * When there is nothing to compact and little is written, tables are gathered out of segments that have
 * become sparse: see `table-gatherer.ts`.
 *
 * The first error ends the engine, but for damage: a table that cannot be read stays as it is, is remembered,
 * and compaction goes on around it. Where damage leaves nothing that would make level 0 shorter, puts are
 * refused, so that reads do not get slower for ever and deletes still find room.
 */
import { AssertionError } from '@dozo/base';
import type { Clock, Compute } from '@dozo/base';
import type { Catalog, Generation } from './catalog.ts';
import { CompactionChoice } from './compaction-choice.ts';
import { compact } from './compaction-job.ts';
import type { Counters } from './counters.ts';
import { EngineError } from './errors.ts';
import { flushMemtable } from './flush-job.ts';
import type { TableJobOptions } from './flush-job.ts';
import { FlushPace } from './flush-pace.ts';
import type { Geometry } from './geometry.ts';
import type { LogWriter } from './log-writer.ts';
import type { Maintenance, TreeWork } from './maintenance.ts';
import { Pacer } from './pacer.ts';
import type { Settler } from './settler.ts';
import { SettlingLine } from './settling-line.ts';
import { TableGatherer } from './table-gatherer.ts';
import { moveTables } from './table-mover.ts';
import type { TableSpace } from './table-space.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { Compaction } from './tree/compaction-picker.ts';
import type { TestSwitches } from './test-switches.ts';
import type { TreeAccess } from './tree-access.ts';
import type { TreeSettings } from './tree-settings.ts';

export interface TreeKeeperOptions {
  readonly catalog: Catalog;
  readonly log: LogWriter;
  readonly space: TableSpace;
  readonly settler: Settler;
  readonly tree: TreeAccess;
  readonly compute: Compute;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly geometry: Geometry;
  readonly settings: TreeSettings;
  readonly switches: TestSwitches;
  /** Has the commit pipeline look what there is to do. */
  readonly wake: () => void;
  readonly isServing: () => boolean;
  readonly onFailure: (error: unknown) => void;
}

/** See the file comment. */
export class TreeKeeper implements TreeWork {
  readonly #options: TreeKeeperOptions;
  readonly #settling: SettlingLine;
  readonly #pace: FlushPace;
  readonly #choice: CompactionChoice;
  readonly #gatherer: TableGatherer;
  #maintenance: Maintenance | undefined;
  #flush: Promise<void> | undefined;
  #work: Promise<void> | undefined;
  #isFlushWanted = false;
  /** There will be a look after this turn. */
  #isLookDue = false;
  #moveWanted: number | undefined;
  #isEnded = false;
  #waiting: (() => void)[] = [];

  constructor(options: TreeKeeperOptions) {
    this.#options = options;
    this.#choice = new CompactionChoice(options);
    this.#settling = new SettlingLine({
      ...options,
      onEnded: () => {
        this.#tell();
        options.wake();
      },
      onIdle: () => {
        this.#settleIdle();
      },
    });
    this.#pace = new FlushPace(options);
    this.#gatherer = new TableGatherer({
      ...options,
      onLook: () => {
        this.look();
      },
    });
  }

  /** Who writes checkpoints. Said once, before {@link look}. */
  serve(maintenance: Maintenance): void {
    this.#maintenance = maintenance;
  }

  get isFlushing(): boolean {
    return this.#flush !== undefined;
  }

  get wantedSegmentCount(): number {
    return this.#choice.wantedSegmentCount;
  }

  get isBusy(): boolean {
    // What waits for a segment waits for maintenance.
    if (this.#options.space.isWaiting) return false;
    return (
      this.#flush !== undefined ||
      this.#work !== undefined ||
      this.#isFlushWanted ||
      this.#moveWanted !== undefined ||
      this.#maintenance?.isCheckpointRunning === true
    );
  }

  /** Whether writers must wait. */
  get isStalled(): boolean {
    if (this.#flush !== undefined && this.#pace.isFlushBehind) return true;
    // Only while something is done about it.
    return this.#choice.isLevelZeroLong && this.#work !== undefined;
  }

  /** Whether puts are to be refused: level 0 is long, and damaged tables keep it from getting shorter. */
  get isBlockedByDamage(): boolean {
    return this.#choice.isBlockedByDamage;
  }

  /** Tables of the tree in which something is damaged, as far as somebody has read there. */
  get damagedTableCount(): number {
    const { catalog, tree } = this.#options;
    tree.damaged.keepOnly(catalog.version);
    return tree.damaged.count;
  }

  /** Bytes that compaction has still to write. */
  get debtBytes(): number {
    return this.#choice.debtBytes;
  }

  /** Heap at which the active memtable is flushed. */
  get memtableBytesMax(): number {
    return this.#options.settings.memtableBytes;
  }

  requestFlush(): void {
    this.#isFlushWanted = true;
    this.look();
  }

  requestSettling(): void {
    this.#settling.request();
  }

  requestTableMove(segment: number): void {
    this.#moveWanted = segment;
    this.look();
  }

  /**
   * Ends a compaction that waits for room which nothing else will make. What it has written is given
   * back. Returns whether there was one.
   */
  giveUpWork(): boolean {
    return this.#options.space.giveUp();
  }

  /** There may be more segments for tables. */
  lookForSegments(): void {
    this.#options.space.look();
    if (!this.#choice.isSpaceWanted || this.#isLookDue) return;
    // Not in this turn: it may be in the middle of a group, all of which belongs into one memtable.
    this.#isLookDue = true;
    queueMicrotask(() => {
      this.#isLookDue = false;
      this.look();
    });
  }

  /** Resolves when some work has ended; `undefined` when none is under way that can go on. */
  nextChange(): Promise<void> | undefined {
    const { space } = this.#options;
    const lineCount = [this.#flush, this.#work].filter((line) => line !== undefined).length;
    // A line that waits for a segment does not keep the other one from going on, and that one may free some.
    const goingCount = space.isWaiting ? lineCount - space.waitingCount : lineCount;
    const isSettling = this.#settling.underWay !== undefined;
    if (this.#isEnded || (goingCount <= 0 && !isSettling)) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Begins what is due. Called after each group, and whenever something has ended. */
  look(): void {
    if (this.#isEnded || !this.#options.isServing()) return;
    this.#settling.watchForIdleness();
    const isDue = this.#isFlushWanted || this.#pace.isMemtableFull;
    if (isDue && this.#flush === undefined) {
      this.#isFlushWanted = false;
      this.#beginFlush();
    }
    if (this.#work === undefined) this.#beginWork();
  }

  /**
   * Resolves when it is known what entries hide, or when a flush that would tell waits for others to free
   * a segment. Rejects with what reads reject with.
   */
  async settle(): Promise<void> {
    await this.#flushOrStuck();
    while (this.#settling.underWay !== undefined) await this.#settling.underWay;
    const generation = this.#options.catalog.active;
    await this.#settling.begin();
    if (generation.memtable.ranges.isEmpty || !this.#settling.isStillActive(generation)) return;
    this.requestFlush();
    await this.#flushOrStuck();
  }

  /**
   * Carries everything that hides something down to the last level, where little is left of it. What
   * there is no room for now goes on in the background.
   */
  async makeSpace(): Promise<void> {
    const { catalog, space } = this.#options;
    if (!catalog.active.memtable.isEmpty) {
      this.requestFlush();
      await this.#flushOrStuck();
    }
    this.#choice.wantSpace();
    // Each job carries tables down, so that there is an end.
    while (!this.#isEnded) {
      this.look();
      if (this.#work === undefined || space.isWaiting) return;
      await space.endOrWaiting(this.#work);
    }
  }

  async #flushOrStuck(): Promise<void> {
    if (this.#flush === undefined) return;
    await this.#options.space.endOrWaiting(this.#flush);
  }

  /**
   * Flushes what is in memory, and resolves when it is part of the tree, or when a flush waits for others to
   * free a segment: on a full device nobody may ever do so.
   */
  async flush(): Promise<void> {
    await this.#flushOrStuck();
    this.requestFlush();
    await this.#flushOrStuck();
  }

  /** Throws once this has been ended: nobody wants what is being made any more. */
  assertGoing(): void {
    if (!this.#isEnded) return;
    throw new EngineError('Writing a table: the engine is being closed.', {
      code: 'ENGINE_CLOSED',
    });
  }

  /** Stops, and resolves when nothing is under way any more. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#settling.end();
    this.#gatherer.end();
    this.#options.space.look();
    await Promise.all([this.#flush, this.#work, this.#settling.underWay?.catch(() => undefined)]);
    this.#tell();
  }

  /** Resolves when neither flush nor compaction is due or under way. */
  async rest(): Promise<void> {
    while (this.#flush !== undefined || this.#work !== undefined) {
      await Promise.all([this.#flush, this.#work]);
    }
  }

  #beginFlush(): void {
    const { catalog, log, counters } = this.#options;
    const generation = catalog.rotate(log.position);
    this.#pace.rotated();
    this.#flush = this.#guarded(this.#runFlush(generation)).then(() => {
      counters.memtableFlushCount++;
      this.#flush = undefined;
      this.#ended();
    });
  }

  async #runFlush(generation: Generation): Promise<void> {
    const { settler, counters, clock } = this.#options;
    const startMs = clock.monotonicMs();
    await this.#settling.underWay?.catch(() => undefined);
    const onEntries = (doneCount: number): void => {
      this.#pace.flushed(doneCount);
      if (this.#waiting.length > 0 && !this.isStalled) this.#tell();
    };
    const tables = await flushMemtable({ ...this.#jobOptions(), settler, onEntries }, generation);
    counters.memtableFlushLatency.note(clock.monotonicMs() - startMs);
    counters.memtableBytesFlushed += generation.memtable.dataBytes;
    counters.flushBytesWritten += sizeBytesOf(tables);
    this.#gatherer.wrote(sizeBytesOf(tables));
  }

  #beginWork(): void {
    const segment = this.#moveWanted;
    if (segment !== undefined) {
      this.#moveWanted = undefined;
      this.#runWork(this.#moveTables(segment));
      return;
    }
    const job = this.#choice.next();
    if (job === 'no-room') return;
    if (job !== 'nothing-due') {
      this.#runWork(this.#compact(job));
      return;
    }
    const sparse = this.#gatherer.next();
    if (sparse !== undefined) this.#runWork(this.#moveTables(sparse));
  }

  #runWork(work: Promise<void>): void {
    this.#work = this.#guarded(work).then(() => {
      this.#work = undefined;
      this.#ended();
    });
  }

  async #compact(job: Compaction): Promise<void> {
    const { catalog, counters, tree, compute, switches, clock } = this.#options;
    const { cache } = tree;
    const startMs = clock.monotonicMs();
    const inputs = job.inputs.flatMap(({ tables }) => tables);
    let tables: readonly TableMeta[] | undefined = inputs;
    if (!job.isMove) {
      const assertGoing = (): void => {
        this.assertGoing();
      };
      try {
        tables = await compact(
          { ...this.#jobOptions(), compute, counters, assertGoing },
          switches.dropDeletesEarly === true ? { ...job, dropsDeletes: true } : job,
        );
      } catch (error) {
        this.#choice.noteDamage(error, inputs);
        return;
      }
    }
    if (tables === undefined) return;
    this.#choice.finished();
    const remove = inputs.map(({ number }) => number);
    const version =
      job.outputLevel === 0
        ? catalog.version.withMergedRuns(remove, tables)
        : catalog.version.withChange({ add: [{ level: job.outputLevel, tables }], remove });
    catalog.installChange(version, job.isMove ? [] : inputs);
    counters.compactionCount++;
    if (job.isMove) return;
    counters.compactionLatency.note(clock.monotonicMs() - startMs);
    counters.compactionBytesWritten += sizeBytesOf(tables);
    this.#gatherer.wrote(sizeBytesOf(tables));
    for (const number of remove) cache.drop(number);
  }

  async #moveTables(segment: number): Promise<void> {
    const { catalog, space, tree } = this.#options;
    await moveTables({ catalog, space, reader: tree.tables }, segment);
  }

  #jobOptions(): TableJobOptions {
    const { catalog, space, log, clock, counters, settings, tree } = this.#options;
    const pacer = new Pacer(clock, counters);
    const { tableBytes, compaction } = settings;
    const { tables: reader } = tree;
    return { catalog, space, pacer, seed: log.seed, tableBytes, settings: compaction, reader };
  }

  async #guarded(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      // A bug of ours ends the process; what the device did ends this engine.
      if (error instanceof AssertionError) throw error;
      if (!this.#isEnded) this.#options.onFailure(error);
    }
  }

  #ended(): void {
    this.#maintenance?.requestCheckpoint();
    this.#tell();
    if (this.#isEnded || !this.#options.isServing()) return;
    this.#options.wake();
    this.look();
  }

  #tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #settleIdle(): void {
    this.settle().then(
      () => {
        this.#options.wake();
      },
      // A read that fails now fails for whoever needs it, too.
      () => undefined,
    );
  }
}

function sizeBytesOf(tables: readonly TableMeta[]): number {
  return tables.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
}
