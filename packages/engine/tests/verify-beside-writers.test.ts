/** A verification keeps nobody from writing: it holds what it looks at, and that not for long. */
import { expect, test } from 'vitest';
import { KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

const VALUE_BYTES = 4 * KIB;

test('no put that fits is refused beside a verify, however much it has to read', async () => {
  const world = newWorld('verify beside writers');
  const medium = await formattedMedium(world, {
    segmentCount: 64,
    segmentPayloadBytes: 128 * KIB,
  });
  const { engine, device } = await openOn(world, medium);
  const value = world.random.bytes(VALUE_BYTES);
  const { usableBytes } = engine.stats();
  let keyCount = 0;
  const put = (key: number) =>
    engine.apply([{ kind: 'put', key: bytes(`k${String(key)}`), value }]);
  while (engine.stats().availableBytes > usableBytes / 4) await put(keyCount++);
  const state = { isDone: false };
  const verifying = engine.verify().finally(() => {
    state.isDone = true;
  });
  let putCount = 0;
  for (; !state.isDone || putCount < 100; putCount++) await put(world.random.below(keyCount));
  const { damages, recordCount } = await verifying;
  expect(damages).toEqual([]);
  // No key was put for the first time or deleted: each is met once, wherever its value was by then.
  expect(recordCount).toBe(keyCount);
  // Far more than a segment takes, so the values were verified in many batches.
  expect(keyCount * VALUE_BYTES).toBeGreaterThan(20 * 128 * KIB);
  await engine.close();
  await device.close();
});
