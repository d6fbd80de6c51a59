export type {
  ClaimHistory,
  Fence,
  FencedClaim,
  ZombieFindings,
  ZombieNote,
} from './claim-history.ts';
export type {
  Batch,
  ByteRange,
  CacheStats,
  ClaimStats,
  Damage,
  Engine,
  EngineEnd,
  EngineStats,
  Entry,
  EntryInfo,
  KeyBounds,
  KeyRange,
  LatencyStats,
  LevelStats,
  Lsn,
  Operation,
  ScanEntry,
  ScanOptions,
  Snapshot,
  TableWorkStats,
  TreeStats,
  VerifyProgress,
  VerifyReport,
} from './engine-types.ts';
export { EngineError } from './errors.ts';
export type { DeviceRefusal, EngineErrorDetail, EngineRefusal } from './errors.ts';
export { formatDevice } from './format-device.ts';
export type { FormatOptions } from './format-device.ts';
export type { EngineLimits, Geometry, GeometryOptions } from './geometry.ts';
export { dumpDevice, dumpSegment, dumpSegments } from './dump.ts';
export type { DeviceDump, DumpedRecord, SegmentItem, SegmentSummary } from './dump.ts';
export { dumpTree } from './dump-tree.ts';
export type { TreeItem } from './dump-tree.ts';
export { growDevice } from './grow-device.ts';
export type { GrowOptions, Growth } from './grow-device.ts';
export { inspectDevice } from './inspect-device.ts';
export type { DeviceInspection } from './inspect-device.ts';
export { KEY_BYTES_MAX, VALUE_BYTES_MAX } from './limits.ts';
export { openEngine } from './open-engine.ts';
export type { OpenOptions } from './opening.ts';
export { openReadOnly } from './open-read-only.ts';
export type { ReadOnlyEngine } from './open-read-only.ts';
export { describeContent, rescueSuperblock, restoreSuperblock } from './read-superblock.ts';
export { readManifestOf } from './recovery.ts';
export { isRepairNeeded, planRepair, repairDevice } from './repair-device.ts';
export type { Repair, RepairOptions } from './repair-device.ts';
export type { LogLoss, LogRefusal } from './log-losses.ts';
export type { DroppedKey, LostKeys, RepairPlan, ResurfacedKey } from './repair-plan.ts';
export type { LogPart, Manifest, PagePlace } from './manifest.ts';
export type { Superblock } from './superblock.ts';
export type { TestSwitches } from './test-switches.ts';
export { scanZombie } from './zombie-scan.ts';
export type { ZombieScanOptions } from './zombie-scan.ts';
