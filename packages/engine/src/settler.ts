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
import type { IndexRow } from './tree/index-range.ts';
import { LOOKUPS_AT_ONCE, SETTLE_NAMES_AT_ONCE } from './limits.ts';
import { isPromise } from './maybe-promise.ts';
import type { Pace } from './pacer.ts';
import { recordBytesOf } from './record.ts';
import { NO_ENTRY } from './tree/entry-arena.ts';
import { ENTRY_POINTER } from './tree/tree-entry.ts';
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
    const { entryCount, unsettledCount } = generation.memtable;
    if (unsettledCount === 0) return;
    this.#options.pacer.begin();
    if (unsettledCount * WALK_SHARE >= entryCount || unsettledCount > SORTED_NAMES_MAX) {
      await this.#settleAll(generation, mayGoOn);
    } else {
      await this.#settleNames(generation, generation.memtable.unsettledNames().sort(), mayGoOn);
    }
  }

  /** In key order, so that lookups find the blocks that the ones before have read. */
  async #settleNames(
    generation: Generation,
    names: readonly string[],
    mayGoOn: () => boolean,
  ): Promise<void> {
    const { memtable } = generation;
    for (let at = 0; at < names.length; at += LOOKUPS_AT_ONCE) {
      if (!mayGoOn()) return;
      const numbers = names.slice(at, at + LOOKUPS_AT_ONCE).map((name) => memtable.numberOf(name));
      await this.#settleNumbers(
        generation,
        numbers.filter((number) => number !== NO_ENTRY),
      );
      await this.#options.pacer.pause();
    }
  }

  /** The memtable is sorted already, and sorting many names would hold the thread. */
  async #settleAll(generation: Generation, mayGoOn: () => boolean): Promise<void> {
    const { memtable } = generation;
    let from = '';
    while (mayGoOn()) {
      const numbers = memtable.numbers({ from, reverse: false }, SETTLE_NAMES_AT_ONCE);
      const last = numbers.at(-1);
      if (last === undefined) return;
      from = `${memtable.nameOf(last)}\0`;
      await this.#settleNumbers(generation, numbers);
      await this.#options.pacer.pause();
    }
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

  /** Settles entries that the memtable has now, in key order. */
  async #settleNumbers(generation: Generation, numbers: readonly number[]): Promise<void> {
    const { memtable } = generation;
    const unsettled = numbers.filter((number) => memtable.isUnsettled(number));
    if (unsettled.length === 0) return;
    const { catalog, tree, pacer } = this.#options;
    const names = unsettled.map((number) => memtable.nameOf(number));
    if (tree.hiddenBelow === undefined) return this.#settleOneByOne(generation, names);
    // Then what was read of the memtable stays true while this waits.
    const isFrozen = generation === catalog.flushing;
    const epoch = catalog.segments.enter(true);
    try {
      const hidden = await tree.hiddenBelow(generation, names, pacer);
      for (const [at, name] of names.entries()) {
        if (isFrozen) catalog.settleFlushing(unsettled[at] as number, hidden[at]);
        // Another entry may have taken its place meanwhile, which hides the same.
        else catalog.settle(generation, name, hidden[at]);
      }
    } finally {
      catalog.segments.leave(epoch, true);
    }
  }

  async #settleOneByOne(generation: Generation, names: readonly string[]): Promise<void> {
    const { catalog } = this.#options;
    const view = this.#options.tree.below(generation);
    const epoch = catalog.segments.enter(true);
    try {
      const waiting: Promise<void>[] = [];
      for (const name of names) {
        const hidden = view.get(name);
        if (isPromise(hidden)) waiting.push(this.#settleLater(generation, name, hidden));
        else catalog.settle(generation, name, hidden);
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
    this.#options.catalog.settle(generation, name, await unlessDamaged(hidden));
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
