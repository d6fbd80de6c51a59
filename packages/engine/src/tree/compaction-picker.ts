/**
 * Chooses what is compacted next: leveled compaction with sizes counted back from the last level.
 *
 * The last level is as large as it is; each level above it may have a part of `1 / fanout` of the one
 * below. The *base level*, where data from level 0 arrives, is the highest one whose part is still not
 * smaller than what level 0 takes: no level is there for less than one of its compactions. So about
 * nine tenths of the tree lie in the last level, however large it is, and what is obsolete is bounded
 * by what lies above: the space amplification.
 *
 * Jobs are slices of the key space. Within a level a pointer goes round in key order. Level 0 is taken
 * through all of its runs at once, in a slice that no table crosses; that slices are narrow is up to the
 * flush, which cuts its tables at `flushCuts`. So level 0 is emptied in passing, a slice at a time,
 * while new runs come in: there is no moment at which all of it must be rewritten.
 *
 * A job takes, for all that it moves, everything older in the same key range from its own level and
 * overlapping tables of the output level: nothing older is ever left above something newer.
 *
 * While tables are damaged, jobs are chosen around them: see `around-damage.ts`.
 *
 * Source: "Dynamic Level Size" of RocksDB; flush splits as in Pebble; docs/decisions/0075 for the figures.
 */
import { assert } from '@dozo/base';
import { firstEndingPast, LEVEL_LAST, overlapping, overlaps, sizeBytesOf } from './version.ts';
import type { Run, Version } from './version.ts';
import type { TableMeta } from '../table/table-meta.ts';

export interface CompactionSettings {
  /** Level 0 is compacted from this size on: some flushes. */
  readonly levelZeroBytes: number;
  /** Level 0 is compacted from this count of runs on, however small they are: reads ask each. */
  readonly levelZeroRunsMax: number;
  /** How much larger each level is than the one above. */
  readonly fanout: number;
  /** Bytes of a job's inputs at most: its output needs as much free space while they still exist. */
  readonly jobBytesMax: number;
  /** The same for a job from level 0, which is larger for the same effect. */
  readonly levelZeroJobBytesMax: number;
}

/** How much larger each level is than the one above: what lies above the last level is a ninth of it. */
const FANOUT = 10;

/**
 * Flushes that level 0 holds. With fewer a read asks fewer runs and more is rewritten: the figures are
 * in docs/decisions/0075.
 */
const LEVEL_ZERO_FLUSHES = 4;

/** Runs of level 0: those of twice {@link LEVEL_ZERO_FLUSHES} while a pass goes on, and some small ones. */
const LEVEL_ZERO_RUNS_MAX = 12;

/** Fewer runs are not merged within level 0: little would be won. */
const MERGED_RUNS_MIN = 4;

/** Tables of a job: what fits a segment. */
const JOB_TABLES = 16;

/** Tables of a job from level 0. */
const LEVEL_ZERO_JOB_TABLES = 32;

/**
 * The settings of an engine.
 *
 * @param tableBytes size of a table as the builder aims at.
 * @param flushBytes size of what a flush writes, about.
 */
export function compactionSettingsOf(tableBytes: number, flushBytes: number): CompactionSettings {
  return {
    levelZeroBytes: LEVEL_ZERO_FLUSHES * flushBytes,
    levelZeroRunsMax: LEVEL_ZERO_RUNS_MAX,
    fanout: FANOUT,
    jobBytesMax: JOB_TABLES * tableBytes,
    levelZeroJobBytesMax: LEVEL_ZERO_JOB_TABLES * tableBytes,
  };
}

/** Tables of a job that lie in one run. */
export interface CompactionInput {
  readonly level: number;
  readonly tables: Run;
}

/** A job. */
export interface Compaction {
  readonly level: number;
  readonly outputLevel: number;
  /** One for each run, newest first; none is empty. */
  readonly inputs: readonly CompactionInput[];
  /** Nothing older is left for these keys: deletes and range deletes end here. */
  readonly dropsDeletes: boolean;
  /** The tables can go to the output level as they are: nothing there overlaps, and they do not each other. */
  readonly isMove: boolean;
  readonly inputBytes: number;
}

/** Which levels are in use, and how large they may be. */
export interface LevelTargets {
  /** Where data from level 0 arrives. */
  readonly baseLevel: number;
  /** Bytes for each level; 0 above the base level, infinite for the last. */
  readonly bytes: readonly number[];
}

/** The sizes that the levels of a version may have. */
export function levelTargets(version: Version, settings: CompactionSettings): LevelTargets {
  const bytes = new Array<number>(LEVEL_LAST + 1).fill(0);
  bytes[LEVEL_LAST] = Number.POSITIVE_INFINITY;
  let baseLevel = LEVEL_LAST;
  let target = (version.levels[LEVEL_LAST]?.sizeBytes ?? 0) / settings.fanout;
  while (baseLevel > 1 && target >= settings.levelZeroBytes) {
    baseLevel--;
    bytes[baseLevel] = target;
    target /= settings.fanout;
  }
  return { baseLevel, bytes };
}

/** See the file comment. Keeps where it is in each level; that is lost with the process, and no harm. */
export class CompactionPicker {
  readonly #settings: CompactionSettings;
  /** Where the next job of each level begins. */
  readonly #pointers = new Array<string>(LEVEL_LAST + 1).fill('');

  constructor(settings: CompactionSettings) {
    assert(settings.fanout > 1, 'levels grow');
    this.#settings = settings;
  }

  /**
   * The job that is needed most; undefined when none is. Tables of a job under way must not be picked.
   *
   * @param isSpaceWanted whether anything above the last level is to go down, for the sake of what it hides.
   */
  pick(version: Version, isSpaceWanted = false): Compaction | undefined {
    const targets = levelTargets(version, this.#settings);
    let worst = 0;
    let scoreMax = 0;
    for (let level = 0; level < LEVEL_LAST; level++) {
      const score = levelScore(version, level, targets, this.#settings);
      if (score <= scoreMax) continue;
      worst = level;
      scoreMax = score;
    }
    if (scoreMax < (isSpaceWanted ? Number.MIN_VALUE : 1)) return undefined;
    const next = outputLevelOf(version, worst, targets.baseLevel);
    const job =
      worst === 0 ? this.#pickLevelZero(version, next) : this.#pickLevel(version, worst, next);
    this.#pointers[worst] = boundsOf(job.inputs.filter((input) => input.level === worst)).end;
    return job;
  }

  /**
   * Neighbouring runs of level 0 to be merged into one of them, without the level below: for when there is
   * no room for more. As many as fit; `undefined` where that are few.
   *
   * @param isLeftOut whether a run must stay as it is.
   */
  pickWithinLevelZero(
    version: Version,
    bytesMax: number,
    isLeftOut: (run: Run) => boolean = () => false,
  ): Compaction | undefined {
    return mergeWithinLevelZero(version.levels[0]?.runs ?? [], bytesMax, isLeftOut);
  }

  /** How far a version is from where it should be: bytes that compaction will about have to write. */
  debtBytes(version: Version): number {
    const targets = levelTargets(version, this.#settings);
    let debt = 0;
    let excess = 0;
    for (let level = 0; level < LEVEL_LAST; level++) {
      const { sizeBytes } = version.levels[level] ?? { sizeBytes: 0 };
      const allowed =
        level === 0 ? this.#settings.levelZeroBytes : (targets.bytes[level] as number);
      excess = Math.max(0, sizeBytes + excess - allowed);
      const below = version.levels[outputLevelOf(version, level, targets.baseLevel)];
      const ratio = sizeBytes === 0 ? 0 : Math.min(10, (below?.sizeBytes ?? 0) / sizeBytes);
      debt += excess * (1 + ratio);
    }
    return debt;
  }

  /** All runs of level 0 in a slice that begins at the pointer. */
  #pickLevelZero(version: Version, outputLevel: number): Compaction {
    const runs = version.levels[0]?.runs ?? [];
    const output = version.levels[outputLevel]?.runs[0] ?? [];
    const bytesMax = this.#settings.levelZeroJobBytesMax;
    let slice = firstSlice(runs, this.#pointers[0] as string);
    let job = jobOf(version, 0, outputLevel, sliceOf(runs, slice), output);
    if (job.inputBytes > bytesMax) {
      // Too wide, as tables were not cut where slices end: only as many of the oldest runs as fit.
      return this.#pickOldest(version, outputLevel, runs, output);
    }
    for (;;) {
      const more = sliceAfter(runs, slice.end);
      if (more === undefined) return job;
      const wide = { smallest: slice.smallest, end: more.end };
      const larger = jobOf(version, 0, outputLevel, sliceOf(runs, wide), output);
      if (larger.inputBytes > bytesMax || larger.isMove !== job.isMove) return job;
      slice = wide;
      job = larger;
    }
  }

  /**
   * A table of the oldest run, and of the runs after it what lies in its bounds, up to the first run
   * with a table that crosses them: less effect for the work, but small.
   */
  #pickOldest(
    version: Version,
    outputLevel: number,
    runs: readonly Run[],
    output: Run,
  ): Compaction {
    const oldest = runs.at(-1) ?? [];
    const first = oldest[firstEndingPast(oldest, this.#pointers[0] as string)] ?? oldest[0];
    assert(first !== undefined, 'runs have tables');
    const inputs: CompactionInput[] = [];
    for (const run of runs.toReversed()) {
      const tables = overlapping(run, first.smallest, first.end);
      // A newer run must not go where this one would stay above it.
      if (tables.some((table) => table.smallest < first.smallest || table.end > first.end)) break;
      inputs.unshift({ level: 0, tables });
    }
    return jobOf(version, 0, outputLevel, inputs, output);
  }

  /** Tables of a level from the pointer on, as many as fit a job. */
  #pickLevel(version: Version, level: number, outputLevel: number): Compaction {
    const run = version.levels[level]?.runs[0] ?? [];
    const output = version.levels[outputLevel]?.runs[0] ?? [];
    let first = firstEndingPast(run, this.#pointers[level] as string);
    if (first === run.length) first = 0;
    let count = 1;
    let job = jobOf(
      version,
      level,
      outputLevel,
      [{ level, tables: run.slice(first, first + 1) }],
      output,
    );
    while (first + count < run.length) {
      count++;
      const tables = run.slice(first, first + count);
      const larger = jobOf(version, level, outputLevel, [{ level, tables }], output);
      if (larger.inputBytes > this.#settings.jobBytesMax || larger.isMove !== job.isMove) break;
      job = larger;
    }
    return job;
  }
}

/** How much a level needs a job; from 1 on it does. */
export function levelScore(
  version: Version,
  level: number,
  targets: LevelTargets,
  { levelZeroBytes, levelZeroRunsMax }: CompactionSettings,
): number {
  const { runs, sizeBytes } = version.levels[level] ?? { runs: [], sizeBytes: 0 };
  if (level === 0) return Math.max(runs.length / levelZeroRunsMax, sizeBytes / levelZeroBytes);
  if (sizeBytes === 0) return 0;
  // What stands above the base level is there from larger times, in the way of level 0: it goes first.
  if (level < targets.baseLevel) return Number.POSITIVE_INFINITY;
  return sizeBytes / (targets.bytes[level] as number);
}

/** See `CompactionPicker.pickWithinLevelZero`. */
export function mergeWithinLevelZero(
  runs: readonly Run[],
  bytesMax: number,
  isLeftOut: (run: Run) => boolean,
): Compaction | undefined {
  let best: { readonly from: number; readonly to: number } = { from: 0, to: 0 };
  let sizeBytes = 0;
  let from = 0;
  for (const [at, run] of runs.entries()) {
    if (isLeftOut(run)) {
      from = at + 1;
      sizeBytes = 0;
      continue;
    }
    sizeBytes += sizeBytesOf(run);
    while (sizeBytes > bytesMax) sizeBytes -= sizeBytesOf(runs[from++] ?? []);
    if (at + 1 - from > best.to - best.from) best = { from, to: at + 1 };
  }
  if (best.to - best.from < MERGED_RUNS_MIN) return undefined;
  const inputs = runs.slice(best.from, best.to).map((tables) => ({ level: 0, tables }));
  const inputBytes = inputs.reduce((bytes, { tables }) => bytes + sizeBytesOf(tables), 0);
  return { level: 0, outputLevel: 0, inputs, dropsDeletes: false, isMove: false, inputBytes };
}

/** Where the tables of a level go: never past a level that has tables, nor past the base level. */
export function outputLevelOf(version: Version, level: number, baseLevel: number): number {
  let next = level + 1;
  while (next < baseLevel && version.levels[next]?.tableCount === 0) next++;
  return next;
}

/** Keys in `[smallest, end)`. */
export interface Bounds {
  readonly smallest: string;
  readonly end: string;
}

/** The slice of level 0 that contains the first table at or past a key; from the begin if there is none. */
function firstSlice(runs: readonly Run[], key: string): Bounds {
  const slice = sliceAfter(runs, key) ?? sliceAfter(runs, '');
  assert(slice !== undefined, 'level 0 has tables');
  return slice;
}

/** The smallest slice of level 0 past `key` that no table crosses. */
export function sliceAfter(runs: readonly Run[], key: string): Bounds | undefined {
  let first: TableMeta | undefined;
  for (const run of runs) {
    const table = run[firstEndingPast(run, key)];
    if (table === undefined) continue;
    if (first === undefined || table.smallest < first.smallest) first = table;
  }
  return first === undefined ? undefined : widened(runs, first);
}

/** Bounds widened until no table of any run crosses them. */
function widened(runs: readonly Run[], bounds: Bounds): Bounds {
  let { smallest, end } = bounds;
  for (let isWider = true; isWider;) {
    isWider = false;
    for (const run of runs) {
      const tables = overlapping(run, smallest, end);
      const first = tables[0];
      const last = tables.at(-1);
      if (first === undefined || last === undefined) continue;
      if (first.smallest >= smallest && last.end <= end) continue;
      if (first.smallest < smallest) smallest = first.smallest;
      if (last.end > end) end = last.end;
      isWider = true;
    }
  }
  return { smallest, end };
}

/** What each run has of a slice. */
export function sliceOf(runs: readonly Run[], { smallest, end }: Bounds): CompactionInput[] {
  return runs.map((run) => ({ level: 0, tables: overlapping(run, smallest, end) }));
}

/** The job that takes these tables and what they overlap in the output level. */
export function jobOf(
  version: Version,
  level: number,
  outputLevel: number,
  sources: readonly CompactionInput[],
  output: Run,
): Compaction {
  const inputs = sources.filter((input) => input.tables.length > 0);
  const { smallest, end } = boundsOf(inputs);
  const below = overlapping(output, smallest, end);
  // The tables of the output level reach further, and have deletes too.
  const all = boundsOf([...inputs, { level: outputLevel, tables: below }]);
  const dropsDeletes = isLastFor(version, outputLevel, all.smallest, all.end);
  const upper = inputs.flatMap((input) => input.tables);
  const hasDeletes = upper.some((table) => table.deleteCount + table.rangeCount > 0);
  const isMove = below.length === 0 && !(dropsDeletes && hasDeletes) && areApart(upper);
  if (below.length > 0) inputs.push({ level: outputLevel, tables: below });
  const inputBytes = sizeBytesOf(upper) + sizeBytesOf(below);
  return { level, outputLevel, inputs, dropsDeletes, isMove, inputBytes };
}

/** Whether no two of the tables overlap. */
function areApart(tables: readonly TableMeta[]): boolean {
  const sorted = tables.toSorted((a, b) => (a.smallest < b.smallest ? -1 : 1));
  return sorted.every((table, at) => at === 0 || table.smallest >= (sorted[at - 1]?.end ?? ''));
}

/** Whether no level below the output level has tables for these keys. */
function isLastFor(version: Version, outputLevel: number, from: string, to: string): boolean {
  for (let level = outputLevel + 1; level <= LEVEL_LAST; level++) {
    const run = version.levels[level]?.runs[0];
    if (run !== undefined && overlaps(run, from, to)) return false;
  }
  return true;
}

/** What the tables of a job's inputs reach over together. */
export function boundsOf(inputs: readonly CompactionInput[]): Bounds {
  let smallest: string | undefined;
  let end = '';
  for (const { tables } of inputs) {
    const first = tables[0];
    const last = tables.at(-1);
    if (first === undefined || last === undefined) continue;
    if (smallest === undefined || first.smallest < smallest) smallest = first.smallest;
    if (last.end > end) end = last.end;
  }
  assert(smallest !== undefined, 'a job has tables');
  return { smallest, end };
}
