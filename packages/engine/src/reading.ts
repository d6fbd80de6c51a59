/**
 * The reading half of an engine: `get`, `stat`, `scan` and snapshots over the tree.
 *
 * Every read that waits first enters the table of segments, so that what it is about to read is not written
 * again under its hands. One that ends in the turn in which it began need not.
 */
import { binaryStringOf } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import type {
  ByteRange,
  Entry,
  EntryInfo,
  KeyRange,
  Lsn,
  ScanEntry,
  ScanOptions,
  Snapshot,
} from './engine-types.ts';
import { EngineError } from './errors.ts';
import type { LogSource, ReadMode } from './log-walk.ts';
import { isPromise } from './maybe-promise.ts';
import type { MaybePromise } from './maybe-promise.ts';
import { RecordReader } from './record-reader.ts';
import { scanRows } from './scan.ts';
import type { TestSwitches } from './test-switches.ts';
import { ENTRY_INLINE } from './tree/tree-entry.ts';
import type { TreeEntry } from './tree/tree-entry.ts';
import type { TreeView } from './tree/tree-view.ts';
import type { TreeAccess } from './tree-access.ts';

export interface ReadingOptions {
  readonly catalog: Catalog;
  readonly source: LogSource;
  readonly tree: TreeAccess;
  readonly counters: Counters;
  readonly switches: TestSwitches;
  /**
   * Throws when the engine does not serve. A promise where the lease has lapsed: whether this process
   * still has the device must be found out before it shows anything.
   */
  readonly enter: () => Promise<void> | undefined;
}

/** See the file comment. */
export class Reading {
  readonly #options: ReadingOptions;
  readonly #reader: RecordReader;

  /** Reads and checks records of the log. */
  get records(): RecordReader {
    return this.#reader;
  }

  constructor(options: ReadingOptions) {
    this.#options = options;
    const { source, counters, switches, catalog } = options;
    this.#reader = new RecordReader({ source, counters, switches, segments: catalog.segments });
  }

  /** Asynchronous once and not twice: what is cached costs little more than the promise of it. */
  async get(key: Uint8Array, range?: ByteRange): Promise<Entry | undefined> {
    const entering = this.#options.enter();
    if (entering !== undefined) await entering;
    const entry = this.#getFrom(this.#options.tree.current(), key, range);
    return isPromise(entry) ? await entry : entry;
  }

  async stat(key: Uint8Array): Promise<EntryInfo | undefined> {
    const entering = this.#options.enter();
    if (entering !== undefined) await entering;
    const entry = await this.#lookUp(this.#options.tree.current(), binaryStringOf(key));
    if (entry === undefined) return undefined;
    return { lsn: entry.lsn as Lsn, sizeBytes: entry.valueBytes };
  }

  async *scan(range: KeyRange, options: ScanOptions = {}): AsyncGenerator<ScanEntry> {
    const { catalog, enter } = this.#options;
    const entering = enter();
    if (entering !== undefined) await entering;
    const epoch = catalog.segments.enter(false);
    try {
      yield* scanRows(
        {
          view: this.#options.tree.frozen(),
          segments: catalog.segments,
          reader: this.#reader,
          source: this.#options.source,
          enter,
          // What it has entered itself holds for all of it.
          hold: (read) => read(),
        },
        range,
        options,
      );
    } finally {
      catalog.segments.leave(epoch, false);
    }
  }

  snapshot(lsn: number): Snapshot {
    const { catalog, source } = this.#options;
    // Throws now; a lapsed lease is waited for by the reads of the snapshot.
    this.#options.enter()?.catch(() => undefined);
    const view = this.#options.tree.frozen();
    const epoch = catalog.segments.enter(false);
    let isClosed = false;
    const assertOpen = (): void => {
      if (!isClosed) return;
      throw new EngineError('Reading from a snapshot: it has been closed.', {
        code: 'SNAPSHOT_CLOSED',
      });
    };
    const enter = (): Promise<void> | undefined => {
      assertOpen();
      return this.#options.enter();
    };
    // In the turn in which a read begins the snapshot must be open; from then on the read holds its epoch.
    const hold = <Result>(read: () => MaybePromise<Result>): MaybePromise<Result> => {
      assertOpen();
      const result = read();
      return isPromise(result) ? this.#heldUntil(result, epoch) : result;
    };
    const reader = this.#reader;
    const get = async (key: Uint8Array, range?: ByteRange): Promise<Entry | undefined> => {
      const entering = enter();
      if (entering !== undefined) await entering;
      assertOpen();
      return await this.#getFrom(view, key, range, epoch);
    };
    return {
      lsn,
      get,
      scan: (range, options = {}) => {
        // Throws now what an iteration would reject with.
        enter()?.catch(() => undefined);
        const { segments } = catalog;
        return scanRows({ view, segments, reader, source, enter, hold }, range, options);
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        catalog.segments.leave(epoch, false);
      },
    };
  }

  /** At once where memory decides: then nothing is read that could be written again meanwhile. */
  #getFrom(
    view: TreeView,
    key: Uint8Array,
    range: ByteRange | undefined,
    viewEpoch?: number,
  ): MaybePromise<Entry | undefined> {
    this.#options.counters.getCount++;
    const name = binaryStringOf(key);
    const found = view.get(name, key);
    if (isPromise(found)) return this.#readFrom(found, name, range, viewEpoch, 'cached');
    if (found === undefined) return undefined;
    if (found.kind === ENTRY_INLINE) return entryWith(found, inlineRange(found, range));
    const value = this.#reader.readCached(name, found, range);
    return typeof value === 'string'
      ? this.#readFrom(found, name, range, viewEpoch, value)
      : entryWith(found, value);
  }

  /** Called in the turn in which the look into the tree began. */
  async #readFrom(
    found: MaybePromise<TreeEntry | undefined>,
    name: string,
    range: ByteRange | undefined,
    viewEpoch: number | undefined,
    mode: ReadMode,
  ): Promise<Entry | undefined> {
    const { segments } = this.#options.catalog;
    const epoch = segments.enter(true, viewEpoch);
    try {
      const entry = isPromise(found) ? await found : found;
      if (entry === undefined) return undefined;
      const isInline = entry.kind === ENTRY_INLINE;
      const value = isInline
        ? inlineRange(entry, range)
        : await this.#reader.read(name, entry, range, mode);
      return entryWith(entry, value);
    } finally {
      segments.leave(epoch, true);
    }
  }

  /** What is known of a key, while its tables are kept from being written again. */
  async #lookUp(view: TreeView, name: string): Promise<TreeEntry | undefined> {
    const found: MaybePromise<TreeEntry | undefined> = view.get(name);
    return isPromise(found) ? this.#heldUntil(found) : found;
  }

  /**
   * Waits for a read that has begun in this turn, while nothing that it may read is written again.
   *
   * @param viewEpoch that of the snapshot it reads from; default: now.
   */
  async #heldUntil<Result>(reading: Promise<Result>, viewEpoch?: number): Promise<Result> {
    const { segments } = this.#options.catalog;
    const epoch = segments.enter(true, viewEpoch);
    try {
      return await reading;
    } finally {
      segments.leave(epoch, true);
    }
  }
}

function entryWith({ lsn, valueBytes }: TreeEntry, value: Uint8Array): Entry {
  return { lsn: lsn as Lsn, sizeBytes: valueBytes, value };
}

/** A copy of the bytes `[start, end)` of a value that stands in the tree. */
function inlineRange(entry: TreeEntry, range: ByteRange | undefined): Uint8Array {
  if (range === undefined) return entry.copyOfValue();
  const { value } = entry;
  const start = Math.min(Math.max(range.start, 0), value.length);
  const end = Math.min(Math.max(range.end, start), value.length);
  return value.slice(start, end);
}
