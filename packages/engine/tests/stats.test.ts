/** What the engine says of itself, held against what was done to it and what lies on its device. */
import { beforeAll, describe, expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine, EngineStats, LatencyStats, TreeStats } from '../src/index.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld } from './simulated-engine.ts';
import { SimulatedDevice } from '@dozo/simulator';

const CACHE_BYTES = 64 * KIB;
const MEMTABLE_BYTES = 5 * KIB;
const KEYS = 300;
const ROUNDS = 4;
/** Where segments begin: behind the superblock, a ring of eight slots and the copy of the superblock. */
const AREA_OFFSET = (64 + 8 * 8 + 4) * KIB;

let opened: EngineStats;
let written: EngineStats;
let read: EngineStats;
/** The most that compaction had before it at any moment. */
let debtBytesMax = 0;
/** Bytes that were read of the device where segments lie. */
let segmentBytesRead = 0;
let counted: { readonly byEngine: number; readonly byDevice: number };

function treeOf({ tree }: EngineStats): TreeStats {
  if (tree === undefined) throw new Error('an engine on a device has a tree');
  return tree;
}

const countOf = ({ counts }: LatencyStats): number => counts.reduce((sum, count) => sum + count, 0);

/** Every key several times, short and long values. */
async function write(engine: Engine): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    for (let key = 0; key < KEYS; key++) {
      debtBytesMax = Math.max(debtBytesMax, treeOf(engine.stats()).compactionDebtBytes);
      const value = bytes(`${round} `.repeat(key % 3 === 0 ? 400 : 20));
      await engine.apply([{ kind: 'put', key: bytes(`key ${key}`), value }]);
    }
  }
  await engine.apply([{ kind: 'delete', key: bytes('key 0') }]);
  await engine.apply([{ kind: 'delete-range', from: bytes('key 1'), to: bytes('key 2') }]);
}

beforeAll(async () => {
  const world = newWorld('stats');
  const { clock, random } = world;
  const medium = await formattedMedium(world, { segmentCount: 64 });
  const device = new SimulatedDevice(medium, {
    ...{ clock, seed: 'stats', alignmentBytes: 1 },
    onOperation: ({ kind, phase, offset, sizeBytes }) => {
      const isOfSegments = offset >= AREA_OFFSET && kind === 'read' && phase === 'end';
      if (isOfSegments) segmentBytesRead += sizeBytes;
    },
  });
  const sizes = { cacheBytes: CACHE_BYTES, memtableBytes: MEMTABLE_BYTES };
  const engine = await openEngine({ device, clock, random, holder: HOLDER, ...sizes });
  opened = engine.stats();
  const before = { engine: opened.bytesRead, device: segmentBytesRead };
  await write(engine);
  written = engine.stats();
  for (let key = 0; key < KEYS; key++) await engine.get(bytes(`key ${key}`));
  read = engine.stats();
  // What is not right is read again past the page cache.
  device.inject({ kind: 'read', effect: 'corrupt', after: 0 });
  await engine.get(bytes('key 3'));
  expect(engine.stats().staleReadCount).toBe(1);
  counted = {
    byEngine: engine.stats().bytesRead - before.engine,
    byDevice: segmentBytesRead - before.device,
  };
  await engine.close();
});

describe('the statistics of an engine', () => {
  test('count operations', () => {
    expect(written).toMatchObject({ putCount: KEYS * ROUNDS, deleteCount: 1, deleteRangeCount: 1 });
    expect(opened.getCount).toBe(0);
    expect(read.getCount).toBe(KEYS);
  });

  test('tell what was written for what was accepted', () => {
    expect(opened.writeAmplification).toBe(0);
    expect(written.bytesAccepted).toBeGreaterThan(0);
    expect(written.writeAmplification).toBe(written.bytesWritten / written.bytesAccepted);
    expect(written.writeAmplification).toBeGreaterThan(1);
  });

  test('have every commit in the histogram, with its time', () => {
    const latency = written.commitLatency;
    if (latency === undefined) throw new Error('an engine on a device has it');
    expect(countOf(latency)).toBe(written.commitCount);
    expect(latency.maxMs).toBeGreaterThan(0);
    expect(latency.sumMs).toBeGreaterThanOrEqual(latency.maxMs);
    expect(latency.sumMs).toBeLessThanOrEqual(latency.maxMs * written.commitCount);
  });

  test('have every flush of memory in a histogram of its own, and every compaction that wrote', () => {
    const { flushes, compactions } = treeOf(written);
    expect(countOf(flushes.latency)).toBe(flushes.count);
    expect(countOf(compactions.latency)).toBeGreaterThan(0);
    expect(countOf(compactions.latency)).toBeLessThanOrEqual(compactions.count);
    // Each writes and flushes the device at least once, which takes time.
    for (const { latency } of [flushes, compactions]) {
      expect(latency.maxMs).toBeGreaterThan(0);
      expect(latency.sumMs).toBeLessThanOrEqual(latency.maxMs * countOf(latency));
    }
    expect(countOf(treeOf(opened).flushes.latency)).toBe(0);
  });

  test('count every byte that is read of segments, also past the page cache', () => {
    expect(counted.byEngine).toBeGreaterThan(KIB);
    expect(counted.byEngine).toBe(counted.byDevice);
  });

  test('show the levels, and that new tables came from flushes and compactions', () => {
    expect(treeOf(opened).levels.every(({ tableCount }) => tableCount === 0)).toBe(true);
    const { levels, flushes, compactions } = treeOf(written);
    const last = levels.at(-1);
    expect(last?.runCount).toBe(1);
    for (const { runCount, tableCount, sizeBytes } of levels) {
      expect(tableCount).toBeGreaterThanOrEqual(runCount);
      expect(sizeBytes).toBeGreaterThanOrEqual(tableCount * 4096);
    }
    for (const { count, bytesIn, bytesOut } of [flushes, compactions]) {
      expect(count).toBeGreaterThan(0);
      expect(bytesIn).toBeGreaterThan(0);
      expect(bytesOut).toBeGreaterThanOrEqual(4096);
    }
    const levelBytes = levels.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    expect(flushes.bytesOut + compactions.bytesOut).toBeGreaterThanOrEqual(levelBytes);
    expect(flushes.bytesOut + compactions.bytesOut).toBeLessThan(written.bytesWritten);
    // Short values and keys, each once; the long ones stay in the log.
    expect(flushes.bytesIn).toBeLessThan(written.bytesAccepted);
  });

  test('tell what memory the tree takes', () => {
    expect(treeOf(opened)).toMatchObject({
      memtableBytes: 0,
      memtableBytesMax: MEMTABLE_BYTES,
      cache: { limitBytes: CACHE_BYTES, sizeBytes: 0, hitCount: 0, missCount: 0 },
    });
    expect(treeOf(written).memtableBytes).toBeGreaterThan(0);
    const { cache } = treeOf(read);
    expect(cache.sizeBytes).toBeGreaterThan(4096);
    expect(cache.sizeBytes).toBeLessThanOrEqual(CACHE_BYTES);
    expect(cache.missCount).toBeGreaterThan(0);
    expect(cache.hitCount).toBeGreaterThan(treeOf(written).cache.hitCount);
  });

  test('tell what is left to do', () => {
    expect(opened.reclaimDebtBytes).toBe(0);
    // Three of four versions of the long values are dead.
    expect(written.reclaimDebtBytes).toBeGreaterThan(64 * KIB);
    expect(written.reclaimDebtBytes).toBeLessThan(written.deviceBytes);
    expect(treeOf(opened).compactionDebtBytes).toBe(0);
    expect(debtBytesMax).toBeGreaterThan(4096);
  });
});
