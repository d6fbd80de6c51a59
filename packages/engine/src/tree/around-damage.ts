/**
 * Chooses what is compacted while some tables are damaged, so that the others do not wait for them.
 *
 * A damaged table cannot be read whole, and so cannot be merged; but it can be moved to a level further
 * down where nothing overlaps it, as any table can. So it is taken out of level 0 as soon as all that is
 * older there has gone down, and sinks. What lies above it, at any level, cannot be merged into it; what
 * comes to it from level 0 goes to the level just above, where nothing of these keys is: levels that are
 * not in use stand ready for that. There it is merged with what comes later, so that no more than one
 * copy of the keys around a damaged table waits for the repair.
 *
 * The rule is that of every job: it takes all that is older in its range from its own level, and passes only
 * levels that have nothing in its range. So nothing older is ever left above something newer.
 *
 * Where all levels between level 0 and the damage are taken, runs of level 0 are merged with each other.
 */
import type { DamagedTables } from '../damaged-tables.ts';
import type { TableMeta } from '../table/table-meta.ts';
import {
  boundsOf,
  jobOf,
  levelScore,
  levelTargets,
  mergeWithinLevelZero,
  sliceAfter,
  sliceOf,
} from './compaction-picker.ts';
import type {
  Bounds,
  Compaction,
  CompactionInput,
  CompactionSettings,
} from './compaction-picker.ts';
import { firstEndingPast, LEVEL_LAST, overlapping, overlaps } from './version.ts';
import type { Run, Version } from './version.ts';

/** See the file comment. Keeps where it is in each level; that is lost with the process, and no harm. */
export class PickerAroundDamage {
  readonly #settings: CompactionSettings;
  readonly #damaged: DamagedTables;
  /** Where the next job of each level begins. */
  readonly #pointers = new Array<string>(LEVEL_LAST + 1).fill('');
  /** For what there was no job when it was looked at last. */
  #idleFor = '';

  constructor(settings: CompactionSettings, damaged: DamagedTables) {
    this.#settings = settings;
    this.#damaged = damaged;
  }

  /** As {@link CompactionPicker.pick}: a job that reads no table which is known to be damaged. */
  pick(version: Version, isSpaceWanted = false): Compaction | undefined {
    const asked = `${version.number} ${this.#damaged.revision} ${isSpaceWanted ? 1 : 0}`;
    if (asked === this.#idleFor) return undefined;
    const job = this.#pickAny(version, isSpaceWanted);
    if (job === undefined) this.#idleFor = asked;
    return job;
  }

  #pickAny(version: Version, isSpaceWanted: boolean): Compaction | undefined {
    const targets = levelTargets(version, this.#settings);
    const due: { readonly level: number; readonly score: number }[] = [];
    for (let level = 0; level < LEVEL_LAST; level++) {
      const score = levelScore(version, level, targets, this.#settings);
      if (score >= (isSpaceWanted ? Number.MIN_VALUE : 1)) due.push({ level, score });
    }
    due.sort((left, right) => (left.score < right.score ? 1 : -1));
    for (const { level } of due) {
      const deepest = Math.max(level + 1, targets.baseLevel);
      const job =
        level === 0
          ? this.#pickLevelZero(version, deepest)
          : this.#pickLevel(version, level, deepest);
      if (job === undefined) continue;
      this.#pointers[level] = boundsOf(job.inputs.filter((input) => input.level === level)).end;
      return job;
    }
    const { levelZeroRunsMax, levelZeroJobBytesMax } = this.#settings;
    const runs = version.levels[0]?.runs ?? [];
    if (runs.length < levelZeroRunsMax) return undefined;
    return mergeWithinLevelZero(runs, levelZeroJobBytesMax, (run) => this.#isAnyDamaged(run));
  }

  #isAnyDamaged(tables: Run): boolean {
    return tables.some(({ number }) => this.#damaged.has(number));
  }

  /** The slices of level 0 from the pointer on, then those before it, until one of them gives a job. */
  #pickLevelZero(version: Version, deepest: number): Compaction | undefined {
    const runs = version.levels[0]?.runs ?? [];
    const pointer = this.#pointers[0] as string;
    for (const isBefore of [false, true]) {
      let slice = sliceAfter(runs, isBefore ? '' : pointer);
      while (slice !== undefined) {
        if (isBefore && slice.smallest >= pointer) break;
        const job = this.#pickSlice(version, runs, slice, deepest);
        if (job !== undefined) return job;
        slice = sliceAfter(runs, slice.end);
      }
    }
    return undefined;
  }

  #pickSlice(
    version: Version,
    runs: readonly Run[],
    slice: Bounds,
    deepest: number,
  ): Compaction | undefined {
    const inputs = sliceOf(runs, slice);
    const newest = inputs.findLastIndex(({ tables }) => this.#isAnyDamaged(tables));
    // What is older than the damage can go; then the damaged table can, and what is newer after it.
    const older = inputs.slice(newest + 1).filter(({ tables }) => tables.length > 0);
    if (older.length === 0) return this.#pickOldest(version, inputs, deepest);
    const job = this.#soundJob(version, 0, older, deepest);
    if (job === undefined || job.inputBytes > this.#settings.levelZeroJobBytesMax) {
      return this.#pickOldest(version, older, deepest);
    }
    return newest < 0 ? this.#widened(version, runs, slice, job, deepest) : job;
  }

  /** A job of a sound slice, with as many of the next slices as fit and go to the same level. */
  #widened(
    version: Version,
    runs: readonly Run[],
    slice: Bounds,
    job: Compaction,
    deepest: number,
  ): Compaction {
    let widest = job;
    let { end } = slice;
    for (;;) {
      const more = sliceAfter(runs, end);
      if (more === undefined) return widest;
      const own = sliceOf(runs, more);
      if (own.some(({ tables }) => this.#isAnyDamaged(tables))) return widest;
      // What can go to the last level is not to be held up above it by its neighbour.
      const alone = this.#soundJob(version, 0, own, deepest);
      if (alone?.outputLevel !== job.outputLevel) return widest;
      const inputs = sliceOf(runs, { smallest: slice.smallest, end: more.end });
      const larger = this.#soundJob(version, 0, inputs, deepest);
      if (larger === undefined || !isLike(larger, job)) return widest;
      if (larger.inputBytes > this.#settings.levelZeroJobBytesMax) return widest;
      widest = larger;
      end = more.end;
    }
  }

  /**
   * A table of the oldest run of some slice, and of the runs after it what lies in its bounds, up to the
   * first run that is damaged there or has a table that crosses them. A damaged one goes alone.
   */
  #pickOldest(
    version: Version,
    slice: readonly CompactionInput[],
    deepest: number,
  ): Compaction | undefined {
    const runs = slice.map(({ tables }) => tables).filter((run) => run.length > 0);
    for (const first of runs.at(-1) ?? []) {
      if (this.#damaged.has(first.number)) {
        const sinking = sinkingJob(version, 0, first, deepest);
        if (sinking !== undefined) return sinking;
        continue;
      }
      const inputs: CompactionInput[] = [];
      for (const run of runs.toReversed()) {
        const tables = overlapping(run, first.smallest, first.end);
        const isCrossing = tables.some(
          (table) => table.smallest < first.smallest || table.end > first.end,
        );
        if (isCrossing || this.#isAnyDamaged(tables)) break;
        inputs.unshift({ level: 0, tables });
      }
      const job = this.#soundJob(version, 0, inputs, deepest);
      if (job !== undefined) return job;
    }
    return undefined;
  }

  /** Tables of a level from the pointer on, all around: the first that give a job, as many as fit. */
  #pickLevel(version: Version, level: number, deepest: number): Compaction | undefined {
    const run = version.levels[level]?.runs[0] ?? [];
    const start = firstEndingPast(run, this.#pointers[level] as string);
    for (let count = 0; count < run.length; count++) {
      const at = (start + count) % run.length;
      const job = this.#pickFrom(version, { level, run, at }, deepest);
      if (job !== undefined) return job;
    }
    return undefined;
  }

  #pickFrom(
    version: Version,
    { level, run, at }: { readonly level: number; readonly run: Run; readonly at: number },
    deepest: number,
  ): Compaction | undefined {
    const table = run[at];
    if (table === undefined) return undefined;
    if (this.#damaged.has(table.number)) return sinkingJob(version, level, table, deepest);
    let job = this.#soundJob(version, level, [{ level, tables: [table] }], deepest);
    if (job === undefined) return undefined;
    for (let end = at + 2; end <= run.length; end++) {
      const tables = run.slice(at, end);
      if (this.#isAnyDamaged(tables.slice(-1))) break;
      const larger = this.#soundJob(version, level, [{ level, tables }], deepest);
      if (larger === undefined || !isLike(larger, job)) break;
      if (larger.inputBytes > this.#settings.jobBytesMax) break;
      job = larger;
    }
    return job;
  }

  /**
   * The job that takes these sound tables as far down as nothing of their range is passed; where they would
   * meet a damaged table, to the level above it. Undefined where that is their own.
   */
  #soundJob(
    version: Version,
    level: number,
    inputs: readonly CompactionInput[],
    deepest: number,
  ): Compaction | undefined {
    const { smallest, end } = boundsOf(inputs);
    let outputLevel = level + 1;
    while (outputLevel < deepest && !hasAny(version, outputLevel, smallest, end)) outputLevel++;
    const below = overlapping(runOf(version, outputLevel), smallest, end);
    if (this.#isAnyDamaged(below)) outputLevel--;
    if (outputLevel === level) return undefined;
    return jobOf(version, level, outputLevel, inputs, runOf(version, outputLevel));
  }
}

/** The job that moves a table down as far as nothing overlaps it; undefined when that is nowhere. */
function sinkingJob(
  version: Version,
  level: number,
  table: TableMeta,
  deepest: number,
): Compaction | undefined {
  const { smallest, end, sizeBytes: inputBytes } = table;
  let outputLevel = level;
  while (outputLevel < deepest && !hasAny(version, outputLevel + 1, smallest, end)) outputLevel++;
  if (outputLevel === level) return undefined;
  const inputs = [{ level, tables: [table] }];
  return { level, outputLevel, inputs, dropsDeletes: false, isMove: true, inputBytes };
}

function isLike(left: Compaction, right: Compaction): boolean {
  return left.outputLevel === right.outputLevel && left.isMove === right.isMove;
}

/** The run of a level below level 0. */
function runOf(version: Version, level: number): Run {
  return version.levels[level]?.runs[0] ?? [];
}

function hasAny(version: Version, level: number, from: string, to: string): boolean {
  return overlaps(runOf(version, level), from, to);
}
