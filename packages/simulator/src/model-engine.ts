/**
 * The engine as a plain sorted map: what the real one is compared with, and a fast stand-in for
 * tests of what lies above it.
 *
 * It keeps every promise of {@link Engine} but durability: nothing outlives the object, nothing can be
 * damaged, and the device is full when `capacityBytes` of keys and values are in it.
 */
import { assert, bytesOfBinaryString, binaryStringOf, DozoError } from '@dozo/base';
import type {
  Batch,
  ByteRange,
  Engine,
  EngineEnd,
  EngineStats,
  Entry,
  EntryInfo,
  KeyRange,
  Lsn,
  ScanEntry,
  ScanOptions,
  Snapshot,
  VerifyReport,
} from '@dozo/engine';
import { EngineError } from '@dozo/engine';

interface Cell {
  readonly lsn: Lsn;
  readonly value: Uint8Array;
}

type ModelErrorCode = 'DEVICE_FULL' | 'ENGINE_CLOSED' | 'ENGINE_FAILED' | 'SNAPSHOT_CLOSED';

/** What {@link ModelEngine} rejects with; the same codes as the real engine. */
export class ModelEngineError extends DozoError<{ readonly code: ModelErrorCode }> {}

export interface ModelEngineOptions {
  /** Default: unlimited. */
  readonly capacityBytes?: number;
  /**
   * Called before each batch is applied; the batch waits for the promise. Rejecting makes the engine
   * fail, as a failed flush would.
   */
  readonly beforeApply?: (batch: Batch) => Promise<void> | void;
}

/** See the file comment. */
export class ModelEngine implements Engine {
  readonly ended: Promise<EngineEnd>;
  #end: (end: EngineEnd) => void = () => undefined;
  readonly #capacityBytes: number;
  readonly #beforeApply: ((batch: Batch) => Promise<void> | void) | undefined;
  /** Never changed in place: a batch makes a new one, so that a snapshot is just a reference. */
  #cells = new Map<string, Cell>();
  #sortedKeys: readonly string[] | undefined;
  #state: EngineStats['state'] = 'open';
  #lsn = 0;
  #liveBytes = 0;
  #last: Promise<unknown> = Promise.resolve();
  #sharedCells = false;

  constructor(options: ModelEngineOptions = {}) {
    this.#capacityBytes = options.capacityBytes ?? Number.MAX_SAFE_INTEGER;
    this.#beforeApply = options.beforeApply;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  apply(batch: Batch): Promise<Lsn> {
    const copy = batch.map((operation) =>
      // Not `slice`: that of a Buffer is a view.
      operation.kind === 'put'
        ? { ...operation, value: new Uint8Array(operation.value) }
        : operation,
    );
    const applied = this.#last.then(() => this.#applyNow(copy));
    this.#last = applied.catch(() => undefined);
    return applied;
  }

  async #applyNow(batch: Batch): Promise<Lsn> {
    this.#checkOpen();
    const addsBytes = batch.reduce(
      (sum, operation) =>
        operation.kind === 'put' ? sum + operation.key.length + operation.value.length : sum,
      0,
    );
    if (addsBytes > 0 && this.#liveBytes + addsBytes > this.#capacityBytes) {
      throw new ModelEngineError('The device is full.', { code: 'DEVICE_FULL' });
    }
    try {
      await this.#beforeApply?.(batch);
    } catch (cause) {
      this.#state = 'failed';
      const detail = { code: 'ENGINE_FAILED', path: 'model', reason: String(cause) } as const;
      this.#end({
        kind: 'failed',
        error: new EngineError('The device failed.', detail, { cause }),
      });
      throw new ModelEngineError('The device failed.', { code: 'ENGINE_FAILED' }, { cause });
    }
    if (this.#sharedCells) this.#cells = new Map(this.#cells);
    this.#sharedCells = false;
    this.#lsn += 1;
    const lsn = this.#lsn as Lsn;
    for (const operation of batch) {
      if (operation.kind === 'delete-range') {
        this.#deleteRange(binaryStringOf(operation.from), binaryStringOf(operation.to));
        continue;
      }
      const key = binaryStringOf(operation.key);
      const old = this.#cells.get(key);
      if (old !== undefined) this.#liveBytes -= key.length + old.value.length;
      if (operation.kind === 'put') {
        this.#liveBytes += key.length + operation.value.length;
        if (old === undefined) this.#sortedKeys = undefined;
        this.#cells.set(key, { lsn, value: operation.value });
      } else if (this.#cells.delete(key)) this.#sortedKeys = undefined;
    }
    return lsn;
  }

  #deleteRange(from: string, to: string): void {
    for (const [key, { value }] of [...this.#cells]) {
      if (key < from || key >= to) continue;
      this.#liveBytes -= key.length + value.length;
      this.#cells.delete(key);
      this.#sortedKeys = undefined;
    }
  }

  get(key: Uint8Array, range?: ByteRange): Promise<Entry | undefined> {
    return Promise.resolve().then(() => {
      this.#checkOpen();
      return entryOf(this.#cells.get(binaryStringOf(key)), range);
    });
  }

  stat(key: Uint8Array): Promise<EntryInfo | undefined> {
    return Promise.resolve().then(() => {
      this.#checkOpen();
      const cell = this.#cells.get(binaryStringOf(key));
      return cell === undefined ? undefined : { lsn: cell.lsn, sizeBytes: cell.value.length };
    });
  }

  scan(range: KeyRange, options: ScanOptions = {}): AsyncIterable<ScanEntry> {
    this.#checkOpen();
    this.#sharedCells = true;
    this.#sortedKeys ??= [...this.#cells.keys()].sort(compareStrings);
    return scanCells(this.#cells, this.#sortedKeys, range, options);
  }

  snapshot(): Snapshot {
    this.#checkOpen();
    this.#sharedCells = true;
    this.#sortedKeys ??= [...this.#cells.keys()].sort(compareStrings);
    return new ModelSnapshot(this.#cells, this.#sortedKeys, this.#lsn);
  }

  stats(): EngineStats {
    const free = this.#capacityBytes - this.#liveBytes;
    return {
      state: this.#state,
      deviceBytes: this.#capacityBytes,
      usableBytes: this.#capacityBytes,
      liveBytes: this.#liveBytes,
      availableBytes: free,
      keyCount: this.#cells.size,
      segmentCount: 0,
      segmentBytes: 0,
      freeSegmentCount: 0,
      quarantinedSegmentCount: 0,
      quarantinedClaims: [],
      lastLsn: this.#lsn,
      putCount: 0,
      deleteCount: 0,
      deleteRangeCount: 0,
      getCount: 0,
      commitCount: this.#lsn,
      flushCount: this.#lsn,
      bytesAccepted: 0,
      bytesWritten: 0,
      writeAmplification: 0,
      bytesRead: 0,
      bytesMoved: 0,
      reclaimDebtBytes: 0,
      checkpointCount: 0,
      checksumErrorCount: 0,
      staleReadCount: 0,
    };
  }

  verify(): Promise<VerifyReport> {
    return Promise.resolve({
      recordCount: this.#cells.size,
      bytesChecked: this.#liveBytes,
      damages: [],
    });
  }

  async close(): Promise<void> {
    await this.#last;
    this.#state = 'closed';
    // What came first stands: a promise resolves once.
    this.#end({ kind: 'closed' });
  }

  #checkOpen(): void {
    if (this.#state === 'closed') {
      throw new ModelEngineError('The engine is closed.', { code: 'ENGINE_CLOSED' });
    }
    if (this.#state === 'failed') {
      throw new ModelEngineError('The engine has failed.', { code: 'ENGINE_FAILED' });
    }
  }
}

class ModelSnapshot implements Snapshot {
  readonly lsn: number;
  readonly #cells: ReadonlyMap<string, Cell>;
  readonly #sortedKeys: readonly string[];
  #closed = false;

  constructor(cells: ReadonlyMap<string, Cell>, sortedKeys: readonly string[], lsn: number) {
    this.#cells = cells;
    this.#sortedKeys = sortedKeys;
    this.lsn = lsn;
  }

  get(key: Uint8Array, range?: ByteRange): Promise<Entry | undefined> {
    return Promise.resolve().then(() => {
      this.#checkOpen();
      return entryOf(this.#cells.get(binaryStringOf(key)), range);
    });
  }

  scan(range: KeyRange, options: ScanOptions = {}): AsyncIterable<ScanEntry> {
    this.#checkOpen();
    return scanCells(this.#cells, this.#sortedKeys, range, options);
  }

  close(): void {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new ModelEngineError('The snapshot is closed.', { code: 'SNAPSHOT_CLOSED' });
    }
  }
}

function entryOf(cell: Cell | undefined, range: ByteRange | undefined): Entry | undefined {
  if (cell === undefined) return undefined;
  const { lsn, value } = cell;
  const part = range === undefined ? value.slice() : value.slice(range.start, range.end);
  return { lsn, sizeBytes: value.length, value: part };
}

async function* scanCells(
  cells: ReadonlyMap<string, Cell>,
  sortedKeys: readonly string[],
  range: KeyRange,
  options: ScanOptions,
): AsyncIterable<ScanEntry> {
  const first = range.from === undefined ? 0 : lowerBound(sortedKeys, range.from);
  const end = range.to === undefined ? sortedKeys.length : lowerBound(sortedKeys, range.to);
  const count = Math.min(options.limit ?? Number.MAX_SAFE_INTEGER, end - first);
  for (let step = 0; step < count; step += 1) {
    const key = sortedKeys[range.reverse === true ? end - 1 - step : first + step];
    assert(key !== undefined, 'an index in range');
    const cell = cells.get(key);
    assert(cell !== undefined, 'keys and cells are of one moment');
    const row = { key: bytesOfBinaryString(key), lsn: cell.lsn, sizeBytes: cell.value.length };
    await Promise.resolve();
    yield options.values === false ? row : { ...row, value: cell.value.slice() };
  }
}

function lowerBound(sortedKeys: readonly string[], key: Uint8Array): number {
  const wanted = binaryStringOf(key);
  let low = 0;
  let high = sortedKeys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sortedKeys[middle] ?? '') < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compareStrings(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
