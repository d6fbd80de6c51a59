/**
 * Where tables are cut besides their size, so that compaction finds narrow slices: by a flush at the
 * keys where slices of level 0 end, by a job at borders of the level below its output.
 *
 * All of it is for the size and the cost of jobs: tables that are cut otherwise are right too. Range
 * deletes are cut at the same keys, also where no entry lies between two of them: one that covers
 * everything would else make one slice of all there is.
 *
 * Source: flush split keys of Pebble; the limit on the overlap with the grandparents in LevelDB.
 */
import { boundsOf, levelTargets, outputLevelOf, sliceAfter } from './compaction-picker.ts';
import type { Compaction, CompactionSettings } from './compaction-picker.ts';
import { overlapping, sizeBytesOf } from './version.ts';
import type { Run, Version } from './version.ts';

/**
 * The keys at which a flush cuts its tables, in order: with them, tables of different runs of level 0
 * end at the same keys, and slices stay narrow enough for a job with all of level 0 in it.
 *
 * A cut lies where no table of level 0 crosses it, or where it splits a slice that is too large; then
 * preferably where none of the newer runs crosses it. So slices of different runs are the same or lie in
 * each other, and do not chain up.
 */
export function flushCuts(version: Version, settings: CompactionSettings): string[] {
  const { baseLevel } = levelTargets(version, settings);
  const { runs, sizeBytes } = version.levels[0] ?? { runs: [], sizeBytes: 0 };
  const output = version.levels[outputLevelOf(version, 0, baseLevel)]?.runs[0] ?? [];
  // Level 0 swells to twice its size ahead of the pointer. Slices that take half of a job leave room
  // for what is not spread evenly.
  const weights: Weight[] = [{ run: output, factor: 1 }];
  const factor = sizeBytes === 0 ? 0 : (2 * settings.levelZeroBytes) / sizeBytes;
  for (const run of runs) weights.push({ run, factor });
  const bytesMax = settings.levelZeroJobBytesMax / 2;
  const borders = new Set<string>();
  addBorders(borders, { runs, output, weights, bytesMax }, '', undefined);
  return cutsAmong([...borders].sort(), weights, bytesMax);
}

/** Tables, and how much their bytes count. */
interface Weight {
  readonly run: Run;
  readonly factor: number;
}

interface BorderSearch {
  readonly runs: readonly Run[];
  readonly output: Run;
  readonly weights: readonly Weight[];
  readonly bytesMax: number;
}

/** Adds where a flush could cut in `[from, to)`. */
function addBorders(
  borders: Set<string>,
  search: BorderSearch,
  from: string,
  to: string | undefined,
): void {
  const { runs, output } = search;
  let at = from;
  for (;;) {
    const slice = sliceAfter(runs, at);
    const isIn = slice !== undefined && (to === undefined || slice.end <= to);
    // Where level 0 has nothing, any border will do.
    for (const table of overlapping(output, at, isIn ? slice.smallest : to)) {
      if (table.smallest >= at) borders.add(table.smallest);
    }
    if (!isIn) return;
    borders.add(slice.smallest).add(slice.end);
    if (weightOf(search.weights, slice.smallest, slice.end) > 1.5 * search.bytesMax) {
      // Without the oldest run; without any it is borders of the output.
      addBorders(borders, { ...search, runs: runs.slice(0, -1) }, slice.smallest, slice.end);
    }
    at = slice.end;
  }
}

function weightOf(weights: readonly Weight[], from: string, to: string | undefined): number {
  let bytes = 0;
  for (const { run, factor } of weights) bytes += factor * sizeBytesOf(overlapping(run, from, to));
  return bytes;
}

/**
 * The keys at which a job cuts its output besides the size of tables: each table is to overlap little of
 * the level below its own, so that the job which takes it there is small. Empty for the last level.
 */
export function outputCuts(
  version: Version,
  job: Compaction,
  settings: CompactionSettings,
): string[] {
  const { smallest, end } = boundsOf(job.inputs);
  const below = overlapping(version.levels[job.outputLevel + 1]?.runs[0] ?? [], smallest, end);
  const borders = below.map((table) => table.smallest);
  return cutsAmong(borders, [{ run: below, factor: 1 }], settings.jobBytesMax / 2).filter(
    (key) => key > smallest,
  );
}

/** Those of the borders, in order, that cut tables into pieces of at most so many bytes, if they can. */
function cutsAmong(
  borders: readonly string[],
  weights: readonly Weight[],
  pieceBytesMax: number,
): string[] {
  const cuts: string[] = [];
  let start = '';
  for (const [number, border] of borders.entries()) {
    const bytes = weightOf(weights, start, borders[number + 1]);
    if (bytes <= pieceBytesMax || border === start) continue;
    cuts.push(border);
    start = border;
  }
  return cuts;
}
