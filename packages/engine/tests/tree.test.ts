/**
 * The merge tree against a plain map: memtables, flushes, compactions and views, without a device.
 */
import { SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import { flushCuts, outputCuts } from '../src/tree/compaction-cuts.ts';
import { CompactionPicker } from '../src/tree/compaction-picker.ts';
import type { Compaction, CompactionSettings } from '../src/tree/compaction-picker.ts';
import { MemTable } from '../src/tree/memtable.ts';
import { TreeEntry } from '../src/tree/tree-entry.ts';
import { TreeView } from '../src/tree/tree-view.ts';
import type { TreeRow } from '../src/tree/tree-view.ts';
import { LEVEL_LAST, Version } from '../src/tree/version.ts';
import { ROW_BYTES, TablesInMemory } from './tables-in-memory.ts';

const ROWS_PER_TABLE = 8;

const SETTINGS: CompactionSettings = {
  levelZeroBytes: 8 * ROWS_PER_TABLE * ROW_BYTES,
  levelZeroRunsMax: 6,
  fanout: 3,
  jobBytesMax: 6 * ROWS_PER_TABLE * ROW_BYTES,
  levelZeroJobBytesMax: 12 * ROWS_PER_TABLE * ROW_BYTES,
};

type Model = Map<string, TreeEntry>;

function textOf({ key, entry }: TreeRow): string {
  return `${key} ${String(entry.lsn)}`;
}

/** A tree with everything but a device. */
class Tree {
  readonly random: SeededRandom;
  readonly keyCount: number;
  readonly tables: TablesInMemory;
  readonly model: Model = new Map();
  readonly #picker = new CompactionPicker(SETTINGS);
  readonly jobs: Compaction[] = [];
  memtable = new MemTable();
  flushing: MemTable | undefined;
  version = Version.empty();
  #lsn = 0;

  constructor(seed: string, keyCount: number, promiseChance: number) {
    this.random = new SeededRandom(seed);
    this.keyCount = keyCount;
    this.tables = new TablesInMemory(this.random.derive('tables'), promiseChance);
  }

  name(): string {
    return `k${String(this.random.below(this.keyCount)).padStart(5, '0')}`;
  }

  change(): void {
    const name = this.name();
    const lsn = ++this.#lsn;
    if (this.random.chance(0.02)) {
      const number = Number(name.slice(1));
      const span = this.random.chance(0.2) ? this.keyCount / 2 : 30;
      const to = `k${String(number + 1 + this.random.below(span)).padStart(5, '0')}`;
      this.memtable.deleteRange(name, to);
      for (const key of [...this.model.keys()]) {
        if (key >= name && key < to) this.model.delete(key);
      }
    } else if (this.random.chance(0.25)) {
      this.memtable.set(name, TreeEntry.delete(lsn));
      this.model.delete(name);
    } else {
      const entry = TreeEntry.pointer(lsn, 1, 1, 1);
      this.memtable.set(name, entry);
      this.model.set(name, entry);
    }
  }

  rotate(): void {
    this.flush();
    this.flushing = this.memtable;
    this.memtable = new MemTable();
  }

  flush(): void {
    if (this.flushing === undefined || this.flushing.isEmpty) return;
    const content = this.tables.contentOf(this.flushing);
    // Some flushes know nothing of cuts: the picker must be right all the same.
    const cuts = this.random.chance(0.8) ? flushCuts(this.version, SETTINGS) : [];
    const tables = this.tables.write(content, { rowsMax: ROWS_PER_TABLE, cuts });
    this.version = this.version.withChange({ add: [{ level: 0, tables }], remove: [] });
    this.flushing = undefined;
  }

  compact(): boolean {
    const job = this.#picker.pick(this.version);
    if (job === undefined) return false;
    this.jobs.push(job);
    const moved = job.inputs.flatMap((input) => input.tables);
    const remove = moved.map((table) => table.number);
    let tables = moved.toSorted((a, b) => (a.smallest < b.smallest ? -1 : 1));
    if (!job.isMove) {
      const sources = job.inputs.map((input) =>
        this.tables.merge(
          input.tables.map((table) => this.tables.content(table)),
          false,
        ),
      );
      const cuts = outputCuts(this.version, job, SETTINGS);
      const merged = this.tables.merge(sources, job.dropsDeletes);
      tables = this.tables.write(merged, { rowsMax: ROWS_PER_TABLE, cuts });
    }
    const gone = this.version.withChange({ add: [], remove });
    this.version = gone.withChange({ add: [{ level: job.outputLevel, tables }], remove: [] });
    return true;
  }

  view(): TreeView {
    const memtables = [this.memtable, this.flushing].flatMap((memtable) =>
      memtable === undefined ? [] : [memtable.snapshot()],
    );
    const { version, tables } = this;
    return new TreeView({
      memtables,
      version,
      lookup: tables,
      breathe: () => Promise.resolve(),
    });
  }

  async check(view: TreeView, model: Model): Promise<void> {
    const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
    for (let round = 0; round < 4; round++) {
      const name = this.name();
      expect(await view.get(name)).toStrictEqual(model.get(name));
    }
    for (const reverse of [false, true]) {
      const from = this.random.chance(0.2) ? '' : this.name();
      const to = this.random.chance(0.3) ? undefined : this.name();
      const limit = this.random.chance(0.5) ? 1 + this.random.below(10) : 5000;
      const inside = sorted
        .filter(([key]) => key >= from && (to === undefined || key < to))
        .map(([key, { lsn }]) => `${key} ${String(lsn)}`);
      if (reverse) inside.reverse();
      const rows = await view.rows({ from, to, reverse }, limit);
      expect(rows.map(textOf)).toEqual(inside.slice(0, limit));
      if (!this.random.chance(0.2)) continue;
      const all: string[] = [];
      for await (const page of view.entries({ from, to, reverse })) {
        all.push(...page.map(textOf));
      }
      expect(all).toEqual(inside);
    }
  }
}

test.each([
  ['few keys, answers at once', 60, 0],
  ['few keys, with promises', 60, 0.3],
  ['many keys', 3000, 0.05],
])(
  'the tree is a sorted map, and views do not change: %s',
  async (seed, keyCount, promiseChance) => {
    const tree = new Tree(seed, keyCount, promiseChance);
    const views: { view: TreeView; model: Model }[] = [];
    for (let round = 0; round < 300; round++) {
      for (let step = 0; step < 30; step++) tree.change();
      if (tree.random.chance(0.5)) tree.rotate();
      if (tree.random.chance(0.5)) tree.flush();
      while (tree.random.chance(0.7) && tree.compact());
      const view = tree.view();
      await tree.check(view, tree.model);
      if (round % 30 === 0) views.push({ view, model: new Map(tree.model) });
      for (const old of views) {
        if (tree.random.chance(0.1)) await tree.check(old.view, old.model);
      }
    }
    for (const { view, model } of views) await tree.check(view, model);
    expect(tree.jobs.length).toBeGreaterThan(50);
    expect(tree.jobs.some((job) => job.dropsDeletes)).toBe(true);
    if (keyCount < 1000) return;
    expect(tree.jobs.some((job) => job.level > 0)).toBe(true);
    expect(tree.version.levels[LEVEL_LAST - 1]?.tableCount).toBeGreaterThan(0);
  },
  60_000,
);
