/**
 * The face of the engine: an ordered key-value store on one device.
 *
 * Memory is bounded by configuration, not by the number of keys, so every read is asynchronous, although
 * memory answers many at once.
 */
import type { Brand } from '@dozo/base';
import type { FencedClaim } from './claim-history.ts';
import type { EngineError } from './errors.ts';

/**
 * Log sequence number: the position of a batch in the history of the device, an integer >= 1 that
 * only grows, also across restarts and claims. All keys that one batch wrote carry its number.
 */
export type Lsn = Brand<number, 'Lsn'>;

/**
 * One change. Keys are `[1, KEY_BYTES_MAX]` bytes, values `[0, VALUE_BYTES_MAX]` bytes. `delete-range`
 * deletes all keys in `[from, to)`, at the cost of one delete; both bounds are keys, `from` below `to`.
 */
export type Operation =
  | { readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: Uint8Array }
  | { readonly kind: 'delete-range'; readonly from: Uint8Array; readonly to: Uint8Array };

/**
 * Changes that happen together or not at all, in order; a later one on the same key wins. Deleting
 * an absent key is no error. Buffers must not change until `apply` has settled.
 */
export type Batch = readonly Operation[];

/** What is known of a key without its value. */
export interface EntryInfo {
  /** The batch that wrote this value. */
  readonly lsn: Lsn;
  /** Length of the whole value in bytes. */
  readonly sizeBytes: number;
}

/** A key's value, or the range of it that was asked for. */
export interface Entry extends EntryInfo {
  /** Belongs to the caller. */
  readonly value: Uint8Array;
}

/** Bytes `[start, end)` of a value; `end` past the value's end means its end. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Keys in `[from, to)`, in byte order or, with `reverse`, from the last to the first. */
export interface KeyRange {
  /** Default: the first key. */
  readonly from?: Uint8Array;
  /** Default: past the last key. */
  readonly to?: Uint8Array;
  readonly reverse?: boolean;
}

/** One row of a scan. */
export interface ScanEntry extends EntryInfo {
  readonly key: Uint8Array;
  /** Absent in a scan without values. */
  readonly value?: Uint8Array;
}

export interface ScanOptions {
  /** At most so many rows; default: all. */
  readonly limit?: number;
  /** Default true. Without values no read of the device is made for them. */
  readonly values?: boolean;
}

/** A view of one moment. Holds space on the device until it is closed. */
export interface Snapshot {
  /** The last batch that it shows; 0 before the first. */
  readonly lsn: number;
  /** @see Engine.get */
  get(key: Uint8Array, range?: ByteRange): Promise<Entry | undefined>;
  /** @see Engine.scan */
  scan(range: KeyRange, options?: ScanOptions): AsyncIterable<ScanEntry>;
  /** Idempotent. Reads after it reject with `SNAPSHOT_CLOSED`. */
  close(): void;
}

/** How the claim of an open engine stands. */
export interface ClaimStats {
  readonly incarnation: number;
  /** Wall clock in ms. */
  readonly sinceWallMs: number;
  readonly lastBeatWallMs: number;
  readonly beatCount: number;
  readonly beatIntervalMs: number;
  readonly leaseMs: number;
  /** Until the lease is over unless a beat renews it; 0 when it is. */
  readonly leaseLeftMs: number;
  /** Only this machine reaches the device, by one path. */
  readonly isLocal: boolean;
}

/** Durations since the engine was opened. */
export interface LatencyStats {
  /** Upper bounds in ms of all buckets but the last one, which has none. Ascending; each histogram has its own. */
  readonly boundsMs: readonly number[];
  /** For each bucket how many fell into it: above the bound before it, up to its own. */
  readonly counts: readonly number[];
  /** Of all together. */
  readonly sumMs: number;
  readonly maxMs: number;
}

/** A level of the tree. */
export interface LevelStats {
  /** Sorted runs, each of which a read may have to ask: up to one but in level 0. */
  readonly runCount: number;
  readonly tableCount: number;
  /** What its tables take on the device. */
  readonly sizeBytes: number;
}

/** Blocks of tables that are kept in memory. */
export interface CacheStats {
  readonly limitBytes: number;
  /** What is kept, with what each block costs beside its content. */
  readonly sizeBytes: number;
  /** Blocks that were asked for and found, and reads of the device for those that were not. */
  readonly hitCount: number;
  readonly missCount: number;
}

/** Work in the background that makes tables. */
export interface TableWorkStats {
  readonly count: number;
  /** Flushes: keys and short values in memory. Compactions: blocks of tables that were merged. */
  readonly bytesIn: number;
  /** Tables that came out, as long as they are on the device. */
  readonly bytesOut: number;
  /**
   * How long each took that came to its end, from its begin until what it made was part of the tree. A
   * compaction that only gives tables another level is none of these.
   */
  readonly latency: LatencyStats;
}

/** What the index is made of, and what was done for it. */
export interface TreeStats {
  /** Level 0, into which memory is flushed, up to the last one, empty ones included. */
  readonly levels: readonly LevelStats[];
  /** What live records take in the log. An upper bound until a moment after the last write; exact then. */
  readonly logLiveBytes: number;
  readonly cache: CacheStats;
  /** Memory that what was written since the last flush takes, what is being flushed included; estimated. */
  readonly memtableBytes: number;
  /** At which it is flushed at the latest. What is being flushed may stand beside as much again. */
  readonly memtableBytesMax: number;
  readonly flushes: TableWorkStats;
  readonly compactions: TableWorkStats;
  /** About what compaction would have to write to bring all levels to their sizes. */
  readonly compactionDebtBytes: number;
  /**
   * Tables in which a block was found damaged or could not be read, since the engine was opened. Nothing is
   * merged with them before a repair.
   */
  readonly damagedTableCount: number;
  /** The longest piece of background work that held the thread, in ms. */
  readonly stepMsMax: number;
}

/** Counters since the engine was opened, and gauges. Sizes in bytes. */
export interface EngineStats {
  readonly state: 'open' | EngineEnd['kind'];
  /** Absent where no device is behind it: in a model. */
  readonly claim?: ClaimStats;
  /** Device size and what of it values can take. */
  readonly deviceBytes: number;
  readonly usableBytes: number;
  /**
   * What live records and tables take, and what memory will take as tables. An upper bound until a moment
   * after the last write; exact then.
   */
  readonly liveBytes: number;
  /** A put that needs more than this fails with `DEVICE_FULL`. */
  readonly availableBytes: number;
  /** An estimate until a moment after the last write; exact then. */
  readonly keyCount: number;
  readonly segmentCount: number;
  readonly segmentBytes: number;
  readonly freeSegmentCount: number;
  /** Segments kept back because a process that lost the device may still write to them. */
  readonly quarantinedSegmentCount: number;
  /** Those processes, lowest claim first; also dead ones whose writes are being looked at. */
  readonly quarantinedClaims: readonly FencedClaim[];
  readonly lastLsn: number;
  readonly putCount: number;
  readonly deleteCount: number;
  readonly deleteRangeCount: number;
  readonly getCount: number;
  /** Groups of batches that were made durable together, and flushes of the device for whatever reason. */
  readonly commitCount: number;
  readonly flushCount: number;
  /** How long those groups took, from the write to its durability. Absent in a model. */
  readonly commitLatency?: LatencyStats;
  /** What users gave to `apply`, and what was written to the device for it in all. */
  readonly bytesAccepted: number;
  readonly bytesWritten: number;
  /** The second by the first; 0 before the first batch. */
  readonly writeAmplification: number;
  /** Of segments: for users, for the work in the background, to verify; past the page cache or not. */
  readonly bytesRead: number;
  /** Live records that were copied out of segments to empty these. */
  readonly bytesMoved: number;
  /** Dead bytes in full segments that are needed for nothing else: what emptying these would win. */
  readonly reclaimDebtBytes: number;
  /** Absent in a model. */
  readonly tree?: TreeStats;
  readonly checkpointCount: number;
  readonly checksumErrorCount: number;
  /** Reads that were right only past the page cache: another path had written there. */
  readonly staleReadCount: number;
  /** Free space that the device was told of, so that it can use it for something else. */
  readonly bytesDiscarded?: number;
}

/** One damaged place that `verify` found. */
export interface Damage {
  readonly segment: number;
  /** Byte offset on the device. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** Absent where the damage hides it. */
  readonly key?: Uint8Array;
  /** The number of the batch that wrote the key's value, where there is a key. */
  readonly lsn?: number;
  /** The keys of which is not known any more what was said of them here. */
  readonly keys?: KeyBounds;
  readonly reason: string;
}

/** Keys from `from` on and below `to`. */
export interface KeyBounds {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

export interface VerifyProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface VerifyReport {
  readonly recordCount: number;
  readonly bytesChecked: number;
  /** Every damaged place, in order of offset. */
  readonly damages: readonly Damage[];
  /**
   * Present when the checkpoint or the log that the next start would need is damaged, and the engine that
   * was asked runs: it still has all that they say, and has begun to write it anew, so that the next start
   * will not need them. Verify again in a moment: what is still reported then is lost.
   */
  readonly isFlushRequested?: true;
  /** Present when growing the device was cut off: no damage, but it should be done again. */
  readonly isGrowUnfinished?: true;
}

/**
 * How the service of an engine ended.
 *
 * - `closed`: by its user.
 * - `failed`: a write or flush of the device failed.
 * - `fenced`: another process has taken the device over.
 * - `lost`: this process could not show in time that it lives.
 */
export type EngineEnd =
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed' | 'fenced' | 'lost'; readonly error: EngineError };

/** One engine on one device. All methods may be called at any time and in any number. */
export interface Engine {
  /**
   * Makes a batch durable, all of it or nothing.
   *
   * Resolves after the flush that made it durable; from then on every read sees it, and none before.
   * Batches become visible in the order of the calls. The call takes what it needs of the queue at
   * once: with more than `QUEUED_BYTES_MAX` waiting it resolves later, it never drops.
   *
   * Rejects with `DEVICE_FULL` (nothing was written). A batch that leaves no more than there was, deletes
   * above all, is taken on a full device too, with one exception: while a snapshot or a scan is open,
   * what is freed after its begin cannot be used again, and once the reserve is used up by that, deletes
   * are refused until it is closed; the message says so. What deletes free is available at once where it
   * lies in the log, and where it stands in the index when that has been compacted.
   *
   * Rejects with `TABLES_DAMAGED` (nothing was written) a batch with a put, where damaged tables keep
   * compaction from going on at all; deletes are taken.
   *
   * Rejects as well with `KEY_TOO_LONG`, `VALUE_TOO_LARGE`, `BATCH_TOO_LARGE`, `QUEUE_FULL`,
   * `ENGINE_CLOSED` (nothing was written), `ENGINE_FAILED` (a write or flush failed: outcome unknown, the
   * engine is done), `ENGINE_FENCED` and `ENGINE_CLAIM_LOST` (the engine is done; `isOutcomeKnown` says
   * whether the batch was certainly not written).
   */
  apply(batch: Batch): Promise<Lsn>;

  /**
   * Reads a key's value, or a range of it. Rejects with `VALUE_DAMAGED`, with `INDEX_DAMAGED` where a block
   * of the index that knows of the key is damaged or cannot be read, and with `DEVICE_READ_FAILED` where the
   * value cannot be; never returns bad bytes. After
   * its process slept it first makes sure that the device is still ours.
   */
  get(key: Uint8Array, range?: ByteRange): Promise<Entry | undefined>;

  /** What is known of a key without reading its value. */
  stat(key: Uint8Array): Promise<EntryInfo | undefined>;

  /** Walks the keys of a range as they are when the iteration begins. */
  scan(range: KeyRange, options?: ScanOptions): AsyncIterable<ScanEntry>;

  /** A view of this moment, all batches that have resolved included. */
  snapshot(): Snapshot;

  stats(): EngineStats;

  /** Resolves as soon as service ends, for whatever reason; never rejects. */
  readonly ended: Promise<EngineEnd>;

  /**
   * Reads every live record and every structure from the device and checks it, with all that the next start
   * would read. Where that one would suffer from what is found it has what is in memory flushed. It holds
   * nothing for long, and so is not of one moment: what was there all the time is checked, what is put,
   * overwritten or deleted meanwhile may or may not be.
   */
  verify(options?: {
    readonly onProgress?: (progress: VerifyProgress) => void;
    readonly signal?: AbortSignal;
  }): Promise<VerifyReport>;

  /**
   * Waits for what was accepted, writes a checkpoint, gives the claim back. Idempotent. After service
   * has ended otherwise it waits until nothing is written any more.
   */
  close(): Promise<void>;
}
