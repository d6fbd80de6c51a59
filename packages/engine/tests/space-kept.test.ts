/** Space that must not be lost over restarts: segments of starts that died, and ends of segments. */
import { SeededRandom } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import { openRing } from '../src/open-engine.ts';
import { readSuperblock } from '../src/read-superblock.ts';
import { recover } from '../src/recovery.ts';
import { HOLDER, KIB, MIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

test('recovery knows where every segment with live records ends', async () => {
  // Without its end a segment cannot be emptied any more.
  for (let seed = 0; seed <= 40; seed += 10) {
    const world = newWorld(`rowend ${String(seed)}`);
    const medium = await formattedMedium(world, { segmentCount: 14 });
    const { engine, device } = await openOn(world, medium);
    for (let index = 0; index < 200 + seed * 3; index++) {
      const key = bytes(`k${String(world.random.below(seed % 3 === 0 ? 20 : 60))}`);
      const value = world.random.bytes(1500 + world.random.below(1000));
      await engine.apply([{ kind: 'put', key, value }]);
    }
    device.halt();
    const reader = new SimulatedDevice(medium, { clock: world.clock, seed, access: 'read-only' });
    const superblock = await readSuperblock(reader);
    const { ring } = await openRing(reader, superblock);
    const from = ring.newestWithCheckpoint;
    const { segments } = (await recover(reader, superblock, { from })).catalog;
    for (let segment = 0; segment < segments.count; segment++) {
      if (segments.liveBytesOf(segment) > 0) expect(segments.endOf(segment)).toBeGreaterThan(0);
    }
  }
});

test('a row of starts that die soon after they began to move records does not use the device up', async () => {
  // Segments of which reclaim moves only a part at once, and starts that live for so many flushes.
  for (const flushCount of [1, 4]) {
    const world = newWorld('moves');
    const sizes = { segmentCount: 16, ringSlotCount: 3, segmentPayloadBytes: 16 * MIB };
    let medium = await formattedMedium(world, sizes);
    const first = await openOn(world, medium);
    const value = world.random.bytes(250 * KIB);
    for (let index = 0; index < 1500; index++) {
      const key = bytes(`k${String(world.random.below(280))}`);
      await first.engine.apply([{ kind: 'put', key, value }]);
    }
    first.device.halt();
    for (let start = 0; start < 12; start++) {
      medium = medium.crash(new SeededRandom(start));
      let flushesLeft = Number.POSITIVE_INFINITY;
      const halted = { after: (): void => undefined };
      const { clock, random } = world;
      const device = new SimulatedDevice(medium, {
        clock,
        seed: start,
        onOperation: ({ kind, phase }) => {
          if (kind === 'flush' && phase === 'end' && --flushesLeft === 0) halted.after();
        },
      });
      const isHalted = new Promise<void>((resolve) => {
        halted.after = () => {
          device.halt();
          resolve();
        };
      });
      const engine = await openEngine({ device, clock, random, holder: HOLDER });
      expect(engine.stats().freeSegmentCount).toBeGreaterThan(0);
      flushesLeft = flushCount;
      await isHalted;
    }
  }
});
