import { runModel } from './model/model-run.ts';
const ops = Number(process.argv[2]); const seed = Number(process.argv[3] ?? 1);
setTimeout(() => {
  const d = (globalThis as any).dbg;
  const { catalog, log, keeper } = d;
  console.log('stuck', { avail: catalog.segments.availableCount, retired: catalog.segments.retiredCount, unres: catalog.segments.unreservedCount, count: catalog.segments.count,
    hasRes: log.hasReservedSegment, confirming: log.isConfirming, slotDue: log.isSlotDue, room: log.roomBytes,
    busy: keeper.isBusy, stalled: keeper.isStalled, dbg: keeper.debug?.(), step: d.maintenance.step?.kind, cp: d.maintenance.isCheckpointRunning, used: catalog.usedBytes, live: catalog.liveLogBytes, tables: catalog.segments.tableBytes, dying: catalog.dyingTableBytes, quarantined: catalog.segments.quarantinedCount,
    l0: catalog.version.levels.map((l: any) => l.tableCount), unsettled: catalog.active.unsettled.length, active: catalog.active.memtable.sizeBytes });
  process.exit(1);
}, 8000);
console.log(await runModel({ seed, operationCount: ops }));
process.exit(0);
