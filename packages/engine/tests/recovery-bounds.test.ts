/** What recovery says of a checkpoint or manifest that names places which the device does not have. */
import { SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openRing } from '../src/open-engine.ts';
import { readSuperblock } from '../src/read-superblock.ts';
import { recover } from '../src/recovery.ts';
import { bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

test('segments that the device does not have are refused in parts, rows and tables', async () => {
  const reasons = new Set<string>();
  for (let seed = 0; seed < 12; seed++) {
    const world = newWorld(`bounds ${String(seed)}`);
    const medium = await formattedMedium(world, { segmentCount: 20 });
    const { engine, device } = await openOn(world, medium);
    for (let index = 0; index < 300 + 150 * seed; index++) {
      const key = bytes(`k${String(world.random.below(120))}`);
      const value = world.random.bytes(world.random.below(seed % 2 === 0 ? 3000 : 400));
      await engine.apply([{ kind: 'put', key, value }]);
    }
    device.halt();
    const reader = new SimulatedDevice(medium, { clock: world.clock, seed, access: 'read-only' });
    const superblock = await readSuperblock(reader);
    const from = (await openRing(reader, superblock)).ring.newestWithCheckpoint;
    // As if the device had fewer: what lies in the others is outside.
    for (let segmentCount = 19; segmentCount > 0; segmentCount--) {
      const geometry = { ...superblock.geometry, segmentCount };
      const refusal = await recover(reader, { ...superblock, geometry }, { from }).then(
        () => undefined,
        (error: unknown) => error as Error,
      );
      if (refusal === undefined) continue;
      expect(refusal).toMatchObject({ code: 'DEVICE_CORRUPT' });
      for (const reason of ['part of the log', 'piece of log', 'table lies']) {
        if (refusal.message.includes(reason)) reasons.add(reason);
      }
    }
  }
  expect([...reasons].sort()).toEqual(['part of the log', 'piece of log', 'table lies']);
});
