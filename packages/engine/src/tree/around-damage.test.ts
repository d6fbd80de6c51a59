import { SeededRandom } from '@dozo/base';
import { describe, expect, test } from 'vitest';
import { DamagedTables } from '../damaged-tables.ts';
import { table, versionOf } from '../../tests/table-stubs.ts';
import type { TableMeta } from '../table/table-meta.ts';
import { PickerAroundDamage } from './around-damage.ts';
import { compactionSettingsOf } from './compaction-picker.ts';
import type { Compaction } from './compaction-picker.ts';
import { LEVEL_LAST, Version } from './version.ts';

const ROWS_MAX = 8;
const ROW_BYTES = 10;
/** A job from level 0 takes 32 tables, any other 16; level 0 is due from 320 bytes or 12 runs on. */
const SETTINGS = compactionSettingsOf(ROWS_MAX * ROW_BYTES, ROWS_MAX * ROW_BYTES);

function damagedOf(...tables: readonly TableMeta[]): DamagedTables {
  const damaged = new DamagedTables();
  for (const { number } of tables) damaged.note(number);
  return damaged;
}

function pick(version: Version, damaged: DamagedTables): Compaction | undefined {
  return new PickerAroundDamage(SETTINGS, damaged).pick(version);
}

function textOf(job: Compaction | undefined): unknown {
  if (job === undefined) return undefined;
  const tables = job.inputs.map((input) => [
    input.level,
    ...input.tables.map(({ smallest, end }) => `${smallest}-${end}`),
  ]);
  return { to: job.outputLevel, tables, isMove: job.isMove };
}

const PENULTIMATE = LEVEL_LAST - 1;

describe('around a damaged table', () => {
  test('of the last level, level 0 goes past the slices that need it, and above it for those', () => {
    const broken = table('a', 'c');
    const version = versionOf({
      0: [
        [table('a', 'b'), table('d', 'e')],
        [table('a', 'b', { sizeBytes: 300 }), table('d', 'e')],
      ],
      [LEVEL_LAST]: [[broken, table('c', 'f')]],
    });
    const picker = new PickerAroundDamage(SETTINGS, damagedOf(broken));
    const above = {
      to: PENULTIMATE,
      tables: [
        [0, 'a-b'],
        [0, 'a-b'],
      ],
      isMove: false,
    };
    expect(textOf(picker.pick(version))).toEqual(above);
    const past = [
      [0, 'd-e'],
      [0, 'd-e'],
      [LEVEL_LAST, 'c-f'],
    ];
    expect(textOf(picker.pick(version))).toMatchObject({ to: LEVEL_LAST, tables: past });
  });

  test('of level 0, what is older goes first, then the table sinks, and what is newer comes after', () => {
    const broken = table('a', 'c');
    const last = table('a', 'f');
    const newer = table('a', 'd', { sizeBytes: 500 });
    const older = table('b', 'e');
    const damaged = damagedOf(broken);
    const first = pick(
      versionOf({ 0: [[newer], [broken], [older]], [LEVEL_LAST]: [[last]] }),
      damaged,
    );
    const tables = [
      [0, 'b-e'],
      [LEVEL_LAST, 'a-f'],
    ];
    expect(textOf(first)).toEqual({ to: LEVEL_LAST, tables, isMove: false });
    const second = pick(versionOf({ 0: [[newer], [broken]], [LEVEL_LAST]: [[last]] }), damaged);
    expect(textOf(second)).toEqual({ to: PENULTIMATE, tables: [[0, 'a-c']], isMove: true });
    const levels = { 0: [[newer]], [PENULTIMATE]: [[broken]], [LEVEL_LAST]: [[last]] };
    const third = pick(versionOf(levels), damaged);
    expect(textOf(third)).toEqual({ to: PENULTIMATE - 1, tables: [[0, 'a-d']], isMove: true });
  });

  test('that leaves level 0 no way down, sound neighbours are merged within it', () => {
    const broken = Array.from({ length: LEVEL_LAST }, () => table('a', 'z'));
    const below = Object.fromEntries(broken.map((one, at) => [at + 1, [[one]]]));
    const runs = Array.from({ length: 12 }, () => [table('a', 'z', { sizeBytes: 10 })]);
    const stuckRun = [table('a', 'z', { sizeBytes: 10 })];
    const damaged = damagedOf(...broken, ...stuckRun);
    const few = versionOf({ ...below, 0: [...runs.slice(4), stuckRun] });
    expect(pick(few, damaged)).toBeUndefined();
    const merged = pick(versionOf({ ...below, 0: [...runs, stuckRun] }), damaged);
    expect(merged).toMatchObject({ level: 0, outputLevel: 0, isMove: false });
    expect(merged?.inputs.flatMap((input) => input.tables)).toEqual(runs.flat());
  });

  test('nothing is looked for again before something has changed', () => {
    const broken = Array.from({ length: LEVEL_LAST }, () => table('a', 'z'));
    const below = Object.fromEntries(broken.map((one, at) => [at + 1, [[one]]]));
    const version = versionOf({ ...below, 0: [[table('a', 'z', { sizeBytes: 1000 })]] });
    const damaged = damagedOf(...broken);
    const picker = new PickerAroundDamage(SETTINGS, damaged);
    expect(picker.pick(version)).toBeUndefined();
    expect(picker.pick(version)).toBeUndefined();
    damaged.forget(broken[0]?.number ?? 0);
    expect(picker.pick(version)).toMatchObject({ level: 0, outputLevel: 1 });
  });
});

/** A tree of keys and how new they are, in which tables become damaged as it grows. */
class AgingTree {
  version = Version.empty();
  readonly damaged = new DamagedTables();
  readonly newest = new Map<string, number>();
  levelZeroMax = 0;
  readonly #random: SeededRandom;
  readonly #contents = new Map<number, ReadonlyMap<string, number>>();
  readonly #picker = new PickerAroundDamage(SETTINGS, this.damaged);
  #age = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  flush(): void {
    const rows = new Map<string, number>();
    const from = this.#random.chance(0.5) ? 0 : this.#random.below(300);
    for (let count = 0; count < 2 * ROWS_MAX; count++) {
      const key = String(from + this.#random.below(from === 0 ? 400 : 60)).padStart(3, '0');
      rows.set(key, ++this.#age);
      this.newest.set(key, this.#age);
    }
    const tables = this.#write(rows);
    this.version = this.version.withChange({ add: [{ level: 0, tables }], remove: [] });
    this.levelZeroMax = Math.max(this.levelZeroMax, this.version.levels[0]?.runs.length ?? 0);
  }

  damageOne(): void {
    const all = [...this.version.tables()];
    this.damaged.note((all[this.#random.below(all.length)] as TableMeta).number);
  }

  compactAll(): void {
    for (;;) {
      const job = this.#picker.pick(this.version);
      if (job === undefined) return;
      const inputs = job.inputs.flatMap(({ tables }) => tables);
      const remove = inputs.map(({ number }) => number);
      if (!job.isMove) expect(inputs.filter(({ number }) => this.damaged.has(number))).toEqual([]);
      const tables = job.isMove ? inputs : this.#merge(inputs);
      this.version =
        job.outputLevel === 0
          ? this.version.withMergedRuns(remove, tables)
          : this.version.withChange({ add: [{ level: job.outputLevel, tables }], remove });
    }
  }

  /** What reads find, level by level. */
  readAll(): ReadonlyMap<string, number> {
    return this.#newestOf(this.version.tables());
  }

  #merge(inputs: readonly TableMeta[]): readonly TableMeta[] {
    return this.#write(this.#newestOf(inputs));
  }

  /** The tables come newest first. */
  #newestOf(tables: Iterable<TableMeta>): ReadonlyMap<string, number> {
    const rows = new Map<string, number>();
    for (const { number } of tables) {
      for (const [key, age] of this.#contents.get(number) ?? []) {
        if (!rows.has(key)) rows.set(key, age);
      }
    }
    return rows;
  }

  #write(rows: ReadonlyMap<string, number>): readonly TableMeta[] {
    const sorted = [...rows].sort(([left], [right]) => (left < right ? -1 : 1));
    const tables: TableMeta[] = [];
    for (let at = 0; at < sorted.length; at += ROWS_MAX) {
      const some = sorted.slice(at, at + ROWS_MAX);
      const end = `${some.at(-1)?.[0] ?? ''}\0`;
      const made = table(some[0]?.[0] ?? '', end, { sizeBytes: ROW_BYTES * some.length });
      this.#contents.set(made.number, new Map(some));
      tables.push(made);
    }
    return tables;
  }
}

function sortedRows(rows: ReadonlyMap<string, number>): string {
  return [...rows].sort(([left], [right]) => (left < right ? -1 : 1)).join(' ');
}

test.each(['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'])(
  'whatever is damaged, nothing older ever lies above something newer (%s)',
  (seed) => {
    const random = new SeededRandom(`around damage ${seed}`);
    const tree = new AgingTree(random);
    for (let flush = 0; flush < 120; flush++) {
      tree.flush();
      if (flush % 20 === 15) tree.damageOne();
      tree.compactAll();
      expect(sortedRows(tree.readAll())).toEqual(sortedRows(tree.newest));
    }
    expect(tree.damaged.count).toBeGreaterThan(2);
    expect(tree.levelZeroMax).toBeLessThan(16);
  },
);
