/**
 * Checkpoints that fill as much of the log as is replayed at most: they must not cause flushes, each of which
 * is followed by another checkpoint. An engine that is at rest writes nothing.
 */
import { SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld } from './simulated-engine.ts';

/** Long keys make long rows of tables. */
const KEY_BYTES = 1000;
const KEYS = 250;
/** Of 100 ms each. */
const REST_STEPS = 100;
const SEGMENT_PAYLOAD_BYTES = 32 * KIB;

test('an engine whose checkpoints are as long as what is replayed comes to rest', async () => {
  const world = newWorld('long checkpoints');
  const { clock, random } = world;
  const medium = await formattedMedium(world, {
    segmentCount: 30,
    segmentPayloadBytes: SEGMENT_PAYLOAD_BYTES,
  });
  const device = new SimulatedDevice(medium, { clock, seed: 'long checkpoints' });
  const sizes = { memtableBytes: 4096, cacheBytes: 16 * KIB };
  const engine = await openEngine({ device, clock, random, holder: HOLDER, ...sizes });
  for (let index = 0; index < KEYS; index++) {
    const key = bytes(String(index).padStart(KEY_BYTES, '0'));
    await engine.apply([{ kind: 'put', key, value: new Uint8Array(10) }]);
  }
  // It stops here, and does not go round for ever, where one flush causes the next.
  for (let step = 0; step < REST_STEPS; step++) {
    expect(engine.stats().checkpointCount).toBeLessThan(KEYS);
    await clock.advance(100);
  }
  const before = engine.stats().checkpointCount;
  await clock.advance(1000);
  expect(engine.stats().checkpointCount).toBe(before);
  await engine.close();
});
