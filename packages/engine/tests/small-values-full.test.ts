/** A device that is full of values that stand in the tree: what is deleted is room again. */
import { hasCode } from '@dozo/base';
import { expect, test } from 'vitest';
import type { Engine } from '../src/index.ts';
import { KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

/** Puts short values until the device refuses one; how many it took. */
async function fill(engine: Engine, round: number): Promise<number> {
  for (let count = 0; ; count++) {
    const key = bytes(`round ${String(round)}, key ${String((count * 7919) % 100_003)}`);
    const value = new Uint8Array(100 + (count % 300)).fill(count);
    try {
      await engine.apply([{ kind: 'put', key, value }]);
    } catch (error) {
      if (hasCode(error, 'DEVICE_FULL')) return count;
      throw error;
    }
  }
}

async function deleteAll(engine: Engine): Promise<void> {
  const keys: Uint8Array[] = [];
  for await (const { key } of engine.scan({}, { values: false })) keys.push(key);
  for (let at = 0; at < keys.length; at += 50) {
    await engine.apply(keys.slice(at, at + 50).map((key) => ({ kind: 'delete' as const, key })));
  }
}

test('a device full of short values takes as many again when they are deleted, many times', async () => {
  const world = newWorld('short');
  const medium = await formattedMedium(world, { segmentCount: 20, segmentPayloadBytes: 64 * KIB });
  const { engine } = await openOn(world, medium);
  const first = await fill(engine, 0);
  expect(first).toBeGreaterThan(1000);
  for (let round = 1; round <= 4; round++) {
    await deleteAll(engine);
    // A put that comes at once may be refused; what it asked for goes on.
    await fill(engine, round + 100);
    await world.clock.advance(1000);
    await deleteAll(engine);
    await world.clock.advance(1000);
    expect(await fill(engine, round)).toBeGreaterThan(first * 0.8);
  }
  await engine.close();
}, 120_000);
