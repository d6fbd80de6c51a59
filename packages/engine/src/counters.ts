/** What the engine counts since it was opened. */

/** One object per engine, changed in place. Sizes in bytes. */
export interface Counters {
  putCount: number;
  deleteCount: number;
  deleteRangeCount: number;
  getCount: number;
  commitCount: number;
  flushCount: number;
  bytesAccepted: number;
  bytesWritten: number;
  bytesMoved: number;
  tableBytesWritten: number;
  memtableFlushCount: number;
  compactionCount: number;
  compactionBytesRead: number;
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
    flushCount: 0,
    bytesAccepted: 0,
    bytesWritten: 0,
    bytesMoved: 0,
    tableBytesWritten: 0,
    memtableFlushCount: 0,
    compactionCount: 0,
    compactionBytesRead: 0,
    stepMsMax: 0,
    checkpointCount: 0,
    checksumErrorCount: 0,
    staleReadCount: 0,
    bytesDiscarded: 0,
  };
}
