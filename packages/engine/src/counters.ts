/** What the engine counts since it was opened. */

/** One object per engine, changed in place. Sizes in bytes. */
export interface Counters {
  putCount: number;
  deleteCount: number;
  getCount: number;
  commitCount: number;
  flushCount: number;
  bytesAccepted: number;
  bytesWritten: number;
  bytesMoved: number;
  checkpointCount: number;
  checksumErrorCount: number;
  staleReadCount: number;
  bytesDiscarded: number;
}

export function newCounters(): Counters {
  return {
    putCount: 0,
    deleteCount: 0,
    getCount: 0,
    commitCount: 0,
    flushCount: 0,
    bytesAccepted: 0,
    bytesWritten: 0,
    bytesMoved: 0,
    checkpointCount: 0,
    checksumErrorCount: 0,
    staleReadCount: 0,
    bytesDiscarded: 0,
  };
}
