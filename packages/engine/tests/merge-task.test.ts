/** A merge gives the same on every Compute, and the blocks that it was lent. */
import { InlineCompute } from '@dozo/base';
import type { Compute } from '@dozo/base';
import { WorkerCompute } from '@dozo/platform';
import { SimulatedClock, SimulatedCompute } from '@dozo/simulator';
import { describe, expect, it } from 'vitest';

import { BlockCache } from '../src/table/block-cache.ts';
import type { MergeInput, MergeSource } from '../src/table/merge-step.ts';
import { mergeStep } from '../src/table/merge-step.ts';
import { mergeTask } from '../src/table/merge-task.ts';
import { packRanges } from '../src/table/ranges-block.ts';
import { TableReader } from '../src/table/table-reader.ts';
import { RangeSet } from '../src/tree/range-set.ts';
import { MemoryTables, rowsOf } from './memory-tables.ts';

/** Two tables that overlap in part, the first 20 KB of each, and a source without blocks. */
async function makeInput(): Promise<MergeInput> {
  const tables = new MemoryTables();
  const counters = { checksumErrorCount: 0, staleReadCount: 0 };
  const reader = new TableReader({ source: tables, cache: new BlockCache(1e6), counters });
  const ranges = packRanges(new RangeSet([]));
  const sources: MergeSource[] = [];
  for (const [number, prefix] of ['k0', 'k'].entries()) {
    const meta = tables.add(number, rowsOf(prefix, 2000));
    const run = await reader.readRun(meta, 0, 20_000);
    if (run === undefined) throw new Error('the table has blocks');
    const { blocks, blockEnds, isLast } = run;
    sources.push({ blocks, blockEnds, isLast, seed: meta.seed, ranges });
  }
  const nothing = { blocks: new Uint8Array(0), blockEnds: new Uint32Array(0), isLast: true };
  sources.push({ ...nothing, seed: 0, ranges });
  const after = undefined;
  return { sources, after, dropDeletes: false, seed: 77, outputBytesMax: 1_000_000 };
}

describe.each<[string, boolean, () => Compute]>([
  ['inline', false, () => new InlineCompute()],
  ['on a worker thread', true, () => new WorkerCompute()],
  [
    'in the simulator',
    true,
    () => new SimulatedCompute({ clock: new SimulatedClock({ seed: 1 }), seed: 1 }),
  ],
])('a merge %s', (_, isMoved, make) => {
  it('gives what the step gives, and the blocks back, for the next step', async () => {
    const compute = make();
    const input = await makeInput();
    const expected = mergeStep(await makeInput());
    const { result, blocks } = await compute.run(mergeTask, input);
    expect(input.sources[0]?.blocks.length === 0).toBe(isMoved);
    expect(result).toEqual(expected);
    expect(blocks).toEqual((await makeInput()).sources.map((source) => source.blocks));
    if (result.isDamaged || result.upTo === undefined) throw new Error('there is more to merge');
    const sources = input.sources.map((source, index) => ({
      ...source,
      blocks: blocks[index] as Uint8Array,
      isLast: true,
    }));
    const next = await compute.run(mergeTask, { ...input, sources, after: result.upTo });
    if (next.result.isDamaged) throw new Error('nothing is damaged');
    expect(next.result.upTo).toBeUndefined();
    expect(next.result.run.entryCount).toBeGreaterThan(0);
    await compute.close();
  });

  it('tells of damage as a result', async () => {
    const compute = make();
    const input = await makeInput();
    const bytes = input.sources[1]?.blocks;
    if (bytes === undefined) throw new Error('there are two sources');
    bytes[50] = (bytes[50] as number) ^ 1;
    const { result, blocks } = await compute.run(mergeTask, input);
    expect(result).toEqual({ isDamaged: true, source: 1, block: 0, reason: 'checksum' });
    expect(blocks[0]?.length).toBeGreaterThan(0);
    await compute.close();
  });
});
