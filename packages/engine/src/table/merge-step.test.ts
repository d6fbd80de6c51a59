import { binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLAIM_SEED, blocksOf, rangesArbitrary, rowsArbitrary } from '../../tests/table-content.ts';
import { byKey, rowsOfTable, tableOf } from '../../tests/table-content.ts';
import type { Row } from '../../tests/table-content.ts';
import { RangeSet } from '../tree/range-set.ts';
import { ENTRY_DELETE, TreeEntry } from '../tree/tree-entry.ts';
import { mergeStep } from './merge-step.ts';
import type { MergeDamage, MergeSource, MergeStep } from './merge-step.ts';
import { packRanges } from './ranges-block.ts';
import { TableBuilder } from './table-builder.ts';
import type { BuiltTable } from './table-builder.ts';
import { tableSeedOf } from './table-format.ts';

interface Source {
  readonly rows: readonly Row[];
  readonly ranges: RangeSet;
}

/** A few keys that many sources have, so that they meet. */
const keys = fc
  .tuple(fc.constantFrom('a', 'bucket/', 'x'.repeat(300)), fc.nat(40))
  .map(([prefix, n]) => prefix + String(n).padStart(2, '0'));

const sourcesArbitrary: fc.Arbitrary<Source[]> = fc.array(
  fc.record({ rows: rowsArbitrary(50, keys), ranges: rangesArbitrary(keys) }),
  { minLength: 1, maxLength: 5 },
);

/** What a merge should give: the newest source that says something about a key counts. */
function mergedRows(sources: readonly Source[], dropDeletes: boolean): Row[] {
  const merged = new Map<string, TreeEntry>();
  for (const [index, { rows }] of sources.entries()) {
    for (const [key, entry] of rows) {
      const newer = sources.slice(0, index);
      if (newer.some((source) => source.rows.some((row) => row[0] === key))) continue;
      if (newer.some((source) => source.ranges.covers(key))) continue;
      if (!dropDeletes || entry.kind !== ENTRY_DELETE) merged.set(key, entry);
    }
  }
  return [...merged].toSorted(byKey);
}

const OUTPUT_SEED = tableSeedOf(CLAIM_SEED, 99);

/** The source's blocks, `stepBlocks` at a time, from block `first` on. */
function chunkOf(
  { ranges }: Source,
  blocks: readonly Uint8Array[],
  { first, stepBlocks, number }: { first: number; stepBlocks: number; number: number },
): MergeSource {
  const chunk = blocks.slice(first, first + stepBlocks);
  const ends: number[] = [];
  for (const block of chunk) ends.push((ends.at(-1) ?? 0) + block.length);
  return {
    blocks: Uint8Array.from(chunk.flatMap((block) => [...block])),
    blockEnds: Uint32Array.from(ends),
    seed: tableSeedOf(CLAIM_SEED, number),
    isLast: first + stepBlocks >= blocks.length,
    ranges: packRanges(ranges),
  };
}

function good(outcome: MergeStep | MergeDamage): MergeStep {
  if (outcome.isDamaged) throw new Error(`damaged: ${outcome.reason}`);
  return outcome;
}

interface Settings {
  readonly stepBlocks: readonly number[];
  readonly outputBytesMax: number;
  readonly dropDeletes: boolean;
}

/** Merges in steps and builds a table of them; undefined when nothing is left. */
function mergeInSteps(
  sources: readonly Source[],
  { stepBlocks, outputBytesMax, dropDeletes }: Settings,
): BuiltTable | undefined {
  const blocks = sources.map(({ rows }, number) =>
    rows.length === 0 ? [] : blocksOf(tableOf(rows, RangeSet.EMPTY, number)),
  );
  const positions = sources.map(() => 0);
  const builder = new TableBuilder({ number: 99, seed: OUTPUT_SEED, targetBytes: 65_536 });
  let after: Uint8Array | undefined;
  for (let count = 0; ; count++) {
    if (count > 10_000) throw new Error('the merge does not come to its end');
    const chunks = sources.map((source, number) => {
      const first = positions[number] ?? 0;
      const length = stepBlocks[(count + number) % stepBlocks.length] ?? 1;
      return chunkOf(source, blocks[number] ?? [], { first, stepBlocks: length, number });
    });
    const settings = { after, dropDeletes, seed: OUTPUT_SEED, outputBytesMax };
    const { run, upTo, consumedBlocks } = good(mergeStep({ sources: chunks, ...settings }));
    builder.addBlocks(run);
    for (const [number, consumed] of consumedBlocks.entries()) {
      positions[number] = (positions[number] ?? 0) + consumed;
    }
    if (upTo === undefined) break;
    if (after !== undefined) expect(binaryStringOf(upTo) >= binaryStringOf(after)).toBe(true);
    after = upTo;
  }
  expect(positions).toEqual(blocks.map((all) => all.length));
  return builder.isEmpty ? undefined : builder.finish();
}

const settingsArbitrary = fc.record({
  stepBlocks: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
  outputBytesMax: fc.oneof(fc.integer({ min: 1, max: 8000 }), fc.constant(1_000_000)),
  dropDeletes: fc.boolean(),
});

describe('mergeStep', () => {
  it('gives what a naive merge gives, in steps of any size', () => {
    fc.assert(
      fc.property(sourcesArbitrary, settingsArbitrary, (sources, settings) => {
        const table = mergeInSteps(sources, settings);
        const found = table === undefined ? [] : rowsOfTable(table);
        expect(found).toEqual(mergedRows(sources, settings.dropDeletes));
        if (table !== undefined) {
          expect(table.content.entryCount).toBe(found.length);
          expect(table.content.lsnMax).toBe(Math.max(...found.map((row) => row[1].lsn)));
        }
      }),
      { numRuns: 100 },
    );
  });

  it('makes the blocks that a builder makes of the same entries', () => {
    fc.assert(
      fc.property(sourcesArbitrary, (sources) => {
        const rows = mergedRows(sources, false);
        fc.pre(rows.length > 0);
        const settings = { stepBlocks: [1000], outputBytesMax: 1_000_000, dropDeletes: false };
        const table = mergeInSteps(sources, settings);
        expect(table?.bytes).toEqual(tableOf(rows, RangeSet.EMPTY, 99).bytes);
      }),
      { numRuns: 30 },
    );
  });

  const source = (rows: readonly Row[], ranges = RangeSet.EMPTY, number = 0): MergeSource =>
    chunkOf({ rows, ranges }, rows.length === 0 ? [] : blocksOf(tableOf(rows, undefined, number)), {
      first: 0,
      stepBlocks: 1000,
      number,
    });
  const merge = (
    sources: readonly MergeSource[],
    change: { dropDeletes?: boolean; after?: Uint8Array; outputBytesMax?: number } = {},
  ): MergeStep | MergeDamage => {
    const settings = { after: undefined, dropDeletes: false, seed: OUTPUT_SEED };
    return mergeStep({ sources, ...settings, outputBytesMax: 1_000_000, ...change });
  };
  const manyRows = Array.from({ length: 200 }, (_, n): Row => [
    `k${String(n).padStart(3, '0')}`,
    TreeEntry.pointer(n, n, n, n),
  ]);

  it('hides with range deletes what is older, and not what is of the same source', () => {
    const ranges = RangeSet.of([{ from: 'k010', to: 'k190' }]);
    const newer = source([['k050', TreeEntry.delete(900)]], ranges, 1);
    const kept = good(merge([newer, source(manyRows)]));
    expect(kept.run).toMatchObject({ entryCount: 21, deleteCount: 1, pointerCount: 20 });
    expect(kept.droppedPointerCount).toBe(180);
    expect(kept.readCount).toBe(201);
    expect(good(merge([newer, source(manyRows)], { dropDeletes: true })).run.entryCount).toBe(20);
    expect(good(merge([source(manyRows), newer])).run.entryCount).toBe(200);
    expect(good(merge([source(manyRows, ranges)])).run.entryCount).toBe(200);
  });

  it('stops where the output is long enough, at most an entry later', () => {
    const { run, upTo, consumedBlocks } = good(merge([source(manyRows)], { outputBytesMax: 300 }));
    expect(run.blocks.length).toBeLessThan(340);
    expect(upTo).toEqual(run.lastKey);
    expect(consumedBlocks).toEqual([0]);
  });

  it('stops where a source that goes on has no more blocks', () => {
    const first = { ...source(manyRows.slice(0, 20)), isLast: false };
    const { run, upTo, consumedBlocks } = good(merge([first, source(manyRows, undefined, 1)]));
    expect(run.entryCount).toBe(20);
    expect(binaryStringOf(upTo ?? new Uint8Array(0))).toBe('k019');
    expect(consumedBlocks).toEqual([1, 0]);
  });

  it('passes over blocks that were done before, and asks for the next ones', () => {
    const after = bytesOfBinaryString('k500');
    const outcome = good(merge([{ ...source(manyRows), isLast: false }], { after }));
    expect(outcome).toMatchObject({ upTo: after, readCount: 0, run: { entryCount: 0 } });
    expect(outcome.consumedBlocks).toEqual([source(manyRows).blockEnds.length]);
  });

  it('finds every flipped bit of a block, and says which block of which source', () => {
    const rows = manyRows.map(([key]): Row => [key, TreeEntry.inline(1, new Uint8Array(20))]);
    const damaged = source(rows, RangeSet.EMPTY, 1);
    expect(damaged.blockEnds.length).toBe(2);
    const middle = damaged.blockEnds[0] ?? 0;
    for (let bit = 0; bit < 8 * damaged.blocks.length; bit += 11) {
      const blocks = damaged.blocks.slice();
      blocks[bit >>> 3] = (blocks[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      const found = merge([source(manyRows.slice(50, 60)), { ...damaged, blocks }]);
      const block = bit >>> 3 < middle ? 0 : 1;
      expect(found).toEqual({ isDamaged: true, source: 1, block, reason: 'checksum' });
    }
  });

  it('refuses blocks of another table, and blocks whose content cannot be', () => {
    const wrong = { ...source(manyRows), seed: 5 };
    expect(merge([wrong])).toMatchObject({ source: 0, block: 0, reason: 'checksum' });
    const rows = source(manyRows);
    const size = rows.blockEnds[0] ?? 0;
    const twice = Uint8Array.from([...rows.blocks.slice(0, size), ...rows.blocks.slice(0, size)]);
    const blockEnds = Uint32Array.of(size, 2 * size);
    const found = merge([{ ...rows, blocks: twice, blockEnds }]);
    expect(found).toEqual({ isDamaged: true, source: 0, block: 1, reason: 'content' });
  });

  it('gives plain data that another thread can take', () => {
    const outcome = merge([source(manyRows)]);
    expect(structuredClone(outcome)).toEqual(outcome);
  });
});
