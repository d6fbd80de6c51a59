/**
 * Starts that are cut off at any operation of the device, on a small device that is nearly full and whose
 * tree has tables: whatever a start had written by then, the next one finds a segment to go on in.
 */
import { SeededRandom, sleep } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { SMALL_TREE } from './engine-features.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

const ROWS = 12;
const STARTS = 40;
const SIZES = { segmentCount: 14, segmentPayloadBytes: 32 * KIB, ringSlotCount: 8 };

interface Start {
  readonly engine: Promise<Engine>;
  readonly device: SimulatedDevice;
  /** Resolves when the device has stopped in the midst of that operation. */
  readonly isCutOff: Promise<void>;
}

function start(world: World, medium: SimulatedMedium, cutAt: number): Start {
  let cutOff = (): void => undefined;
  const isCutOff = new Promise<void>((resolve) => {
    cutOff = resolve;
  });
  const device: SimulatedDevice = new SimulatedDevice(medium, {
    clock: world.clock,
    seed: world.random.uint32(),
    onOperation: ({ index, phase }) => {
      if (index !== cutAt || phase !== 'begin') return;
      device.halt();
      cutOff();
    },
  });
  const { clock, random } = world;
  const engine = openEngine({ device, clock, random, holder: HOLDER, ...SMALL_TREE });
  return { engine, device, isCutOff };
}

/** Writes over what is there until something is refused or the device stops. */
async function writeOver(world: World, engine: Engine, keyCount: number): Promise<void> {
  for (;;) {
    const index = world.random.below(keyCount);
    const value = world.random.bytes(sizeOf(index));
    await engine
      .apply([{ kind: 'put', key: bytes(`k${String(index)}`), value }])
      .catch(() => undefined);
    if (engine.stats().state !== 'open') return;
  }
}

function sizeOf(index: number): number {
  return index % 3 === 0 ? 2000 : 60 + index;
}

test('a row of starts that are cut off at any operation never locks a small device up', async () => {
  let cutCount = 0;
  let cutWhileOpening = 0;
  for (let row = 0; row < ROWS; row++) {
    const world = newWorld(`cut off ${String(row)}`);
    const { clock, random } = world;
    const run = async (): Promise<void> => {
      let medium = await formattedMedium(world, SIZES);
      const first = start(world, medium, Number.POSITIVE_INFINITY);
      const filled = await first.engine;
      let keyCount = 0;
      while (filled.stats().availableBytes > filled.stats().usableBytes * 0.1) {
        const value = random.bytes(sizeOf(keyCount));
        const key = bytes(`k${String(keyCount)}`);
        await filled.apply([{ kind: 'put', key, value }]);
        keyCount++;
      }
      first.device.halt();
      for (let index = 0; index < STARTS; index++) {
        medium = medium.crash(new SeededRandom(`${String(row)} ${String(index)}`));
        const isLong = random.chance(0.3);
        const { engine, device, isCutOff } = start(world, medium, random.below(isLong ? 300 : 60));
        const opened = engine.then(
          async (it) => {
            if (random.chance(0.6)) await writeOver(world, it, keyCount);
            return true;
          },
          (error: unknown) => {
            // Only the cut itself may keep it from opening.
            expect(error).not.toMatchObject({ code: 'DEVICE_FULL' });
            return false;
          },
        );
        const ended = await Promise.race([isCutOff.then(() => undefined), opened]);
        if (ended === undefined) cutCount++;
        if (ended === false) cutWhileOpening++;
        if (ended === true) await Promise.race([isCutOff, clock.turn()]);
        device.halt();
      }
      medium = medium.crash(random);
      const last = start(world, medium, Number.POSITIVE_INFINITY);
      const engine = await last.engine;
      expect((await engine.verify()).damages).toEqual([]);
      await sleep(clock, 1000);
      expect(engine.stats().keyCount).toBe(keyCount);
      // What is deleted goes, and gives its space back.
      for (let index = 0; index < keyCount; index++) {
        await engine.apply([{ kind: 'delete', key: bytes(`k${String(index)}`) }]);
      }
      await engine.apply([{ kind: 'put', key: bytes('large'), value: random.bytes(10_000) }]);
      await engine.close();
    };
    await clock.runUntil(run());
  }
  expect(cutCount + cutWhileOpening).toBeGreaterThan(ROWS * STARTS * 0.6);
});
