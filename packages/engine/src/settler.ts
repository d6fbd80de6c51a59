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
  readonly tree: TreeAccess;
  readonly pacer: Pace;
  readonly switches?: TestSwitches;
}

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
    names.sort();
    let at = 0;
    this.#options.pacer.begin();
    try {
      for (; at < names.length && mayGoOn(); at += LOOKUPS_AT_ONCE) {
        await this.#settleSome(generation, names.slice(at, at + LOOKUPS_AT_ONCE));
        await this.#options.pacer.pause();
      }
    } finally {
      if (at < names.length) generation.unsettled.push(...names.slice(at));
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
