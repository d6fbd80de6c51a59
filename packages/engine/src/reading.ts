/**
 * The reading half of an engine: `get`, `stat`, `scan` and snapshots over an index.
 *
 * Every read first enters the table of segments, so that what it is about to read is not written
 * again under its hands.
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
import type { IndexView } from './key-index.ts';
import { SCAN_PAGE_ROWS } from './limits.ts';
import type { LogSource } from './log-walk.ts';
import { RecordReader } from './record-reader.ts';
import { indexRangeOf, scanRows } from './scan.ts';
import type { TestSwitches } from './test-switches.ts';

export interface ReadingOptions {
  readonly catalog: Catalog;
  readonly source: LogSource;
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

  constructor(options: ReadingOptions) {
    this.#options = options;
    const { source, counters, switches, catalog } = options;
    this.#reader = new RecordReader({ source, counters, switches, segments: catalog.segments });
  }

  async get(key: Uint8Array, range?: ByteRange): Promise<Entry | undefined> {
    const entering = this.#options.enter();
    if (entering !== undefined) await entering;
    return this.#getFrom(this.#options.catalog.index, key, range);
  }

  async stat(key: Uint8Array): Promise<EntryInfo | undefined> {
    const entering = this.#options.enter();
    if (entering !== undefined) await entering;
    const entry = this.#options.catalog.index.get(binaryStringOf(key));
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
          view: this.#viewFor(range, options),
          reader: this.#reader,
          source: this.#options.source,
          enter,
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
    const view = catalog.index.snapshot();
    const epoch = catalog.segments.enter(false);
    let isClosed = false;
    const enter = (): Promise<void> | undefined => {
      if (!isClosed) return this.#options.enter();
      throw new EngineError('Reading from a snapshot: it has been closed.', {
        code: 'SNAPSHOT_CLOSED',
      });
    };
    const reader = this.#reader;
    const get = async (key: Uint8Array, range?: ByteRange): Promise<Entry | undefined> => {
      const entering = enter();
      if (entering !== undefined) await entering;
      return this.#getFrom(view, key, range, epoch);
    };
    return {
      lsn,
      get,
      scan: (range, options = {}) => {
        // Throws now what an iteration would reject with.
        enter()?.catch(() => undefined);
        return scanRows({ view, reader, source, enter }, range, options);
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        catalog.segments.leave(epoch, false);
      },
    };
  }

  async #getFrom(
    view: IndexView,
    key: Uint8Array,
    range: ByteRange | undefined,
    viewEpoch?: number,
  ): Promise<Entry | undefined> {
    const { catalog, counters } = this.#options;
    counters.getCount++;
    const name = binaryStringOf(key);
    const entry = view.get(name);
    if (entry === undefined) return undefined;
    const epoch = catalog.segments.enter(true, viewEpoch);
    try {
      const value = await this.#reader.read(name, entry, range);
      return { lsn: entry.lsn as Lsn, sizeBytes: entry.valueBytes, value };
    } finally {
      catalog.segments.leave(epoch, true);
    }
  }

  /** A short scan takes all its rows at once; a longer one needs a view that stays as it is. */
  #viewFor(range: KeyRange, options: ScanOptions): IndexView {
    const { index } = this.#options.catalog;
    const limit = options.limit ?? Number.POSITIVE_INFINITY;
    if (limit > SCAN_PAGE_ROWS) return index.snapshot();
    const rows = index.rows(indexRangeOf(range), limit);
    return { size: rows.length, get: () => undefined, rows: (_, count) => rows.slice(0, count) };
  }
}
