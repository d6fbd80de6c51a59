/**
 * A version: which tables make up the tree at one moment. Never changed; a change gives the next one.
 *
 * Level 0 has runs that may overlap each other, newest first: one comes with every flush. Every other
 * level has one run at most. A run is tables in key order whose bounds `[smallest, end)` do not overlap.
 * What a level knows of a key is newer than what the levels below it, with higher numbers, know.
 *
 * Data arrives at the last level in the end. The levels between it and level 0 come into use one by one,
 * from the last upwards, when there is so much data that a step between sizes becomes too large: see the
 * compaction picker. A small tree has level 0 and the last level.
 */
import { assert } from '@dozo/base';
import { RunFinder } from './run-finder.ts';
import type { TableMeta } from '../table/table-meta.ts';

/**
 * Levels of a tree. With a first level of 256 MiB and steps of ten, six of them below level 0 hold
 * 25 TiB of keys and small values.
 */
export const LEVEL_COUNT = 7;

/** The level at which data arrives in the end. */
export const LEVEL_LAST = LEVEL_COUNT - 1;

/** Tables in key order that do not overlap. */
export type Run = readonly TableMeta[];

/** The runs of a level: newest first in level 0, at most one in the others. */
export interface Level {
  readonly runs: readonly Run[];
  readonly tableCount: number;
  readonly sizeBytes: number;
}

/** Tables that come to a level: in level 0 as a run of their own that is the newest, else into the run. */
export interface AddedTables {
  readonly level: number;
  /** In key order, not overlapping. */
  readonly tables: readonly TableMeta[];
}

/** What a flush or a compaction changes. */
export interface VersionChange {
  readonly add: readonly AddedTables[];
  /** The numbers of tables that go. All of them must be there. */
  readonly remove: readonly number[];
}

const NO_LEVEL: Level = { runs: [], tableCount: 0, sizeBytes: 0 };

/** See the file comment. */
export class Version {
  /** Goes up by one with each change. */
  readonly number: number;
  /** All {@link LEVEL_COUNT} of them, empty or not. */
  readonly levels: readonly Level[];
  /** All runs, newest first: the order in which a read asks them. */
  readonly runs: readonly Run[];
  /** Finds tables of the run at the same place in {@link runs}. */
  readonly finders: readonly RunFinder[];
  #largestTableBytes: number | undefined;

  /** Use `empty`, `of` and `withChange`. */
  constructor(number: number, levels: readonly Level[]) {
    assert(levels.length === LEVEL_COUNT, 'a version has all levels');
    this.number = number;
    this.levels = levels;
    this.runs = levels.flatMap((level) => level.runs);
    this.finders = this.runs.map(finderOf);
  }

  /** A tree without tables. */
  static empty(): Version {
    return new Version(0, new Array<Level>(LEVEL_COUNT).fill(NO_LEVEL));
  }

  /**
   * The version with these runs, for each level from 0 on: levels that are not given are empty. What comes
   * from a device is looked at with {@link problemInLevels} first: here a problem is an assertion.
   */
  static of(number: number, levels: readonly (readonly Run[])[]): Version {
    const problem = problemInLevels(levels);
    assert(problem === undefined, `the levels of a version: ${problem ?? ''}`);
    const full: Level[] = [];
    for (let level = 0; level < LEVEL_COUNT; level++) full.push(levelOf(levels[level] ?? []));
    return new Version(number, full);
  }

  /** Tables of all levels. */
  get tableCount(): number {
    return this.levels.reduce((count, level) => count + level.tableCount, 0);
  }

  /** Bytes on the device of all tables. */
  get sizeBytes(): number {
    return this.levels.reduce((bytes, level) => bytes + level.sizeBytes, 0);
  }

  /** Bytes on the device of the largest table; 0 without tables. Counted once, when it is asked for. */
  get largestTableBytes(): number {
    if (this.#largestTableBytes !== undefined) return this.#largestTableBytes;
    let bytes = 0;
    for (const { sizeBytes } of this.tables()) bytes = Math.max(bytes, sizeBytes);
    this.#largestTableBytes = bytes;
    return bytes;
  }

  /** All tables, from the newest level to the last, in key order within a run. */
  *tables(): Generator<TableMeta> {
    for (const level of this.levels) {
      for (const run of level.runs) yield* run;
    }
  }

  /** The next version, in which neighbouring runs of level 0 have become one: all tables of them are given. */
  withMergedRuns(merged: readonly number[], tables: readonly TableMeta[]): Version {
    const gone = new Set(merged);
    const runs: Run[] = [];
    let isPlaced = tables.length === 0;
    for (const run of this.levels[0]?.runs ?? []) {
      if (!gone.has(run[0]?.number ?? 0)) {
        runs.push(run);
        continue;
      }
      if (!isPlaced) runs.push(tables);
      isPlaced = true;
      for (const { number } of run) assert(gone.delete(number), 'runs are merged whole');
    }
    assert(gone.size === 0 && isPlaced, 'the runs that are merged are there');
    return new Version(this.number + 1, [levelOf(runs), ...this.levels.slice(1)]);
  }

  /** The next version, in which these tables, by their numbers, lie at other places. */
  withPlaces(moved: ReadonlyMap<number, TableMeta>): Version {
    const levels = this.levels.map(({ runs }) =>
      levelOf(runs.map((run) => run.map((table) => moved.get(table.number) ?? table))),
    );
    return new Version(this.number + 1, levels);
  }

  /** The next version. The levels that do not change are shared with this one. */
  withChange({ add, remove }: VersionChange): Version {
    const gone = new Set(remove);
    assert(gone.size === remove.length, 'a table goes once');
    const levels = this.levels.map((level, number) => {
      const added = add.filter((tables) => tables.level === number && tables.tables.length > 0);
      return changedLevel(level, number, added, gone);
    });
    assert(gone.size === 0, 'the tables that go are there');
    return new Version(this.number + 1, levels);
  }
}

const findersOfRuns = new WeakMap<Run, RunFinder>();

/** Made once for each run, which many versions may have. */
function finderOf(run: Run): RunFinder {
  let finder = findersOfRuns.get(run);
  if (finder === undefined) {
    finder = new RunFinder(run);
    findersOfRuns.set(run, finder);
  }
  return finder;
}

const rangesOfRuns = new WeakMap<Run, boolean>();

/** Whether a table of the run has range deletes. Counted once for each run. */
export function hasRanges(run: Run): boolean {
  const known = rangesOfRuns.get(run);
  if (known !== undefined) return known;
  const answer = run.some((table) => table.rangeCount > 0);
  rangesOfRuns.set(run, answer);
  return answer;
}

/** Whether a table of the run has a part in `[from, to)`. */
export function overlaps(run: Run, from: string, to: string | undefined): boolean {
  const first = run[firstEndingPast(run, from)];
  return first !== undefined && (to === undefined || first.smallest < to);
}

/** The tables of a run whose bounds have a part in `[from, to)`; `to` undefined: without an end. */
export function overlapping(run: Run, from: string, to: string | undefined): Run {
  const first = firstEndingPast(run, from);
  const end = to === undefined ? run.length : firstFrom(run, to);
  return end <= first ? [] : run.slice(first, end);
}

/** The place of the first table that ends past `key`; the length of the run if none does. */
export function firstEndingPast(run: Run, key: string): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((run[middle] as TableMeta).end <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Bytes on the device of some tables. */
export function sizeBytesOf(tables: readonly TableMeta[]): number {
  let bytes = 0;
  for (const table of tables) bytes += table.sizeBytes;
  return bytes;
}

/** Why these runs, for each level from 0 on, are no version; undefined where they are one. */
export function problemInLevels(levels: readonly (readonly Run[])[]): string | undefined {
  if (levels.length > LEVEL_COUNT) return `there are ${String(levels.length)} levels`;
  const numbers = new Set<number>();
  for (const [level, runs] of levels.entries()) {
    if (level > 0 && runs.length > 1) return `level ${String(level)} has several runs`;
    for (const run of runs) {
      if (run.length === 0) return `level ${String(level)} has a run without tables`;
      const problem = problemInRun(run);
      if (problem !== undefined) return `level ${String(level)}: ${problem}`;
      for (const { number } of run) {
        if (numbers.has(number)) return `table ${String(number)} is there twice`;
        numbers.add(number);
      }
    }
  }
  return undefined;
}

function problemInRun(run: Run): string | undefined {
  let before: TableMeta | undefined;
  for (const table of run) {
    if (table.end <= table.smallest) return `table ${String(table.number)} has empty bounds`;
    if (before !== undefined && table.smallest < before.end) {
      return `tables ${String(before.number)} and ${String(table.number)} overlap or are not in order`;
    }
    before = table;
  }
  return undefined;
}

/** A level without the tables that are `gone`, which are taken off that set, and with the added ones. */
function changedLevel(
  level: Level,
  number: number,
  added: readonly AddedTables[],
  gone: Set<number>,
): Level {
  let isChanged = added.length > 0;
  const runs: Run[] = [];
  for (const run of level.runs) {
    const rest = gone.size === 0 ? run : run.filter((table) => !gone.delete(table.number));
    if (rest.length !== run.length) isChanged = true;
    if (rest.length > 0) runs.push(rest);
  }
  if (!isChanged) return level;
  for (const { tables } of added) {
    if (number === 0) runs.unshift(tables);
    else runs.splice(0, 1, withTables(runs[0] ?? [], tables));
  }
  for (const run of runs) {
    const problem = problemInRun(run);
    assert(problem === undefined, `level ${String(number)}: ${problem ?? ''}`);
  }
  return levelOf(runs);
}

/** A run with more tables, in order. What comes usually lies side by side: a place where some were. */
function withTables(run: Run, tables: readonly TableMeta[]): Run {
  return [...run, ...tables].sort((a, b) => (a.smallest < b.smallest ? -1 : 1));
}

function levelOf(runs: readonly Run[]): Level {
  let tableCount = 0;
  let sizeBytes = 0;
  for (const run of runs) {
    tableCount += run.length;
    sizeBytes += sizeBytesOf(run);
  }
  return { runs, tableCount, sizeBytes };
}

/** The place of the first table that begins at `key` or past it. */
function firstFrom(run: Run, key: string): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((run[middle] as TableMeta).smallest < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
