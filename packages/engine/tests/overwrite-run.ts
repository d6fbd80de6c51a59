/** Overwrites random keys of a disk that is filled to a part, for as long as one wants. */
import { SeededRandom } from '@dozo/base';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { ValueMaker } from './model/keys-and-values.ts';
import { HOLDER, KIB, bytes, formattedMedium } from './simulated-engine.ts';

export const FILL = 0.85;
const WRITERS = 8;

/** A filled engine, and what it is filled with. */
export interface Filled {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
  readonly clock: SimulatedClock;
  readonly sizes: readonly number[];
  readonly values: ValueMaker;
  readonly random: SeededRandom;
}

/** An engine on a disk of 2 MiB, filled with values of drawn sizes. */
export async function filledEngine(
  seed: string,
  drawBytes: (random: SeededRandom) => number,
  testSwitches: TestSwitches = {},
): Promise<Filled> {
  const clock = new SimulatedClock({ seed });
  const random = new SeededRandom(seed);
  const sizesOfDisk = { segmentCount: 32, segmentPayloadBytes: 64 * KIB, ringSlotCount: 4 };
  const medium = await formattedMedium({ seed, clock, random }, sizesOfDisk);
  const device = new SimulatedDevice(medium, { clock, seed });
  const base = { device, clock, random, holder: HOLDER, testSwitches };
  const tree = { memtableBytes: 8 * KIB, cacheBytes: 64 * KIB };
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
  return { engine, device, clock, sizes, values, random };
}

export function keyOf(index: number): Uint8Array {
  return bytes(`key/${String(index).padStart(6, '0')}`);
}

/** Overwrites random keys until so many bytes were accepted; rejects when a put is refused. */
export async function overwrite(filled: Filled, bytesWanted: number): Promise<Map<number, number>> {
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
