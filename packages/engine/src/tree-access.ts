/** How everybody gets at the tree: tables of the device through one cache, and views over the catalog. */
import type { Catalog, Generation } from './catalog.ts';
import type { Counters } from './counters.ts';
import { DamagedTables } from './damaged-tables.ts';
import { findHidden } from './hidden-entries.ts';
import type { LogSource } from './log-walk.ts';
import type { MaybePromise } from './maybe-promise.ts';
import type { Pace } from './pacer.ts';
import { BlockCache } from './table/block-cache.ts';
import type { TableMeta } from './table/table-meta.ts';
import { TableReader } from './table/table-reader.ts';
import type { TableReads, TableSource } from './table/table-source.ts';
import type { TestSwitches } from './test-switches.ts';
import type { TreeEntry } from './tree/tree-entry.ts';
import type { TableLookup } from './tree/table-lookup.ts';
import { TreeView } from './tree/tree-view.ts';

export interface TreeAccessOptions {
  readonly catalog: Catalog;
  readonly source: LogSource;
  readonly cacheBytes: number;
  readonly counters: Counters;
  readonly switches: TestSwitches;
  /** Lets others have the thread. */
  readonly breathe: () => Promise<void>;
}

/** See the file comment. */
export class TreeAccess {
  readonly cache: BlockCache;
  readonly tables: TableReader;
  /** Tables that somebody has found damaged. */
  readonly damaged = new DamagedTables();
  readonly #catalog: Catalog;
  readonly #breathe: () => Promise<void>;
  /** The view of now; the active memtable in it goes on changing. */
  #current: { readonly generation: number; readonly view: TreeView } | undefined;

  constructor({ catalog, source, cacheBytes, counters, switches, breathe }: TreeAccessOptions) {
    this.#catalog = catalog;
    this.#breathe = breathe;
    this.cache = new BlockCache(cacheBytes);
    const reads = new DeviceTables(source);
    const { cache, damaged } = this;
    this.tables = new TableReader({ source: reads, cache, counters, damaged, switches });
  }

  /** What a key has now. The caller has entered the table of segments if it waits for the answer. */
  lookUp(name: string): MaybePromise<TreeEntry | undefined> {
    return this.current().get(name);
  }

  /** The tree as it is now, for single looks: the next change is in it. */
  current(): TreeView {
    const { generation, memtables, version } = this.#catalog;
    if (this.#current?.generation !== generation) {
      const view = new TreeView({
        memtables,
        version,
        lookup: this.tables,
        breathe: this.#breathe,
      });
      this.#current = { generation, view };
    }
    return this.#current.view;
  }

  /** The tree as it is now, for as long as one has entered the table of segments; tables by `lookup`. */
  frozen(lookup: TableLookup = this.tables): TreeView {
    const { active, flushing, version } = this.#catalog;
    const memtables = [active.memtable.snapshot()];
    if (flushing !== undefined) memtables.push(flushing.memtable.snapshot());
    return new TreeView({ memtables, version, lookup, breathe: this.#breathe });
  }

  /** What names, in ascending order, have below a generation: see `hidden-entries.ts`. */
  hiddenBelow(
    generation: Generation,
    names: readonly string[],
    pacer: Pace,
  ): Promise<readonly (TreeEntry | undefined)[]> {
    const { active, flushing, version } = this.#catalog;
    const isAbove = generation === active && flushing !== undefined;
    const memtables = isAbove ? [flushing.memtable] : [];
    return findHidden({ memtables, version, reader: this.tables }, names, pacer);
  }

  /** What lies below a generation. */
  below(generation: Generation): TreeView {
    const { active, flushing, version } = this.#catalog;
    const isAbove = generation === active && flushing !== undefined;
    const memtables = isAbove ? [flushing.memtable] : [];
    return new TreeView({ memtables, version, lookup: this.tables, breathe: this.#breathe });
  }
}

/** Tables where they lie in segments. */
class DeviceTables implements TableSource {
  readonly #source: LogSource;
  readonly uncached: TableReads;

  constructor(source: LogSource) {
    this.#source = source;
    const { uncached } = source;
    this.uncached = {
      read: (meta, offset, sizeBytes) =>
        uncached.read(meta.segment, meta.offset + offset, sizeBytes),
    };
  }

  get path(): string {
    return this.#source.device.path;
  }

  read(meta: TableMeta, offset: number, sizeBytes: number): Promise<Uint8Array> {
    return this.#source.read(meta.segment, meta.offset + offset, sizeBytes);
  }

  readCached(meta: TableMeta, offset: number, into: Uint8Array): boolean {
    return this.#source.readCached(meta.segment, meta.offset + offset, into);
  }

  place(meta: TableMeta, offset: number): number {
    return this.#source.place(meta.segment, meta.offset + offset);
  }
}
