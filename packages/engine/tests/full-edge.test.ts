/**
 * A device that stays filled to the brim while memtables are flushed, tables compacted, checkpoints
 * written and segments emptied: deletes are always taken, what they free is taken again but for what the
 * index still holds of it until it is compacted, and the numbers that `stats` gives say before a put
 * whether it will fail.
 */
import { hasCode } from '@dozo/base';
import { describe, expect, test } from 'vitest';
import { EngineError } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { backgroundCountsOf, missingWork } from './engine-features.ts';
import { FaultLife } from './fault-life.ts';
import type { Change } from './model/versioned-map.ts';
import { KIB } from './simulated-engine.ts';

const SIZE = { keyCount: 2400, segmentPayloadBytes: 128 * KIB, memtableBytes: 32 * KIB };
const ROUNDS = 60;
/** Refused so often in a row, the device is full for all sizes that are drawn. */
const REFUSALS_IN_A_ROW = 12;
/** The rest is taken by what the index holds of the dead until it is compacted. */
const TAKEN_AGAIN_MIN = 0.85;

/** `DOZO_EDGE_RUNS=n` runs so many seeds of each size instead of one. */
const RUN_COUNT = Number(process.env['DOZO_EDGE_RUNS'] ?? 1);
const SIZES = RUN_COUNT > 1 ? [18, 20, 22, 24, 28, 34, 40] : [18, 28];
const RUNS = SIZES.flatMap((segmentCount) =>
  Array.from({ length: RUN_COUNT }, (_, run) => [segmentCount, run] as const),
);

interface Filled {
  readonly life: FaultLife;
  /** What lies under the keys that are there. */
  readonly sizes: Map<number, number>;
}

function isFull(error: unknown): boolean {
  return hasCode(error, 'DEVICE_FULL');
}

/** Puts one value; false when the device is full, which the numbers must have said. */
async function put(
  filled: Filled,
  engine: Engine,
  keyIndex: number,
  sizeBytes: number,
): Promise<boolean> {
  const { life, sizes } = filled;
  const { availableBytes } = engine.stats();
  const refusal: { error?: unknown } = {};
  const isTaken = await life.apply(engine, [{ kind: 'put', keyIndex, sizeBytes }], (error) => {
    refusal.error = error;
    return isFull(error);
  });
  if (isTaken) sizes.set(keyIndex, sizeBytes);
  else if (refusal.error instanceof EngineError && refusal.error.detail.code === 'DEVICE_FULL') {
    expect(refusal.error.detail.neededBytes).toBeGreaterThan(availableBytes);
  }
  return isTaken;
}

async function fill(filled: Filled, engine: Engine): Promise<void> {
  const { life, sizes } = filled;
  for (let refused = 0; refused < REFUSALS_IN_A_ROW;) {
    const keyIndex = life.random.below(SIZE.keyCount);
    if (sizes.has(keyIndex)) continue;
    refused = (await put(filled, engine, keyIndex, drawBytes(life))) ? 0 : refused + 1;
  }
}

function drawBytes({ random }: FaultLife): number {
  return random.below(random.pick([100, 700, 4000, 9000]));
}

/** Deletes some of the keys that are there, in one batch or in several; returns what lay under them. */
async function deleteSome(filled: Filled, engine: Engine): Promise<(readonly [number, number])[]> {
  const { life, sizes } = filled;
  const victims = [...sizes].filter(() => life.random.chance(0.05));
  const changes = victims.map(([keyIndex]): Change => ({ kind: 'delete', keyIndex }));
  const isOneBatch = life.random.chance(0.5);
  for (const batch of isOneBatch ? [changes] : changes.map((change) => [change])) {
    if (batch.length > 0) await life.apply(engine, batch);
  }
  for (const [keyIndex] of victims) sizes.delete(keyIndex);
  return victims;
}

function sumOf(sizes: ReadonlyMap<number, number>): number {
  let bytes = 0;
  for (const sizeBytes of sizes.values()) bytes += sizeBytes;
  return bytes;
}

describe('a device filled to the brim', () => {
  test.each(RUNS)(
    'with %i segments takes every delete, and then about as much as was deleted (%s)',
    async (segmentCount, run) => {
      const seed = `brim ${segmentCount} ${run}`;
      const life = new FaultLife({ seed, ...SIZE, segmentCount });
      const filled = { life, sizes: new Map<number, number>() };
      const medium = await life.format();
      let { engine, device } = await life.open(medium);
      await fill(filled, engine);
      const before = backgroundCountsOf(engine.stats());
      const heldBytes = [sumOf(filled.sizes)];
      for (let round = 0; round < ROUNDS; round++) {
        for (const [keyIndex, sizeBytes] of await deleteSome(filled, engine)) {
          await put(filled, engine, keyIndex, sizeBytes);
        }
        await fill(filled, engine);
        heldBytes.push(sumOf(filled.sizes));
      }
      expect(Math.min(...heldBytes)).toBeGreaterThan(TAKEN_AGAIN_MIN * (heldBytes[0] ?? 0));
      const after = backgroundCountsOf(engine.stats());
      // All of it went on while the device was full.
      expect(
        missingWork({
          checkpoints: after.checkpoints - before.checkpoints,
          movedBytes: after.movedBytes - before.movedBytes,
          memtableFlushes: after.memtableFlushes - before.memtableFlushes,
          compactions: after.compactions - before.compactions,
        }),
      ).toEqual([]);
      expect((await life.readAll(engine)).refusedCount).toBe(0);
      expect((await engine.verify()).damages).toEqual([]);
      // Cut off and opened while full, again and again.
      let rest = medium;
      for (let start = 0; start < 6; start++) {
        device.halt();
        rest = rest.crash(life.random);
        ({ engine, device } = await life.open(rest));
        expect((await life.readAll(engine)).refusedCount).toBe(0);
        await deleteSome(filled, engine);
        await fill(filled, engine);
      }
      await engine.close();
    },
  );

  test('refuses even deletes only while a snapshot keeps what was freed, and loses nothing by it', async () => {
    const life = new FaultLife({ seed: 'held', ...SIZE, segmentCount: 20 });
    const filled = { life, sizes: new Map<number, number>() };
    const medium = await life.format();
    const { engine, device } = await life.open(medium);
    await fill(filled, engine);
    const snapshot = engine.snapshot();
    const refusal: { error?: unknown } = {};
    const note = (error: unknown): boolean => {
      refusal.error = error;
      return isFull(error);
    };
    // The same few keys again and again: nearly all that is written dies.
    const names = [...filled.sizes].slice(0, 20);
    for (let round = 0; round < 2000; round++) {
      const [keyIndex, sizeBytes] = names[round % names.length] ?? [0, 0];
      if (!(await life.apply(engine, [{ kind: 'delete', keyIndex }], note))) break;
      await life.apply(engine, [{ kind: 'put', keyIndex, sizeBytes }], isFull);
      delete refusal.error;
    }
    expect(String(refusal.error)).toContain('snapshots and scans');
    // Cut off in that state it opens, with all that there was.
    const fork = medium.crash(life.random);
    const again = await life.open(fork);
    expect((await life.readAll(again.engine)).refusedCount).toBe(0);
    again.device.halt();
    snapshot.close();
    for (const keyIndex of filled.sizes.keys()) {
      await life.apply(engine, [{ kind: 'delete', keyIndex }]);
    }
    expect((await life.readAll(engine)).refusedCount).toBe(0);
    await engine.close();
    await device.close();
  });

  test('is empty again after all is deleted', async () => {
    const life = new FaultLife({ seed: 'emptied', ...SIZE, segmentCount: 20 });
    const filled = { life, sizes: new Map<number, number>() };
    const { engine } = await life.open(await life.format());
    const counts: number[] = [];
    for (let round = 0; round < 4; round++) {
      await fill(filled, engine);
      counts.push(sumOf(filled.sizes));
      for (const keyIndex of filled.sizes.keys()) {
        await life.apply(engine, [{ kind: 'delete', keyIndex }]);
      }
      filled.sizes.clear();
    }
    // Nothing leaks: each time about as much goes in.
    expect(Math.min(...counts)).toBeGreaterThan(Math.max(...counts) * 0.8);
  });
});
