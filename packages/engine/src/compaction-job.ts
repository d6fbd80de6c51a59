/**
 * Merges tables of some runs into tables of the level below.
 *
 * Each input run is read in stretches of data blocks past the block cache; a merge step takes what is
 * there of all runs and goes as far as that allows. Steps are small where they run on this thread.
 */
import type { Compute } from '@dozo/base';
import { binaryStringOf } from '@dozo/base';
import type { Counters } from './counters.ts';
import { RunWriter } from './flush-job.ts';
import type { TableJobOptions } from './flush-job.ts';
import { MERGE_STEP_BYTES } from './limits.ts';
import { mergeTask } from './table/merge-task.ts';
import type { MergeDamage, MergeInput, MergeSource, MergeStep } from './table/merge-step.ts';
import { packRanges } from './table/ranges-block.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { DataRun, TableReader } from './table/table-reader.ts';
import type { Compaction } from './tree/compaction-picker.ts';
import { RangeSet } from './tree/range-set.ts';
import type { Run } from './tree/version.ts';

export interface CompactionJobOptions extends TableJobOptions {
  readonly reader: TableReader;
  readonly compute: Compute;
  readonly counters: Counters;
}

/** Where a run of the input is. */
interface Source {
  readonly tables: Run;
  readonly ranges: RangeSet;
  /** Of `tables`: the one that `run` is from. */
  tableAt: number;
  run: DataRun | undefined;
  /** Blocks of `run` that are done. */
  doneCount: number;
}

/** Runs a job and resolves with the tables that it made. Rejects with `INDEX_DAMAGED` and the errors of device and claim. */
export async function compact(
  options: CompactionJobOptions,
  job: Compaction,
): Promise<TableMeta[]> {
  const { reader, pacer, counters } = options;
  const sources: Source[] = [];
  for (const { tables } of job.inputs) {
    const ranges = await rangesOf(reader, tables);
    sources.push({ tables, ranges, tableAt: 0, run: undefined, doneCount: 0 });
  }
  const writer = new RunWriter(options, outputRanges(job, sources), 'compaction');
  let after: Uint8Array | undefined;
  for (;;) {
    for (const source of sources) await fill(reader, source);
    pacer.begin();
    const input: MergeInput = {
      sources: sources.map(mergeSourceOf),
      after,
      dropDeletes: job.dropsDeletes,
      seed: writer.seed,
      outputBytesMax: Math.min(writer.builder.remainingBytes, MERGE_STEP_BYTES),
    };
    const step = await options.compute.run(mergeTask, input);
    if (step.isDamaged) {
      await reread(reader, sources, step);
      continue;
    }
    counters.compactionBytesRead += consume(sources, step);
    writer.builder.addBlocks(step.run);
    if (step.upTo === undefined) return writer.finish();
    after = step.upTo;
    if (writer.isFull) await writer.cutAt(`${binaryStringOf(after)}\0`);
    await pacer.pause();
  }
}

async function rangesOf(reader: TableReader, tables: Run): Promise<RangeSet> {
  let ranges = RangeSet.EMPTY;
  for (const table of tables) {
    if (table.rangeCount > 0) ranges = ranges.union(await reader.ranges(table));
  }
  return ranges;
}

function outputRanges(job: Compaction, sources: readonly Source[]): RangeSet {
  if (job.dropsDeletes) return RangeSet.EMPTY;
  return sources.reduce((union, { ranges }) => union.union(ranges), RangeSet.EMPTY);
}

/** Makes sure that there are blocks of a source that are not done, if it has any more. */
async function fill(reader: TableReader, source: Source): Promise<void> {
  for (;;) {
    const { run } = source;
    if (run !== undefined && source.doneCount < run.blockEnds.length) return;
    const isTableDone = run?.isLast === true;
    if (isTableDone) source.tableAt++;
    const table = source.tables[source.tableAt];
    source.doneCount = 0;
    if (table === undefined) {
      source.run = undefined;
      return;
    }
    const first = run === undefined || isTableDone ? 0 : run.firstBlock + run.blockEnds.length;
    source.run = await reader.readRun(table, first);
    // A table of range deletes alone has no blocks.
    if (source.run === undefined) source.tableAt++;
  }
}

const NO_BLOCKS = new Uint8Array(0);
const NO_ENDS = new Uint32Array(0);

function mergeSourceOf(source: Source): MergeSource {
  const { tables, tableAt, run, doneCount } = source;
  const ranges = packRanges(source.ranges);
  const table = tables[tableAt];
  if (run === undefined || table === undefined) {
    return { blocks: NO_BLOCKS, blockEnds: NO_ENDS, seed: 0, isLast: true, ranges };
  }
  const start = doneCount === 0 ? 0 : (run.blockEnds[doneCount - 1] as number);
  return {
    // A copy: the run is still needed when the blocks have been moved to another thread.
    blocks: run.blocks.slice(start),
    blockEnds: run.blockEnds.slice(doneCount).map((end) => end - start),
    seed: table.seed,
    isLast: run.isLast && tableAt === tables.length - 1,
    ranges,
  };
}

/** Takes off what a step is done with, and returns how many bytes that are. */
function consume(sources: readonly Source[], step: MergeStep): number {
  let bytes = 0;
  for (const [index, source] of sources.entries()) {
    const { run } = source;
    const count = step.consumedBlocks[index] ?? 0;
    if (run === undefined || count === 0) continue;
    const before = source.doneCount === 0 ? 0 : (run.blockEnds[source.doneCount - 1] as number);
    source.doneCount += count;
    bytes += (run.blockEnds[source.doneCount - 1] as number) - before;
  }
  return bytes;
}

/** Reads the run of a source with a damaged block past the page cache. Rejects when it is damaged there too. */
async function reread(
  reader: TableReader,
  sources: readonly Source[],
  { source: index }: MergeDamage,
): Promise<void> {
  const source = sources[index];
  const table = source?.tables[source.tableAt];
  if (source?.run === undefined || table === undefined) return;
  source.run = await reader.rereadRun(table, source.run);
}
