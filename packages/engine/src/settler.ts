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
import { LOOKUPS_AT_ONCE } from './limits.ts';
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
  readonly tree: Pick<TreeAccess, 'below'>;
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
    for (let at = 0; at < names.length; at += LOOKUPS_AT_ONCE) {
      if (!mayGoOn()) return false;
      await this.#settleSome(generation, names.slice(at, at + LOOKUPS_AT_ONCE));
      await this.#options.pacer.pause();
    }
    return true;
  }

  /** The memtable is sorted already, and sorting many names would hold the thread. */
  async #settleAll(generation: Generation, mayGoOn: () => boolean): Promise<boolean> {
    let from = '';
    while (mayGoOn()) {
      const rows = generation.memtable.rows({ from, reverse: false }, LOOKUPS_AT_ONCE);
      const last = rows.at(-1);
      if (last === undefined) return true;
      await this.#settleSome(
        generation,
        rows.map(({ key }) => key),
      );
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

  async #settleSome(generation: Generation, names: readonly string[]): Promise<void> {
    const { catalog } = this.#options;
    const { memtable } = generation;
    const view = this.#options.tree.below(generation);
    const epoch = catalog.segments.enter(true);
    try {
      const waiting: Promise<void>[] = [];
      for (const name of names) {
        const entry = memtable.get(name);
        // What a range delete covers is settled with it.
        if (entry?.shadowOrdinal !== SHADOW_UNKNOWN || entry === COVERED) continue;
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
    { memtable }: Generation,
    name: string,
    hidden: Promise<TreeEntry | undefined>,
  ): Promise<void> {
    const found = await unlessDamaged(hidden);
    // Another one may have taken its place meanwhile, which hides the same and is in no list.
    const entry = memtable.get(name);
    if (entry !== undefined && entry !== COVERED) this.#options.catalog.settle(name, entry, found);
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
