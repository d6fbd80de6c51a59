/** The engine on a device: puts the commit pipeline, the reading half and verify together. */
import { ClaimError } from '@dozo/claim';
import { engineStatsOf } from './engine-stats.ts';
import type { StatsSources } from './engine-stats.ts';
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
  VerifyProgress,
  VerifyReport,
} from './engine-types.ts';
import { EngineError } from './errors.ts';
import type { Maintenance } from './maintenance.ts';
import type { QuarantineRelease } from './quarantine-release.ts';
import type { Reading } from './reading.ts';
import { verifyDevice } from './verify.ts';

/** What `openEngine` puts together. */
export interface EngineParts extends StatsSources {
  readonly maintenance: Maintenance;
  readonly reading: Reading;
  readonly release: QuarantineRelease;
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

  get ended(): Promise<EngineEnd> {
    return this.#parts.life.ended;
  }

  stat(key: Uint8Array): Promise<EntryInfo | undefined> {
    return this.#parts.reading.stat(key);
  }

  scan(range: KeyRange, options?: ScanOptions): AsyncIterable<ScanEntry> {
    return this.#parts.reading.scan(range, options);
  }

  snapshot(): Snapshot {
    return this.#parts.reading.snapshot(this.#parts.committer.lastLsn);
  }

  stats(): EngineStats {
    return engineStatsOf(this.#parts);
  }

  async verify(
    options: {
      readonly onProgress?: (progress: VerifyProgress) => void;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<VerifyReport> {
    const { superblock, claim, source, catalog, log, life, counters, tree, reading } = this.#parts;
    const { keeper } = this.#parts;
    life.assertServing();
    const { segments } = catalog;
    // Never held for long: who needs what it holds back waits for it, and need not be refused.
    let epoch = segments.enter(true);
    const renew = (): void => {
      const before = epoch;
      epoch = segments.enter(true);
      segments.leave(before, true);
    };
    try {
      return await verifyDevice({
        superblock,
        source,
        catalog,
        parts: log.parts,
        pages: log.pages,
        checkpointNumber: log.checkpointNumber,
        tree,
        records: reading.records,
        checkpoint: claim.slot.checkpoint,
        onProgress: options.onProgress,
        signal: options.signal,
        assertServing: () => {
          life.assertServing();
        },
        renew,
        onStaleRead: () => counters.staleReadCount++,
        requestFlush: () => {
          keeper.requestFlush();
        },
      });
    } finally {
      segments.leave(epoch, true);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { committer, keeper, log, superblock, life, release } = this.#parts;
    await release.end();
    await committer.drain();
    if (this.#isOver()) return life.finished;
    const { segmentPayloadBytes } = superblock.geometry;
    const worthBytes = Math.min(CLOSING_REPLAY_BYTES_MIN, segmentPayloadBytes / 8);
    if (log.replayBytes > worthBytes) await keeper.flush();
    // What has become part of the tree by now gets its checkpoint.
    await committer.drain();
    await keeper.end();
    await committer.drain();
    if (this.#isOver()) return life.finished;
    try {
      await log.release();
    } catch (error) {
      // Whatever it was, the claim is over now, and the engine has heard of it.
      await life.finished;
      if (error instanceof ClaimError) return;
      throw error;
    }
    life.close();
  }

  #isOver(): boolean {
    return this.#parts.life.state !== 'open';
  }

  #refusal(): EngineError | undefined {
    const refusal = this.#parts.life.refusal();
    if (refusal !== undefined || this.#closing === undefined) return refusal;
    return new EngineError('Applying a batch: the engine is being closed.', {
      code: 'ENGINE_CLOSED',
    });
  }
}
