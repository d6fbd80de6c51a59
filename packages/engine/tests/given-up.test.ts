/**
 * Deletes where reclaim has given up: all that is left lives, and what moving it would free goes into flushes
 * and checkpoints again. Only what dies can help then, so it goes on once more for each of them.
 *
 * Segments are smaller than any device has, so that it comes to that within a few thousand batches.
 */
import { SeededRandom, hasCode } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld } from './simulated-engine.ts';

const SEGMENTS = { segmentCount: 28, segmentPayloadBytes: 64 * KIB };
const KEYS = 1700;
const BATCHES = 6000;
const VALUE_BYTES_MAXIMA = [100, 2000, 16 * KIB];
const DELETES_SHARE = 0.05;
const SEEDS = [2, 3];

async function isTaken(applied: Promise<unknown>): Promise<boolean> {
  try {
    await applied;
    return true;
  } catch (error) {
    if (!hasCode(error, 'DEVICE_FULL')) throw error;
    return false;
  }
}

/** Keeps a device full with values of all lengths; how many deletes it refuses meanwhile. */
async function refusedDeletes(engine: Engine, random: SeededRandom): Promise<number> {
  let refused = 0;
  for (let count = 0; count < BATCHES; count++) {
    const key = bytes(`key ${String(random.below(KEYS))}`);
    if (random.chance(DELETES_SHARE)) {
      if (!(await isTaken(engine.apply([{ kind: 'delete', key }])))) refused++;
    } else {
      const value = new Uint8Array(random.below(random.pick(VALUE_BYTES_MAXIMA)));
      await isTaken(engine.apply([{ kind: 'put', key, value }]));
    }
  }
  return refused;
}

async function run(seed: number, testSwitches: TestSwitches): Promise<number> {
  const world = newWorld(`given up ${String(seed)}`);
  const medium = await formattedMedium(world, SEGMENTS);
  const { clock, random } = world;
  const device = new SimulatedDevice(medium, {
    clock,
    seed: `${String(seed)}/device`,
    alignmentBytes: 1,
  });
  const tree = { memtableBytes: 2 * KIB };
  const engine = await openEngine({ device, clock, random, holder: HOLDER, testSwitches, ...tree });
  const refused = await refusedDeletes(engine, new SeededRandom(`batches ${String(seed)}`));
  expect((await engine.verify()).damages).toEqual([]);
  await engine.close();
  return refused;
}

async function runAll(testSwitches: TestSwitches): Promise<number> {
  let refused = 0;
  for (const seed of SEEDS) refused += await run(seed, testSwitches);
  return refused;
}

test('deletes are taken where moving records has turned out to gain nothing', async () => {
  expect(await runAll({ giveUpForGood: true })).toBeGreaterThan(50);
  expect(await runAll({})).toBe(0);
}, 120_000);
