/** The engine on a device: puts the commit pipeline, the reading half and verify together. */
import type { Claim } from '@dozo/claim';
import type { Catalog } from './catalog.ts';
import type { Committer } from './committer.ts';
import type { Counters } from './counters.ts';
import type {
  Batch,
  ByteRange,
  Engine,
  EngineStats,
  Entry,
  EntryInfo,
  KeyRange,
  Lsn,
  ScanEntry,
  ScanOptions,
  Snapshot,
  VerifyProgress,
  VerifyReport,
} from './engine-types.ts';
import { EngineError } from './errors.ts';
import type { LogWriter } from './log-writer.ts';
import type { LogSource } from './log-walk.ts';
import type { Maintenance } from './maintenance.ts';
import type { Reading } from './reading.ts';
import { usableBytesOf } from './space.ts';
import type { Superblock } from './superblock.ts';
import { verifyDevice } from './verify.ts';

/** What `openEngine` puts together. */
export interface EngineParts {
  readonly superblock: Superblock;
  readonly claim: Claim;
  readonly catalog: Catalog;
  readonly source: LogSource;
  readonly log: LogWriter;
  readonly maintenance: Maintenance;
  readonly committer: Committer;
  readonly reading: Reading;
  readonly counters: Counters;
  readonly life: Life;
}

/** Whether an engine serves; shared by its parts. */
export class Life {
  readonly #path: string;
  #state: 'open' | 'failed' | 'closed' = 'open';
  #noted: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  get state(): 'open' | 'failed' | 'closed' {
    return this.#state;
  }

  /** Ends service; after a failure, `noted` resolves when the slot says so or cannot. */
  end(state: 'failed' | 'closed', noted?: Promise<void>): void {
    this.#state = state;
    if (noted !== undefined) this.#noted = noted;
  }

  /** Resolves when nothing is written any more because of a failure. */
  get noted(): Promise<void> {
    return this.#noted;
  }

  /** Why the engine does not serve, if it does not. */
  refusal(): EngineError | undefined {
    if (this.#state === 'open') return undefined;
    if (this.#state === 'closed') {
      return new EngineError(`Using the engine on ${this.#path}: it has been closed.`, {
        code: 'ENGINE_CLOSED',
      });
    }
    const reason = 'an earlier write or flush failed';
    return new EngineError(
      `Using the engine on ${this.#path}: it has stopped because ${reason}. Look at the device, then ` +
        'start again.',
      { code: 'ENGINE_FAILED', path: this.#path, reason },
    );
  }

  /** Throws `ENGINE_CLOSED` or `ENGINE_FAILED`. */
  assertServing(): void {
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
  }
}

/** Replayed log that is worth a checkpoint when the engine closes. */
const CLOSING_REPLAY_BYTES_MIN = 4 * 1024 * 1024;

/** See `Engine`. */
export class LogEngine implements Engine {
  readonly #parts: EngineParts;
  #closing: Promise<void> | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  apply(batch: Batch): Promise<Lsn> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return this.#parts.committer.apply(batch);
  }

  get(key: Uint8Array, range?: ByteRange): Promise<Entry | undefined> {
    return this.#parts.reading.get(key, range);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a merge tree will have to wait here.
  async stat(key: Uint8Array): Promise<EntryInfo | undefined> {
    return this.#parts.reading.stat(key);
  }

  scan(range: KeyRange, options?: ScanOptions): AsyncIterable<ScanEntry> {
    return this.#parts.reading.scan(range, options);
  }

  snapshot(): Snapshot {
    return this.#parts.reading.snapshot(this.#parts.committer.lastLsn);
  }

  stats(): EngineStats {
    const { superblock, catalog, committer, counters, source, life } = this.#parts;
    const { geometry } = superblock;
    return {
      state: life.state,
      deviceBytes: geometry.deviceBytes,
      usableBytes: usableBytesOf(geometry),
      liveBytes: catalog.segments.totalLiveBytes,
      availableBytes: committer.availableBytes,
      keyCount: catalog.index.size,
      segmentCount: geometry.segmentCount,
      segmentBytes: geometry.segmentPayloadBytes,
      freeSegmentCount: catalog.segments.availableCount,
      lastLsn: committer.lastLsn,
      ...counters,
      bytesRead: source.bytesRead,
    };
  }

  async verify(
    options: {
      readonly onProgress?: (progress: VerifyProgress) => void;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<VerifyReport> {
    const { superblock, claim, source, catalog, log, life } = this.#parts;
    life.assertServing();
    const epoch = catalog.segments.enter(false);
    try {
      return await verifyDevice({
        superblock,
        source,
        catalog,
        parts: log.parts,
        pages: log.pages,
        snapshot: log.snapshotNumber,
        checkpoint: claim.slot.checkpoint,
        onProgress: options.onProgress,
        signal: options.signal,
      });
    } finally {
      catalog.segments.leave(epoch, false);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { committer, maintenance, log, catalog, superblock, life } = this.#parts;
    await committer.drain();
    if (life.state === 'failed') return life.noted;
    const { segmentPayloadBytes } = superblock.geometry;
    const worthBytes = Math.min(CLOSING_REPLAY_BYTES_MIN, segmentPayloadBytes / 8);
    if (log.replayBytes > worthBytes + catalog.indexBytes / 2 && !maintenance.isSnapshotRunning) {
      maintenance.requestSnapshot();
      await committer.drain();
    }
    if (this.#isFailed()) return life.noted;
    try {
      await log.updateSlot('released');
      life.end('closed');
    } catch (error) {
      life.end('failed');
      throw error;
    }
  }

  #isFailed(): boolean {
    return this.#parts.life.state === 'failed';
  }

  #refusal(): EngineError | undefined {
    const refusal = this.#parts.life.refusal();
    if (refusal !== undefined || this.#closing === undefined) return refusal;
    return new EngineError('Applying a batch: the engine is being closed.', {
      code: 'ENGINE_CLOSED',
    });
  }
}
