/** What the engine counts since it was opened. */
import { LatencyHistogram, WORK_BOUNDS_MS } from './latency-histogram.ts';

/** One object per engine, changed in place. Sizes in bytes. */
export interface Counters {
  putCount: number;
  deleteCount: number;
  deleteRangeCount: number;
  getCount: number;
  commitCount: number;
  readonly commitLatency: LatencyHistogram;
  flushCount: number;
  bytesAccepted: number;
  bytesWritten: number;
  bytesMoved: number;
  memtableFlushCount: number;
  readonly memtableFlushLatency: LatencyHistogram;
  memtableBytesFlushed: number;
  flushBytesWritten: number;
  compactionCount: number;
  readonly compactionLatency: LatencyHistogram;
  compactionBytesRead: number;
  compactionBytesWritten: number;
  stepMsMax: number;
  checkpointCount: number;
  checksumErrorCount: number;
  staleReadCount: number;
  bytesDiscarded: number;
}

export function newCounters(): Counters {
  return {
    putCount: 0,
    deleteCount: 0,
    deleteRangeCount: 0,
    getCount: 0,
    commitCount: 0,
    commitLatency: new LatencyHistogram(),
    flushCount: 0,
    bytesAccepted: 0,
    bytesWritten: 0,
    bytesMoved: 0,
    memtableFlushCount: 0,
    memtableFlushLatency: new LatencyHistogram(WORK_BOUNDS_MS),
    memtableBytesFlushed: 0,
    flushBytesWritten: 0,
    compactionCount: 0,
    compactionLatency: new LatencyHistogram(WORK_BOUNDS_MS),
    compactionBytesRead: 0,
    compactionBytesWritten: 0,
    stepMsMax: 0,
    checkpointCount: 0,
    checksumErrorCount: 0,
    staleReadCount: 0,
    bytesDiscarded: 0,
  };
}
