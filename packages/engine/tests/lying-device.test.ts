/**
 * A device that says it has written, and has not, or has written somewhere else.
 *
 * What reads meet of it they tell, `verify` finds what is still needed, and nothing false is ever read: not
 * now, and where `verify` finds nothing, not after a restart either.
 *
 * Not checked: a lie about the last writes before a power cut, which nobody can tell from a torn end.
 */
import { describe, expect, test } from 'vitest';
import type { Fault, SimulatedMedium } from '@dozo/simulator';
import { SeededRandom, binaryStringOf, hasCode } from '@dozo/base';
import type { VerifyReport } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { FaultLife, isDamage } from './fault-life.ts';
import { BLOCK_BYTES } from './rot-run.ts';
import { KIB } from './simulated-engine.ts';

/** The ring of four slots that these disks have. */
const RING = { start: 64 * KIB, end: 64 * KIB + 4 * 8 * KIB };

type Lie = 'lose' | 'misdirect';

/** Who noticed, of so many lies. */
interface Told {
  /** It ended at once: its slot does not show what it wrote there. */
  readonly byClaim: number;
  readonly byVerify: number;
  readonly byReads: number;
  readonly nothing: number;
}

/** What the running engine may say once the device has lied. */
function isExcused(error: unknown): boolean {
  return isDamage(error) || hasCode(error, 'DEVICE_FULL', 'ENGINE_FENCED', 'ENGINE_CLAIM_LOST');
}

/** One lie in the middle of a life. */
async function tellLie(seed: string, lie: Lie, switches: TestSwitches = {}): Promise<keyof Told> {
  const life = new FaultLife({ seed, switches, keyCount: 100, segmentCount: 20 });
  const random = new SeededRandom(seed);
  const medium = await life.format();
  const { engine, device } = await life.open(medium);
  await life.write(engine, random.below(250));
  const fault = faultOf(lie, random, medium);
  const writesBefore = device.counts().writes;
  device.inject(fault);
  const isTold = (): boolean => device.counts().writes > writesBefore + fault.after;
  while (!isTold() && engine.stats().state === 'open') await life.write(engine, 1, isExcused);
  // Sometimes nothing more: then what was hit is still there.
  await life.write(engine, random.chance(0.5) ? 0 : random.below(200), isExcused);
  const endedByClaim = async (): Promise<'byClaim'> => {
    await engine.close();
    await device.close();
    const again = await life.openDamaged(medium);
    if (again !== undefined) await life.readAll(again.engine);
    again?.device.halt();
    return 'byClaim';
  };
  if (engine.stats().state !== 'open') return endedByClaim();
  let refusedCount: number;
  let damages: VerifyReport['damages'];
  try {
    refusedCount = (await life.readAll(engine)).refusedCount;
    damages = (await engine.verify()).damages;
  } catch (error) {
    // It may look at its slot while this reads.
    if (!hasCode(error, 'ENGINE_CLAIM_LOST')) throw error;
    return endedByClaim();
  }
  if (refusedCount > 0) {
    expect(damages, `${seed}: a read told of damage, verify does not`).not.toEqual([]);
    device.halt();
    return 'byReads';
  }
  if (damages.length > 0) {
    device.halt();
    return 'byVerify';
  }
  await engine.close();
  await device.close();
  await readAgain(life, medium, seed);
  return 'nothing';
}

/** Verify found nothing: then the next start finds all that there was. */
async function readAgain(life: FaultLife, medium: SimulatedMedium, seed: string): Promise<void> {
  const again = await life.open(medium);
  const { refusedCount } = await life.readAll(again.engine);
  expect(refusedCount, `${seed}: verify had found nothing`).toBe(0);
  expect((await again.engine.verify()).damages).toEqual([]);
  await again.engine.close();
  await again.device.close();
}

function faultOf(lie: Lie, random: SeededRandom, medium: SimulatedMedium): Fault {
  const after = random.below(8);
  if (lie === 'lose') return { kind: 'write', effect: 'lose', after };
  // Somewhere else entirely, or just beside.
  const blocks = random.chance(0.5)
    ? random.below(Math.floor(medium.sizeBytes / 4096))
    : 1 + random.below(4);
  return { kind: 'write', effect: 'misdirect', after, byBytes: (1 + blocks) * 4096 };
}

async function tellLies(lie: Lie, count: number, switches: TestSwitches = {}): Promise<Told> {
  const told = { byClaim: 0, byVerify: 0, byReads: 0, nothing: 0 };
  for (let seed = 0; seed < count; seed++) told[await tellLie(`${lie} ${seed}`, lie, switches)]++;
  return told;
}

describe('a device that lies', () => {
  test.each<[Lie, string]>([
    ['lose', 'lost'],
    ['misdirect', 'misdirected'],
  ])('%s: a %s write is found by verify, and nothing false is read', async (lie) => {
    const told = await tellLies(lie, 80);
    expect(told.byReads + told.byVerify).toBeGreaterThan(20);
    expect(told.byVerify).toBeGreaterThan(0);
  });

  test('is believed if values are not checked', async () => {
    await expect(tellLies('misdirect', 40, { skipReadChecks: true })).rejects.toThrow(
      /wrong|lost|resurrected/,
    );
  });
});

describe('a misdirected write of the slot', () => {
  test.each([60, 100, 140, 180])(
    'that left a state of %i batches ago in another slot loses nothing after a clean restart',
    async (batchCount) => {
      for (let slotIndex = 0; slotIndex < 4; slotIndex++) {
        const life = new FaultLife({ seed: 'slots', keyCount: 100, segmentCount: 24 });
        const medium = await life.format();
        const { engine, device } = await life.open(medium);
        await life.write(engine, 100);
        const copy = newestSlotOf(medium);
        await life.write(engine, batchCount);
        await engine.close();
        await device.close();
        medium.poke(RING.start + slotIndex * 8 * KIB + 4 * KIB, copy);
        const again = await life.openDamaged(medium);
        const isRefused = again === undefined;
        // To refuse it is not wrong; to serve what was before is.
        if (!isRefused) expect((await life.readAll(again.engine)).refusedCount).toBe(0);
        expect(copy).toHaveLength(BLOCK_BYTES);
      }
    },
  );
});

/** The block of the ring with the highest write counter. */
function newestSlotOf(medium: SimulatedMedium): Uint8Array {
  let newest: Uint8Array = new Uint8Array(0);
  let counterMax = -1n;
  for (let offset = RING.start; offset < RING.end; offset += BLOCK_BYTES) {
    const block = medium.peek(offset, BLOCK_BYTES);
    if (binaryStringOf(block.subarray(0, 8)) !== 'DOZOSLOT') continue;
    const counter = new DataView(block.buffer, block.byteOffset).getBigUint64(56, true);
    if (counter > counterMax) [newest, counterMax] = [block, counter];
  }
  return newest;
}
