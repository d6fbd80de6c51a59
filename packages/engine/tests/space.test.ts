/**
 * Space in the long run: random overwrites of a device that is 85 % full, until 50 times its size has been
 * written, and no put may fail. `DOZO_SPACE_TIMES=200` writes more.
 */
import { SeededRandom } from '@dozo/base';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { ValueMaker } from './model/keys-and-values.ts';
import { HOLDER, KIB, bytes, formattedMedium } from './simulated-engine.ts';

const FILL = 0.85;
const WRITERS = 8;
const times = Number(process.env['DOZO_SPACE_TIMES'] ?? 50);

/** A filled engine, and what it is filled with. */
interface Filled {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
  readonly sizes: readonly number[];
  readonly values: ValueMaker;
  readonly random: SeededRandom;
}

async function filledEngine(
  seed: string,
  drawBytes: (random: SeededRandom) => number,
): Promise<Filled> {
  const clock = new SimulatedClock({ seed });
  const random = new SeededRandom(seed);
  const sizesOfDisk = { segmentCount: 32, segmentPayloadBytes: 64 * KIB, ringSlotCount: 4 };
  const medium = await formattedMedium({ seed, clock, random }, sizesOfDisk);
  const device = new SimulatedDevice(medium, { clock, seed });
  const base = { device, clock, random, holder: HOLDER };
  const tree = { memtableBytes: 16 * KIB, cacheBytes: 64 * KIB };
  const engine = await openEngine({ ...base, ...tree });
  const values = new ValueMaker(random);
  const sizes: number[] = [];
  const { usableBytes } = engine.stats();
  while (engine.stats().availableBytes > usableBytes * (1 - FILL)) {
    const sizeBytes = drawBytes(random);
    await engine.apply([
      { kind: 'put', key: keyOf(sizes.length), value: values.make(0, sizeBytes) },
    ]);
    sizes.push(sizeBytes);
  }
  return { engine, device, sizes, values, random };
}

function keyOf(index: number): Uint8Array {
  return bytes(`key/${String(index).padStart(6, '0')}`);
}

/** Overwrites random keys until so many bytes were accepted; rejects when a put is refused. */
async function overwrite(filled: Filled, bytesWanted: number): Promise<Map<number, number>> {
  const { engine, sizes, values, random } = filled;
  const numbers = new Map<number, number>();
  let accepted = 0;
  let number = 0;
  const write = async (): Promise<void> => {
    while (accepted < bytesWanted) {
      const index = random.below(sizes.length);
      const sizeBytes = sizes[index] ?? 0;
      accepted += sizeBytes + 10;
      numbers.set(index, ++number);
      const value = values.make(number, sizeBytes);
      await engine.apply([{ kind: 'put', key: keyOf(index), value }]);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
  return numbers;
}

test.each<[string, (random: SeededRandom) => number]>([
  ['4 KiB', () => 4 * KIB],
  ['all sizes up to 6 KiB', (random) => random.below(random.chance(0.3) ? 200 : 6 * KIB)],
])('overwrites of values of %s never fail at 85 %', async (name, drawBytes) => {
  const filled = await filledEngine(`space ${name}`, drawBytes);
  const { engine, device, sizes, values } = filled;
  const numbers = await overwrite(filled, times * device.sizeBytes);
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
