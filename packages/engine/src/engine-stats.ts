/** What an engine tells of itself: counters, and gauges as they stand now. */
import type { Claim } from '@dozo/claim';
import type { Catalog } from './catalog.ts';
import { fencedClaim } from './claim-history.ts';
import type { Committer } from './committer.ts';
import type { Counters } from './counters.ts';
import type { ClaimStats, EngineStats, TreeStats } from './engine-types.ts';
import type { Life } from './life.ts';
import type { LogSource } from './log-walk.ts';
import type { LogWriter } from './log-writer.ts';
import { usableBytesOf } from './space.ts';
import type { Superblock } from './superblock.ts';
import type { TreeAccess } from './tree-access.ts';
import type { TreeKeeper } from './tree-keeper.ts';

/** The parts of an engine that know something. */
export interface StatsSources {
  readonly superblock: Superblock;
  readonly claim: Claim;
  readonly catalog: Catalog;
  readonly source: LogSource;
  readonly log: LogWriter;
  readonly committer: Committer;
  readonly keeper: TreeKeeper;
  readonly tree: TreeAccess;
  readonly counters: Counters;
  readonly life: Life;
}

/** @see Engine.stats */
export function engineStatsOf(parts: StatsSources): EngineStats {
  const { superblock, catalog, committer, counters, source, life, log, claim } = parts;
  const { geometry } = superblock;
  const { segments } = catalog;
  const { bytesAccepted, bytesWritten } = counters;
  return {
    state: life.state,
    claim: claimStatsOf(claim),
    deviceBytes: geometry.deviceBytes,
    usableBytes: usableBytesOf(geometry, segments.quarantinedCount),
    liveBytes: catalog.usedBytes,
    availableBytes: committer.availableBytes,
    keyCount: catalog.keyCount,
    segmentCount: geometry.segmentCount,
    segmentBytes: geometry.segmentPayloadBytes,
    freeSegmentCount: segments.availableCount,
    quarantinedSegmentCount: segments.quarantinedCount,
    quarantinedClaims: log.history.fences.map(fencedClaim),
    lastLsn: committer.lastLsn,
    putCount: counters.putCount,
    deleteCount: counters.deleteCount,
    deleteRangeCount: counters.deleteRangeCount,
    getCount: counters.getCount,
    commitCount: counters.commitCount,
    flushCount: counters.flushCount,
    commitLatency: counters.commitLatency.stats(),
    bytesAccepted,
    bytesWritten,
    writeAmplification: bytesAccepted === 0 ? 0 : bytesWritten / bytesAccepted,
    bytesRead: source.bytesRead,
    bytesMoved: counters.bytesMoved,
    reclaimDebtBytes: segments.reclaimableBytes,
    tree: treeStatsOf(parts),
    checkpointCount: counters.checkpointCount,
    checksumErrorCount: counters.checksumErrorCount,
    staleReadCount: counters.staleReadCount,
    bytesDiscarded: counters.bytesDiscarded,
  };
}

function claimStatsOf(claim: Claim): ClaimStats {
  const { identity, sinceWallMs, lastWallMs, beatCounter } = claim.slot;
  return {
    incarnation: identity.incarnation,
    sinceWallMs,
    lastBeatWallMs: lastWallMs,
    beatCount: beatCounter,
    leaseLeftMs: Math.round(claim.leaseLeftMs),
    ...claim.settings,
  };
}

function treeStatsOf({ catalog, keeper, tree, counters }: StatsSources): TreeStats {
  const { limitBytes, sizeBytes, hitCount, missCount } = tree.cache.stats();
  return {
    levels: catalog.version.levels.map(({ runs, tableCount, sizeBytes: levelBytes }) => ({
      runCount: runs.length,
      tableCount,
      sizeBytes: levelBytes,
    })),
    logLiveBytes: catalog.liveLogBytes,
    cache: { limitBytes, sizeBytes, hitCount, missCount },
    memtableBytes: catalog.memtables.reduce((bytes, memtable) => bytes + memtable.sizeBytes, 0),
    memtableBytesMax: keeper.memtableBytesMax,
    flushes: {
      count: counters.memtableFlushCount,
      bytesIn: counters.memtableBytesFlushed,
      bytesOut: counters.flushBytesWritten,
      latency: counters.memtableFlushLatency.stats(),
    },
    compactions: {
      count: counters.compactionCount,
      bytesIn: counters.compactionBytesRead,
      bytesOut: counters.compactionBytesWritten,
      latency: counters.compactionLatency.stats(),
    },
    compactionDebtBytes: keeper.debtBytes,
    damagedTableCount: keeper.damagedTableCount,
    stepMsMax: counters.stepMsMax,
  };
}
