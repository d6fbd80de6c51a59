/**
 * What the engine under test can do, in one place: the proofs are written for the whole face, and use
 * the parts of it that are there.
 */
import type { Batch, EngineStats, Operation } from '../src/index.ts';

/** Whether batches may delete ranges of keys. */
export const HAS_RANGE_DELETE: boolean = true;

/** Whether the index is a merge tree: it flushes memtables and compacts tables. */
export const HAS_TREE: boolean = true;

/** Deletes all keys in `[from, to)`. */
export interface RangeDelete {
  readonly kind: 'delete-range';
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** An operation of the whole face. */
export type ProofOperation = Operation | RangeDelete;

/** The batch as the engine takes it. */
export function batchOf(operations: readonly ProofOperation[]): Batch {
  return operations;
}

/** How an engine is opened so small that the background work has something to do. */
export interface TreeSizes {
  readonly memtableBytes: number;
  readonly cacheBytes: number;
}

/** Sizes with which a hundred batches flush and compact. */
export const SMALL_TREE: TreeSizes = { memtableBytes: 2048, cacheBytes: 16_384 };

/** How often the work in the background was done since the engine was opened. */
export interface BackgroundCounts {
  readonly checkpoints: number;
  readonly movedBytes: number;
  readonly memtableFlushes: number;
  readonly compactions: number;
}

/** Zero where an engine does not count it, because it does not do it. */
export function backgroundCountsOf(stats: EngineStats): BackgroundCounts {
  return {
    checkpoints: stats.checkpointCount,
    movedBytes: stats.bytesMoved,
    memtableFlushes: stats.tree?.flushes.count ?? 0,
    compactions: stats.tree?.compactions.count ?? 0,
  };
}

/** The kinds of work that did not happen at all, of those that this engine does. */
export function missingWork(counts: BackgroundCounts): readonly string[] {
  const wanted = HAS_TREE
    ? (['checkpoints', 'movedBytes', 'memtableFlushes', 'compactions'] as const)
    : (['checkpoints', 'movedBytes'] as const);
  return wanted.filter((name) => counts[name] === 0);
}
