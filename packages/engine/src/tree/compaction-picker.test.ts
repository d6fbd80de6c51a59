import { SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import { ROW_BYTES, TablesInMemory } from '../../tests/tables-in-memory.ts';
import { table, versionOf } from '../../tests/table-stubs.ts';
import { flushCuts, outputCuts } from './compaction-cuts.ts';
import { CompactionPicker, compactionSettingsOf, levelTargets } from './compaction-picker.ts';
import type { Compaction, CompactionSettings } from './compaction-picker.ts';
import { TreeEntry } from './tree-entry.ts';
import { LEVEL_LAST, Version } from './version.ts';
import type { Run } from './version.ts';

const SETTINGS = compactionSettingsOf(100, 400);

function pick(version: Version, changes: Partial<CompactionSettings> = {}): Compaction | undefined {
  return new CompactionPicker({ ...SETTINGS, ...changes }).pick(version);
}

function boundsOf(job: Compaction | undefined): string[][] {
  return (job?.inputs ?? []).map(({ level, tables }) => [
    String(level),
    ...tables.map(({ smallest, end }) => `${smallest}-${end}`),
  ]);
}

test('a tree that is in proportion needs nothing', () => {
  expect(pick(Version.empty())).toBeUndefined();
  const version = versionOf({ 0: [[table('a', 'b')]], [LEVEL_LAST]: [[table('a', 'b')]] });
  expect(pick(version)).toBeUndefined();
  expect(new CompactionPicker(SETTINGS).debtBytes(version)).toBe(0);
});

test('levels come into use from the last upwards, each a part of the one below', () => {
  const of = (sizeBytes: number) =>
    levelTargets(versionOf({ [LEVEL_LAST]: [[table('a', 'b', { sizeBytes })]] }), SETTINGS);
  expect(of(15_999).baseLevel).toBe(LEVEL_LAST);
  expect(of(16_000).baseLevel).toBe(LEVEL_LAST - 1);
  expect(of(16_000).bytes[LEVEL_LAST - 1]).toBe(1600);
  expect(of(1_600_000).baseLevel).toBe(LEVEL_LAST - 3);
  expect(of(1e15).baseLevel).toBe(1);
});

test('many small runs are a reason too, and all of them are taken at once', () => {
  const runs = Array.from({ length: 12 }, () => [table('a', 'b', { sizeBytes: 1 })]);
  expect(pick(versionOf({ 0: runs.slice(1) }))).toBeUndefined();
  const job = pick(versionOf({ 0: runs, [LEVEL_LAST]: [[table('a', 'c'), table('c', 'd')]] }));
  expect(job?.inputs).toHaveLength(13);
  expect(boundsOf(job).at(-1)).toEqual([String(LEVEL_LAST), 'a-c']);
  expect(job?.outputLevel).toBe(LEVEL_LAST);
  expect(job?.dropsDeletes).toBe(true);
});

test('a slice of level 0 is as wide as the tables that cross it, and the next one begins behind it', () => {
  const version = versionOf({
    0: [
      [table('c', 'e'), table('k', 'm')],
      [table('a', 'd'), table('d', 'f'), table('h', 'l')],
    ],
    [LEVEL_LAST]: [[table('a', 'b'), table('e', 'g'), table('g', 'h')]],
  });
  const settings = { ...SETTINGS, levelZeroBytes: 400, levelZeroJobBytesMax: 600 };
  const picker = new CompactionPicker(settings);
  const first = [
    ['0', 'c-e'],
    ['0', 'a-d', 'd-f'],
    [String(LEVEL_LAST), 'a-b', 'e-g'],
  ];
  expect(boundsOf(picker.pick(version))).toEqual(first);
  const second = picker.pick(version);
  expect(boundsOf(second)).toEqual([
    ['0', 'k-m'],
    ['0', 'h-l'],
  ]);
  expect(boundsOf(picker.pick(version))).toEqual(first);
});

test('where slices are too wide the oldest goes, and nothing newer than what stays above it', () => {
  const version = versionOf({
    0: [
      [table('c', 'd'), table('x', 'y')],
      [table('b', 'z')],
      [table('c', 'e')],
      [table('a', 'f'), table('f', 'k')],
    ],
  });
  const job = pick(version, { levelZeroBytes: 400, levelZeroJobBytesMax: 400 });
  // Not c-d of the newest run: b-z, which is older, stays above.
  expect(boundsOf(job)).toEqual([
    ['0', 'c-e'],
    ['0', 'a-f'],
  ]);
});

test('deletes are kept while anything older may lie below, also below the tables of the output level', () => {
  const upper = [table('m', 'n', { deleteCount: 1 })];
  const older = [table('a', 'b', { sizeBytes: 5000 })];
  const picked = (middle: Run) =>
    pick(versionOf({ 0: [upper], [LEVEL_LAST - 1]: [middle], [LEVEL_LAST]: [older] }), {
      levelZeroBytes: 100,
    });
  expect(picked([table('c', 'p')])?.outputLevel).toBe(LEVEL_LAST - 1);
  expect(picked([table('c', 'p')])?.dropsDeletes).toBe(true);
  expect(picked([table('a', 'p')])?.dropsDeletes).toBe(false);
});

test('tables that overlap nothing are moved, unless their deletes would stay for ever', () => {
  const runs = [[table('c', 'd')], [table('a', 'b')]];
  const settings = { levelZeroBytes: 100 };
  expect(pick(versionOf({ 0: runs }), settings)?.isMove).toBe(true);
  expect(pick(versionOf({ 0: runs }), settings)?.inputs).toHaveLength(2);
  const withDelete = [[table('c', 'd', { deleteCount: 1 })]];
  expect(pick(versionOf({ 0: withDelete }), settings)?.isMove).toBe(false);
  const below = { [LEVEL_LAST]: [[table('a', 'cc')]] };
  expect(pick(versionOf({ 0: [[table('c', 'd')]], ...below }), settings)?.isMove).toBe(false);
  expect(pick(versionOf({ 0: [[table('c', 'e')], [table('d', 'f')]] }), settings)?.isMove).toBe(
    false,
  );
});

test('a level that is no longer wanted is emptied first', () => {
  const version = versionOf({
    0: [[table('a', 'z', { sizeBytes: 1600 })]],
    3: [[table('a', 'c'), table('d', 'e')]],
    [LEVEL_LAST]: [[table('a', 'b')]],
  });
  const job = pick(version);
  expect([job?.level, job?.outputLevel]).toEqual([3, LEVEL_LAST]);
  expect(new CompactionPicker(SETTINGS).debtBytes(version)).toBeGreaterThan(0);
});

const ROWS = 16;
const LOAD = compactionSettingsOf(ROWS * ROW_BYTES, 8 * ROWS * ROW_BYTES);

/** Random keys, flush by flush; returns the jobs. */
function load(flushCount: number, hasCuts: boolean): { jobs: Compaction[]; rewritten: number } {
  const random = new SeededRandom('load');
  const tables = new TablesInMemory(random.derive('tables'), 0);
  const picker = new CompactionPicker(LOAD);
  const jobs: Compaction[] = [];
  let rewritten = 0;
  let version = Version.empty();
  for (let flush = 0; flush < flushCount; flush++) {
    const keys = new Set<string>();
    while (keys.size < 8 * ROWS) keys.add(String(random.below(1e9)).padStart(9, '0'));
    const rows = [...keys].sort().map((key) => ({ key, entry: TreeEntry.delete(flush) }));
    const cuts = hasCuts ? flushCuts(version, LOAD) : [];
    const run = tables.write(
      { rows, ranges: tables.merge([], true).ranges },
      { rowsMax: ROWS, cuts },
    );
    version = version.withChange({ add: [{ level: 0, tables: run }], remove: [] });
    for (let job = picker.pick(version); job !== undefined; job = picker.pick(version)) {
      const inputs = job.inputs.flatMap((input) => input.tables);
      const all = inputs.flatMap((input) => tables.content(input).rows);
      const content = {
        rows: all.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
        ranges: tables.merge([], true).ranges,
      };
      const output = tables.write(content, {
        rowsMax: ROWS,
        cuts: hasCuts ? outputCuts(version, job, LOAD) : [],
      });
      const remove = inputs.map(({ number }) => number);
      version = version.withChange({ add: [], remove });
      version = version.withChange({
        add: [{ level: job.outputLevel, tables: output }],
        remove: [],
      });
      rewritten += all.length;
      jobs.push(job);
    }
  }
  expect([...version.tables()].reduce((sum, { entryCount }) => sum + entryCount, 0)).toBe(
    flushCount * 8 * ROWS,
  );
  return { jobs, rewritten: rewritten / (flushCount * 8 * ROWS) };
}

test('with cuts jobs stay small, and far less is rewritten than without', () => {
  const cut = load(90, true);
  for (const job of cut.jobs) {
    const bytesMax = job.level === 0 ? LOAD.levelZeroJobBytesMax : LOAD.jobBytesMax;
    expect(job.inputBytes).toBeLessThanOrEqual(bytesMax);
  }
  expect(cut.jobs.some((job) => job.level > 0)).toBe(true);
  expect(cut.rewritten).toBeLessThan(8);
  const uncut = load(40, false);
  expect(uncut.rewritten).toBeGreaterThan(2 * load(40, true).rewritten);
});
