/** What the engine counts since it was opened. */
import { LatencyHistogram } from './latency-histogram.ts';

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
  memtableBytesFlushed: number;
  flushBytesWritten: number;
  compactionCount: number;
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
    memtableBytesFlushed: 0,
    flushBytesWritten: 0,
    compactionCount: 0,
    compactionBytesRead: 0,
    compactionBytesWritten: 0,
    stepMsMax: 0,
    checkpointCount: 0,
    checksumErrorCount: 0,
    staleReadCount: 0,
    bytesDiscarded: 0,
  };
}
