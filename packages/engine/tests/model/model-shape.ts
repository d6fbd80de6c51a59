/** How large everything is in a run of the model test, and what holds between the numbers of its engine. */
import type { SeededRandom } from '@dozo/base';
import type { EngineStats } from '../../src/index.ts';
import type { TreeSizes } from '../engine-features.ts';
import { KIB } from '../simulated-engine.ts';

/** A run's shape: how large everything is. */
export interface Shape extends TreeSizes {
  readonly segmentPayloadBytes: number;
  readonly segmentCount: number;
  readonly keyCount: number;
  readonly valueBytesMax: number;
  /** Part of the operations that go to a tenth of the keys. */
  readonly hotShare: number;
  readonly batchesAtOnceMax: number;
  readonly putShare: number;
}

/** What a key and its value take on average, and a little more. */
const ROW_BYTES = 1200;

/**
 * Payload of a segment, in KiB: most disks are as `space.ts` wants them for deletes. With 32 a checkpoint takes so
 * much of a segment that reclaim on a full disk may move records for ever (seed 92 did).
 */
const PAYLOADS = [64, 128, 128];

/** From this payload on deletes are taken on a full disk: see `space.ts`. A checkpoint takes much of a smaller segment. */
export const DELETES_PAYLOAD_BYTES_MIN = 128 * KIB;

/** A disk so small that a few thousand operations overwrite it many times. */
export function drawShape(random: SeededRandom): Shape {
  const segmentPayloadBytes = random.pick(PAYLOADS) * KIB;
  const segmentCount = 14 + random.below(18);
  const fill = random.pick([0.2, 0.5, 0.8, 1]);
  const keyCount = 20 + Math.floor((segmentCount * segmentPayloadBytes * fill) / ROW_BYTES);
  return {
    segmentPayloadBytes,
    segmentCount,
    keyCount,
    valueBytesMax: segmentPayloadBytes / random.pick([2, 4, 16]),
    hotShare: random.pick([0, 0.5, 0.9]),
    batchesAtOnceMax: 1 + random.below(8),
    putShare: random.pick([0.6, 0.8, 0.95]),
    memtableBytes: random.pick([2, 4, 8]) * KIB,
    cacheBytes: random.pick([0, 16, 256]) * KIB,
  };
}

/** How much the device of a run has in memory: most of it in every third run, else nothing. */
export function cachedReadShareOf(seed: number): number {
  return seed % 3 === 0 ? 0.8 : 0;
}

/** The first rule between the numbers that does not hold. */
export function brokenRule(stats: EngineStats): string | undefined {
  const rules: readonly (readonly [string, boolean])[] = [
    ['available <= usable', stats.availableBytes <= stats.usableBytes],
    ['usable <= device', stats.usableBytes <= stats.deviceBytes],
    ['live <= device', stats.liveBytes <= stats.deviceBytes],
    ['free <= all segments', stats.freeSegmentCount <= stats.segmentCount],
    ['segments fit', stats.segmentCount * stats.segmentBytes <= stats.deviceBytes],
    ['it is open', stats.state === 'open'],
    ['no checksum error', stats.checksumErrorCount === 0],
    ['no stale read', stats.staleReadCount === 0],
    ['nothing is negative', Object.values(stats).every((value) => !isNegative(value))],
    ['moved <= written', stats.bytesMoved <= stats.bytesWritten],
  ];
  return rules.find(([, holds]) => !holds)?.[0];
}

function isNegative(value: unknown): boolean {
  return typeof value === 'number' && !(value >= 0);
}
