/** What recovery says of a checkpoint or manifest that names places which the device does not have. */
import { SimulatedDevice } from '@dozo/simulator';
import { SeededRandom, binaryStringOf } from '@dozo/base';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import { openRing } from '../src/open-engine.ts';
import { readSuperblock } from '../src/read-superblock.ts';
import { recover } from '../src/recovery.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

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

test('what must be replayed does not grow from one start that dies to the next', async () => {
  const world = newWorld('no flush ends');
  let medium = await formattedMedium(world, {
    ...{ segmentCount: 128, segmentPayloadBytes: 128 * KIB, ringSlotCount: 16 },
  });
  const memtableBytes = 64 * KIB;
  let keyCount = 0;
  let mostBytes = 0;
  for (let life = 0; life < 6; life++) {
    const device = new SimulatedDevice(medium, { clock: world.clock, seed: life });
    holdTableWrites(device);
    const { clock, random } = world;
    const engine = await openEngine({ device, clock, random, holder: HOLDER, memtableBytes });
    mostBytes = Math.max(mostBytes, engine.stats().tree?.memtableBytes ?? 0);
    for (let isTaken = true; isTaken;) {
      const key = bytes(`k${String(keyCount++)}`);
      const put = engine.apply([{ kind: 'put', key, value: random.bytes(100) }]);
      isTaken = await isSettledSoon(put);
    }
    device.halt();
    medium = medium.crash(new SeededRandom(life));
  }
  expect(mostBytes).toBeGreaterThan(memtableBytes);
  // Two memtables, and what one group more brings.
  expect(mostBytes).toBeLessThan(2.2 * memtableBytes);
});

/** Writes of tables never end. */
function holdTableWrites(device: SimulatedDevice): void {
  const write = device.writeDurably.bind(device);
  device.writeDurably = (offset, buffers) =>
    buffers.some((buffer) => binaryStringOf(buffer.subarray(0, 8)) === 'DOZOTAB1')
      ? new Promise(() => undefined)
      : write(offset, buffers);
}

/** Whether a put ends within some turns of the event loop. It may never. */
async function isSettledSoon(put: Promise<unknown>): Promise<boolean> {
  const ended = put.then(
    () => true,
    () => true,
  );
  for (let turn = 0; turn < 100; turn++) {
    const isEnded = await Promise.race([
      ended,
      new Promise<false>((resolve) => {
        setImmediate(resolve, false);
      }),
    ]);
    if (isEnded) return true;
  }
  return false;
}
