/**
 * Merges tables of some runs into tables of the level below.
 *
 * Each input run is read in stretches of data blocks past the block cache; a merge step takes what is
 * there of all runs and goes as far as that allows. Steps are small where they run on this thread. While a
 * table is written, the next one is merged.
 *
 * A thread that is lost takes the blocks with it: they are read again, and when nothing came of some
 * steps in a row, the rest of the job is done on this thread, in small ones. So a job ends whatever becomes
 * of the threads; the next job asks for one again.
 */
import { InlineCompute, binaryStringOf, bytesOfBinaryString, hasCode } from '@dozo/base';
import type { Compute } from '@dozo/base';
import type { Counters } from './counters.ts';
import { RunWriter } from './flush-job.ts';
import type { TableJobOptions } from './flush-job.ts';
import {
  COMPUTE_FAILURES_MAX,
  MERGE_READ_BYTES,
  MERGE_READ_BYTES_APART,
  MERGE_READ_BYTES_MIN,
  MERGE_STEP_BYTES,
} from './limits.ts';
import type { MergeInput, MergeSource, MergeStep } from './table/merge-step.ts';
import { mergeTask } from './table/merge-task.ts';
import type { MergeTaskOutput } from './table/merge-task.ts';
import { packRanges } from './table/ranges-block.ts';
import type { PackedRanges } from './table/ranges-block.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { DataRun, TableReader } from './table/table-reader.ts';
import { outputCuts } from './tree/compaction-cuts.ts';
import type { Compaction } from './tree/compaction-picker.ts';
import { RangeSet } from './tree/range-set.ts';
import { sizeBytesOf } from './tree/version.ts';
import type { Run } from './tree/version.ts';

export interface CompactionJobOptions extends TableJobOptions {
  readonly compute: Compute;
  readonly counters: Counters;
  /** Throws once nobody wants the tables any more. */
  readonly assertGoing: () => void;
}

/** Where a run of the input is. */
interface Source {
  readonly tables: Run;
  readonly ranges: PackedRanges;
  /** Of `tables`: the one that `run` is from. */
  tableAt: number;
  /** Blocks that are not done; undefined when the table has not been begun. */
  run: DataRun | undefined;
  /** Part of the input that it is: with it, all sources come to an end of what is there together. */
  readonly share: number;
}

/** Where the steps of a job run. Begins as the engine was told; goes over to this thread if it must. */
interface Place {
  compute: Compute;
  /** Steps in a row that came to nothing: the thread was lost, or called blocks damaged. */
  failureCount: number;
}

/** What the next step goes on from. */
type Progress = Pick<MergeInput, 'after' | 'from'>;

/**
 * Runs a job and resolves with the tables that it made; `undefined` when it was given up for want of room.
 * Rejects with `INDEX_DAMAGED` and the errors of device and claim.
 */
export async function compact(
  options: CompactionJobOptions,
  job: Compaction,
): Promise<TableMeta[] | undefined> {
  const written: TableMeta[] = [];
  try {
    await merge(options, job, written);
    return written;
  } catch (error) {
    // Nobody knows of these tables: their room is free again.
    for (const { segment, sizeBytes } of written) {
      options.catalog.segments.removeTable(segment, sizeBytes);
    }
    if (hasCode(error, 'DEVICE_FULL')) return undefined;
    throw error;
  }
}

async function merge(
  options: CompactionJobOptions,
  job: Compaction,
  written: TableMeta[],
): Promise<void> {
  const { reader, catalog, settings } = options;
  const sources: Source[] = [];
  let outputRanges = RangeSet.EMPTY;
  for (const { tables } of job.inputs) {
    const ranges = await rangesOf(reader, tables);
    if (!job.dropsDeletes) outputRanges = outputRanges.union(ranges);
    const share = sizeBytesOf(tables) / job.inputBytes;
    sources.push({ tables, ranges: packRanges(ranges), tableAt: 0, run: undefined, share });
  }
  const cuts = outputCuts(catalog.version, job, settings);
  const writer = new RunWriter(options, outputRanges, 'compaction', written);
  try {
    await mergeInto(writer, options, job, sources, cuts);
  } finally {
    await writer.settled();
  }
}

async function mergeInto(
  writer: RunWriter,
  options: CompactionJobOptions,
  job: Compaction,
  sources: readonly Source[],
  cuts: string[],
): Promise<void> {
  const { reader, pacer, compute, assertGoing } = options;
  const place: Place = { compute, failureCount: 0 };
  let progress: Progress = { after: undefined };
  for (;;) {
    assertGoing();
    await fillAll(reader, place, sources);
    pacer.begin();
    const cut = cuts[0];
    const stepBytesMax = place.compute.isApart ? Number.POSITIVE_INFINITY : MERGE_STEP_BYTES;
    const merged = runStep(options, place, sources, {
      ...progress,
      dropDeletes: job.dropsDeletes,
      seed: writer.seed,
      outputBytesMax: Math.min(writer.builder.remainingBytes, stepBytesMax),
      stopAt: cut === undefined ? undefined : bytesOfBinaryString(cut),
    });
    // Another thread's work does not hold this one.
    const step = await (place.compute.isApart ? pacer.wait(merged) : merged);
    if (step === undefined) continue;
    writer.builder.addBlocks(step.run);
    if (step.isAtStop && cut !== undefined) {
      await writer.cutAt(cut);
      cuts.shift();
      progress = { after: undefined, from: bytesOfBinaryString(cut) };
    } else if (step.upTo === undefined) {
      await writer.finish();
      return;
    } else {
      progress = { after: step.upTo };
      if (writer.isFull) await writer.cutAt(`${binaryStringOf(step.upTo)}\0`);
    }
    await pacer.pause();
  }
}

/** Runs one step; `undefined` when it must be done again, because blocks had to be read again. */
async function runStep(
  { reader, counters }: CompactionJobOptions,
  place: Place,
  sources: readonly Source[],
  rest: Omit<MergeInput, 'sources'>,
): Promise<MergeStep | undefined> {
  let output: MergeTaskOutput;
  try {
    output = await place.compute.run(mergeTask, { ...rest, sources: sources.map(mergeSourceOf) });
  } catch (error) {
    if (!hasCode(error, 'COMPUTE_WORKER_LOST')) throw error;
    noteFailure(place);
    // The blocks are lost with the thread.
    for (const source of sources) await readAgain(reader, place, source);
    return undefined;
  }
  const { result, blocks } = output;
  for (const [index, source] of sources.entries()) {
    const { run } = source;
    if (run !== undefined) source.run = { ...run, blocks: blocks[index] ?? run.blocks };
  }
  if (result.isDamaged) {
    noteFailure(place);
    const source = sources[result.source];
    const table = source?.tables[source.tableAt];
    // Rejects when it is damaged on the disk too.
    if (source?.run !== undefined && table !== undefined) {
      source.run = await reader.rereadRun(table, source.run);
    }
    return undefined;
  }
  place.failureCount = 0;
  counters.compactionBytesRead += consume(sources, result);
  return result;
}

function noteFailure(place: Place): void {
  place.failureCount++;
  if (place.failureCount >= COMPUTE_FAILURES_MAX) place.compute = new InlineCompute();
}

async function rangesOf(reader: TableReader, tables: Run): Promise<RangeSet> {
  let ranges = RangeSet.EMPTY;
  for (const table of tables) {
    if (table.rangeCount > 0) ranges = ranges.union(await reader.ranges(table));
  }
  return ranges;
}

/**
 * Makes sure that there are blocks of every source that has any more. When one is out of them, the others
 * that will be soon are read on with it, what is left of them once more: a step ends where the first ends.
 */
async function fillAll(
  reader: TableReader,
  place: Place,
  sources: readonly Source[],
): Promise<void> {
  for (const source of sources) passEndedTable(source);
  if (!sources.some(isOut)) return;
  const outSoon = sources.filter((source) => isNearlyOut(place, source));
  await Promise.all(outSoon.map((source) => fill(reader, place, source)));
}

/** How much of a source is read at once. */
function readBytesOf({ compute }: Place, { share }: Source): number {
  const bytes = compute.isApart ? MERGE_READ_BYTES_APART : MERGE_READ_BYTES;
  return Math.max(MERGE_READ_BYTES_MIN, Math.floor(bytes * share));
}

function passEndedTable(source: Source): void {
  const { run } = source;
  if (run?.isLast !== true || run.blockEnds.length > 0) return;
  source.tableAt++;
  source.run = undefined;
}

/** It has more, and nothing of it is there. */
function isOut({ tables, tableAt, run }: Source): boolean {
  return tableAt < tables.length && (run === undefined || run.blockEnds.length === 0);
}

function isNearlyOut(place: Place, source: Source): boolean {
  const { run } = source;
  if (isOut(source)) return true;
  return run?.isLast === false && 2 * run.blocks.length < readBytesOf(place, source);
}

async function fill(reader: TableReader, place: Place, source: Source): Promise<void> {
  const readBytes = readBytesOf(place, source);
  for (;;) {
    const table = source.tables[source.tableAt];
    if (table === undefined) return;
    source.run = await reader.readRun(table, source.run?.firstBlock ?? 0, readBytes);
    if (source.run !== undefined) return;
    // A table of range deletes alone has no blocks.
    source.tableAt++;
  }
}

async function readAgain(reader: TableReader, place: Place, source: Source): Promise<void> {
  const table = source.tables[source.tableAt];
  if (source.run === undefined || table === undefined) return;
  const readBytes = readBytesOf(place, source);
  source.run = await reader.readRun(table, source.run.firstBlock, readBytes);
}

const NO_BLOCKS = new Uint8Array(0);
const NO_ENDS = new Uint32Array(0);

function mergeSourceOf({ tables, tableAt, run, ranges }: Source): MergeSource {
  const table = tables[tableAt];
  if (run === undefined || table === undefined) {
    return { blocks: NO_BLOCKS, blockEnds: NO_ENDS, seed: 0, isLast: true, ranges };
  }
  const { blocks, blockEnds } = run;
  const isLast = run.isLast && tableAt === tables.length - 1;
  return { blocks, blockEnds, seed: table.seed, isLast, ranges };
}

/** Takes off what a step is done with, and returns how many bytes that are. */
function consume(sources: readonly Source[], step: MergeStep): number {
  let bytes = 0;
  for (const [index, source] of sources.entries()) {
    const { run } = source;
    const count = step.consumedBlocks[index] ?? 0;
    if (run === undefined || count === 0) continue;
    const doneBytes = run.blockEnds[count - 1] as number;
    bytes += doneBytes;
    source.run = {
      firstBlock: run.firstBlock + count,
      blocks: run.blocks.subarray(doneBytes),
      blockEnds: run.blockEnds.slice(count).map((end) => end - doneBytes),
      isLast: run.isLast,
    };
  }
  return bytes;
}
