/**
 * How full the memtables are, and so when one is flushed and when writers wait for that.
 *
 * A memtable is full when it takes its share of the heap, or when the log that would be replayed into it has
 * become long. What is put while one is flushed keeps step with the flush.
 */
import type { Catalog } from './catalog.ts';
import type { LogWriter } from './log-writer.ts';
import type { TableSpace } from './table-space.ts';
import type { TreeSettings } from './tree-settings.ts';

export interface FlushPaceOptions {
  readonly catalog: Catalog;
  readonly log: LogWriter;
  readonly space: TableSpace;
  readonly settings: TreeSettings;
}

/** So much of a memtable may be put before the flush of the last one has done anything. */
const FLUSH_LAG_SHARE = 0.25;

/** See the file comment. */
export class FlushPace {
  readonly #options: FlushPaceOptions;
  #logBytesAtRotation: number;
  /** How far the flush is: see `FlushJobOptions.onEntries`. */
  #flushedCount = 0;

  constructor(options: FlushPaceOptions) {
    this.#options = options;
    this.#logBytesAtRotation = -options.log.replayBytes;
  }

  /** A flush begins: the active memtable is a new one. */
  rotated(): void {
    this.#logBytesAtRotation = this.#options.log.appendedBytes;
    this.#flushedCount = 0;
  }

  /** The flush has done so many entries. */
  flushed(doneCount: number): void {
    this.#flushedCount = doneCount;
  }

  /** Whether the active memtable should be flushed, for its own size or for that of its log. */
  get isMemtableFull(): boolean {
    return this.#fullShare() >= 1;
  }

  /**
   * Whether the flush that is under way is behind what is put meanwhile. The active memtable may be as full
   * as the flush is done, and some more: so writers wait for a moment each, and not for the whole flush at
   * its end.
   */
  get isFlushBehind(): boolean {
    if (this.isMemtableFull) return true;
    // It waits for segments that those may free who would wait for it.
    if (this.#options.space.isWaiting) return false;
    if (this.#isReplayLong()) return true;
    const { catalog } = this.#options;
    const entryCount = catalog.flushing?.memtable.entryCount ?? 0;
    const doneShare = this.#flushedCount / Math.max(1, 2 * entryCount);
    return this.#fullShare() > doneShare + FLUSH_LAG_SHARE;
  }

  /** How full the active memtable is, or the log that is replayed into it. */
  #fullShare(): number {
    const { catalog, log, settings } = this.#options;
    const { memtable } = catalog.active;
    // Then the log holds checkpoints alone. A flush is followed by another one, which may be as long again.
    if (memtable.isEmpty) return 0;
    return Math.max(
      memtable.sizeBytes / settings.memtableBytes,
      (log.appendedBytes - this.#logBytesAtRotation) / settings.replayBytes,
    );
  }

  /**
   * Both memtables together are longer than two may be: what was replayed at the start is one memtable,
   * however long it is, and must not grow from one start that dies to the next.
   */
  #isReplayLong(): boolean {
    const { catalog, settings } = this.#options;
    const sizeBytes = catalog.memtables.reduce((sum, memtable) => sum + memtable.sizeBytes, 0);
    return sizeBytes >= 2 * settings.memtableBytes;
  }
}
