/** Sizes that the tree works with on a device: they follow from the size of its segments. */
import type { Geometry } from './geometry.ts';
import {
  MEMTABLE_BYTES_MAX,
  MEMTABLE_BYTES_MIN,
  REPLAY_SEGMENTS_MAX,
  TABLE_BYTES_MIN,
  TABLES_PER_SEGMENT,
} from './limits.ts';
import { compactionSettingsOf } from './tree/compaction-picker.ts';
import type { CompactionSettings } from './tree/compaction-picker.ts';

/**
 * A memtable takes less than so many times what its tables take on the device: measured 1.1 with values of 400
 * bytes, 1.3 with 100, 1.9 with 10, 2.0 where values are in the log. With less here a small device that is
 * overwritten at 85 % of what it takes is refused as full.
 */
const MEMTABLE_BYTES_PER_TABLE_BYTE = 3;

export interface TreeSettings {
  /** Memory that the active memtable takes before it is flushed. */
  readonly memtableBytes: number;
  /** Log that is written before it is flushed in any case. */
  readonly replayBytes: number;
  /** Size of a table as its builder aims at. */
  readonly tableBytes: number;
  readonly compaction: CompactionSettings;
}

/** @param memtableBytes default: as much as a segment holds, at most `MEMTABLE_BYTES_MAX`. */
export function treeSettingsOf(geometry: Geometry, memtableBytes?: number): TreeSettings {
  const payloadBytes = geometry.segmentPayloadBytes;
  const tableBytes = Math.max(TABLE_BYTES_MIN, payloadBytes / TABLES_PER_SEGMENT);
  const memtable =
    memtableBytes ?? Math.max(MEMTABLE_BYTES_MIN, Math.min(payloadBytes, MEMTABLE_BYTES_MAX));
  const replaySegments = Math.max(1, Math.min(REPLAY_SEGMENTS_MAX, geometry.segmentCount >> 4));
  const compaction = compactionSettingsOf(tableBytes, memtable / MEMTABLE_BYTES_PER_TABLE_BYTE);
  return {
    memtableBytes: memtable,
    replayBytes: replaySegments * payloadBytes,
    tableBytes,
    compaction: {
      ...compaction,
      // Where segments take few tables, jobs must be smaller: their output needs segments that are free.
      jobBytesMax: Math.min(compaction.jobBytesMax, payloadBytes),
      levelZeroJobBytesMax: Math.min(compaction.levelZeroJobBytesMax, 2 * payloadBytes),
    },
  };
}
