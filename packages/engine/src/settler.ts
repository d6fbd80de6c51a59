/**
 * Finds out what entries of the memtables hide in older sources: see the accounting in `catalog.ts`.
 *
 * A flush settles all entries of its memtable, in key order, so that neighbours share blocks. When nothing
 * was written for a moment those of the active memtable are settled too: then the statistics are exact,
 * and space that deletes have freed is known. What an entry hides does not change while it waits: reclaim
 * moves nothing that is hidden, and a flush or a compaction only moves it to another table.
 */
import { hasCode } from '@dozo/base';
import type { Catalog, Generation, RangeShadows } from './catalog.ts';
import type { IndexRow } from './key-index.ts';
import { LOOKUPS_AT_ONCE, SETTLE_NAMES_AT_ONCE } from './limits.ts';
import { isPromise } from './maybe-promise.ts';
import type { Pace } from './pacer.ts';
import { recordBytesOf } from './record.ts';
import { COVERED } from './tree/memtable.ts';
import { ENTRY_POINTER, SHADOW_UNKNOWN } from './tree/tree-entry.ts';
import type { TreeEntry } from './tree/tree-entry.ts';
import type { TestSwitches } from './test-switches.ts';
import type { TreeAccess } from './tree-access.ts';

export interface SettlerOptions {
  readonly catalog: Catalog;
  /** Without `hiddenBelow` keys are looked up one by one: where tables are damaged, and not through a cache. */
  readonly tree: Pick<TreeAccess, 'below'> & Partial<Pick<TreeAccess, 'hiddenBelow'>>;
  readonly pacer: Pace;
  readonly switches?: TestSwitches;
}

/** With more than one in so many entries unsettled, all are walked over. */
const WALK_SHARE = 16;
/** So many names are sorted in a millisecond or two. */
const SORTED_NAMES_MAX = 2048;

/** See the file comment. */
export class Settler {
  readonly #options: SettlerOptions;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /**
   * Settles the entries that a generation has now. Rejects with what reads of the tree reject with.
   *
   * @param mayGoOn asked now and then; when it says no, the rest stays as it is.
   */
  async settle(generation: Generation, mayGoOn: () => boolean = () => true): Promise<void> {
    if (this.#options.switches?.skipSettle === true) return;
    const names = generation.unsettled;
    generation.unsettled = [];
    const { entryCount } = generation.memtable;
    const isMost = names.length * WALK_SHARE >= entryCount || names.length > SORTED_NAMES_MAX;
    let isDone = false;
    this.#options.pacer.begin();
    try {
      isDone = isMost
        ? await this.#settleAll(generation, mayGoOn)
        : await this.#settleNames(generation, names.sort(), mayGoOn);
    } finally {
      // Those that are settled by now are passed over next time.
      if (!isDone) generation.unsettled = names.concat(generation.unsettled);
    }
  }

  /** In key order, so that lookups find the blocks that the ones before have read. */
  async #settleNames(
    generation: Generation,
    names: readonly string[],
    mayGoOn: () => boolean,
  ): Promise<boolean> {
    const { memtable } = generation;
    for (let at = 0; at < names.length; at += LOOKUPS_AT_ONCE) {
      if (!mayGoOn()) return false;
      const rows: IndexRow<TreeEntry>[] = [];
      let before: string | undefined;
      for (const key of names.slice(at, at + LOOKUPS_AT_ONCE)) {
        const entry = memtable.get(key);
        // A name may be listed twice.
        if (entry !== undefined && key !== before) rows.push({ key, entry });
        before = key;
      }
      await this.#settleRows(generation, rows);
      await this.#options.pacer.pause();
    }
    return true;
  }

  /** The memtable is sorted already, and sorting many names would hold the thread. */
  async #settleAll(generation: Generation, mayGoOn: () => boolean): Promise<boolean> {
    let from = '';
    while (mayGoOn()) {
      const rows = generation.memtable.rows({ from, reverse: false }, SETTLE_NAMES_AT_ONCE);
      const last = rows.at(-1);
      if (last === undefined) return true;
      await this.#settleRows(generation, rows);
      from = `${last.key}\0`;
      await this.#options.pacer.pause();
    }
    return false;
  }

  /** What the range deletes of the generation that is being flushed hide. */
  async rangeShadows(generation: Generation): Promise<RangeShadows> {
    const pointers = new Map<number, number>();
    let keyCount = 0;
    const { catalog, pacer } = this.#options;
    const epoch = catalog.segments.enter(false);
    pacer.begin();
    try {
      const view = this.#options.tree.below(generation);
      for (const { from, to } of generation.memtable.ranges.list()) {
        const pages = view.entries({ from, to, reverse: false })[Symbol.asyncIterator]();
        for (;;) {
          const { value: rows, done } = await pacer.wait(pages.next());
          if (done === true) break;
          keyCount += rows.length;
          addPointers(pointers, rows);
          await pacer.pause();
        }
      }
    } catch (error) {
      // What lies behind the damage keeps its space.
      if (!hasCode(error, 'INDEX_DAMAGED')) throw error;
    } finally {
      catalog.segments.leave(epoch, false);
    }
    return { keyCount, pointers };
  }

  /** Settles rows that the memtable has now, in key order. */
  async #settleRows(generation: Generation, rows: readonly IndexRow<TreeEntry>[]): Promise<void> {
    // What a range delete covers is settled with it.
    const unsettled = rows.filter(
      ({ entry }) => entry.shadowOrdinal === SHADOW_UNKNOWN && entry !== COVERED,
    );
    if (unsettled.length === 0) return;
    const { catalog, tree, pacer } = this.#options;
    if (tree.hiddenBelow === undefined) return this.#settleOneByOne(generation, unsettled);
    // Then what was read of the memtable stays true while this waits.
    const isFrozen = generation === catalog.flushing;
    const epoch = catalog.segments.enter(true);
    try {
      const names = unsettled.map(({ key }) => key);
      const hidden = await tree.hiddenBelow(generation, names, pacer);
      for (const [at, { key, entry }] of unsettled.entries()) {
        if (isFrozen) catalog.settleFlushing(key, entry, hidden[at]);
        else this.#settleNow(generation, key, hidden[at]);
      }
    } finally {
      catalog.segments.leave(epoch, true);
    }
  }

  async #settleOneByOne(
    generation: Generation,
    rows: readonly IndexRow<TreeEntry>[],
  ): Promise<void> {
    const { catalog } = this.#options;
    const view = this.#options.tree.below(generation);
    const epoch = catalog.segments.enter(true);
    try {
      const waiting: Promise<void>[] = [];
      for (const { key: name, entry } of rows) {
        const hidden = view.get(name);
        if (isPromise(hidden)) waiting.push(this.#settleLater(generation, name, hidden));
        else catalog.settle(name, entry, hidden);
      }
      if (waiting.length > 0) await this.#options.pacer.wait(Promise.all(waiting));
    } finally {
      catalog.segments.leave(epoch, true);
    }
  }

  async #settleLater(
    generation: Generation,
    name: string,
    hidden: Promise<TreeEntry | undefined>,
  ): Promise<void> {
    this.#settleNow(generation, name, await unlessDamaged(hidden));
  }

  /** Another entry may have taken its place meanwhile, which hides the same and is in no list. */
  #settleNow({ memtable }: Generation, name: string, hidden: TreeEntry | undefined): void {
    const entry = memtable.get(name);
    if (entry !== undefined && entry !== COVERED) this.#options.catalog.settle(name, entry, hidden);
  }
}

/** Where the tables are damaged nothing is known to be hidden: what is keeps its space. */
async function unlessDamaged(
  hidden: Promise<TreeEntry | undefined>,
): Promise<TreeEntry | undefined> {
  try {
    return await hidden;
  } catch (error) {
    if (hasCode(error, 'INDEX_DAMAGED')) return undefined;
    throw error;
  }
}

function addPointers(pointers: Map<number, number>, rows: readonly IndexRow<TreeEntry>[]): void {
  for (const { key, entry } of rows) {
    if (entry.kind !== ENTRY_POINTER) continue;
    const bytes = recordBytesOf(key.length, entry.valueBytes);
    pointers.set(entry.ordinal, (pointers.get(entry.ordinal) ?? 0) + bytes);
  }
}
