/** Sizes that the tree works with on a device: they follow from the size of its segments. */
import type { Geometry } from './geometry.ts';
import {
  LEVEL_FANOUT,
  LEVEL_ZERO_RUNS_MAX,
  MEMTABLE_BYTES_MAX,
  MEMTABLE_BYTES_MIN,
  REPLAY_SEGMENTS_MAX,
  TABLE_BYTES_MIN,
  TABLES_PER_SEGMENT,
} from './limits.ts';
import type { CompactionSettings } from './tree/compaction-picker.ts';

export interface TreeSettings {
  /** Heap that the active memtable takes before it is flushed. */
  readonly memtableBytes: number;
  /** Log that is written before it is flushed in any case. */
  readonly replayBytes: number;
  readonly compaction: CompactionSettings;
}

/** @param memtableBytes default: half of a segment, at most `MEMTABLE_BYTES_MAX`. */
export function treeSettingsOf(geometry: Geometry, memtableBytes?: number): TreeSettings {
  const payloadBytes = geometry.segmentPayloadBytes;
  const tableBytes = Math.max(TABLE_BYTES_MIN, payloadBytes / TABLES_PER_SEGMENT);
  const memtable =
    memtableBytes ?? Math.max(MEMTABLE_BYTES_MIN, Math.min(payloadBytes / 2, MEMTABLE_BYTES_MAX));
  const replaySegments = Math.max(2, Math.min(REPLAY_SEGMENTS_MAX, geometry.segmentCount >> 4));
  return {
    memtableBytes: memtable,
    replayBytes: replaySegments * payloadBytes,
    compaction: {
      tableBytes,
      levelZeroBytes: memtable,
      levelZeroRunsMax: LEVEL_ZERO_RUNS_MAX,
      fanout: Math.max(3, Math.min(LEVEL_FANOUT, payloadBytes / tableBytes - 2)),
      jobBytesMax: payloadBytes,
      levelZeroJobBytesMax: 2 * payloadBytes,
    },
  };
}
