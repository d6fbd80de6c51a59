/**
 * Space in the long run: random overwrites of a device that is 85 % full, until 50 times its size has been
 * written, and no put may fail. `DOZO_SPACE_TIMES=200` writes more.
 */
import type { SeededRandom } from '@dozo/base';
import { expect, test } from 'vitest';
import { FILL, filledEngine, keyOf, overwrite } from './overwrite-run.ts';
import { KIB } from './simulated-engine.ts';

const times = Number(process.env['DOZO_SPACE_TIMES'] ?? 50);

test.each<[string, (random: SeededRandom) => number]>([
  ['4 KiB', () => 4 * KIB],
  ['all sizes up to 6 KiB', (random) => random.below(random.chance(0.3) ? 200 : 6 * KIB)],
])('overwrites of values of %s never fail at 85 %', async (name, drawBytes) => {
  const filled = await filledEngine(`space ${name}`, drawBytes);
  const { engine, device, clock, sizes, values } = filled;
  const numbers = await overwrite(filled, times * device.sizeBytes);
  // What the last overwrites hide counts as live until it is looked up, and old tables until a checkpoint.
  await clock.advance(1000);
  const { bytesAccepted, availableBytes, usableBytes } = engine.stats();
  expect(bytesAccepted).toBeGreaterThan(times * device.sizeBytes * 0.9);
  // It is as full as before: nothing leaked, nothing was forgotten.
  expect(availableBytes).toBeGreaterThan(usableBytes * (1 - FILL) * 0.8);
  for (const [index, sizeBytes] of sizes.entries()) {
    const entry = await engine.get(keyOf(index));
    expect(entry?.value).toEqual(values.make(numbers.get(index) ?? 0, sizeBytes));
  }
  expect((await engine.verify()).damages).toEqual([]);
});

test('the space test notices when space does not come back: a snapshot holds it', async () => {
  const { engine, ...filled } = await filledEngine('held', () => 4 * KIB);
  const snapshot = engine.snapshot();
  const run = overwrite({ engine, ...filled }, filled.device.sizeBytes);
  await expect(run).rejects.toMatchObject({ code: 'DEVICE_FULL' });
  snapshot.close();
});

test('the space test notices when nothing is settled', async () => {
  const filled = await filledEngine('unsettled', () => 4 * KIB, { skipSettle: true });
  const run = overwrite(filled, 20 * filled.device.sizeBytes);
  await expect(run).rejects.toMatchObject({ code: 'DEVICE_FULL' });
});
