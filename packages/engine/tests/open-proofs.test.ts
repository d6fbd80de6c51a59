/**
 * Proofs that wait for their engine: red until it has a merge tree with these switches, and until a claim
 * tells its slot from a copy of it. What turns green moves to the test that it belongs to.
 */
import { SeededRandom, binaryStringOf } from '@dozo/base';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import type { TestSwitches } from '../src/test-switches.ts';
import { runCrashes } from './crash-run.ts';
import { HAS_RANGE_DELETE, HAS_TREE } from './engine-features.ts';
import { FaultLife, blockKindOf } from './fault-life.ts';
import { runModel } from './model/model-run.ts';
import { filledEngine, overwrite } from './overwrite-run.ts';
import { BLOCK_BYTES, agedLife, flipAndRead, writtenBlocks } from './rot-run.ts';
import { KIB } from './simulated-engine.ts';

/** A check that needs more seeds than this to notice a missing mechanism is too weak. */
const CATCHING_RUNS_MAX = 25;

/** By name, for there are none of these yet. */
function switchOff(name: string): TestSwitches {
  return Object.fromEntries([[name, true]]);
}

describe('an engine with a merge tree', () => {
  test('is what all the other proofs prove', () => {
    expect(HAS_TREE).toBe(true);
    expect(HAS_RANGE_DELETE).toBe(true);
  });

  test('flushes and compacts some hundred times in a life', async () => {
    const { counts, violation } = await runModel({ seed: 1, operationCount: 10_000 });
    expect(violation).toBeUndefined();
    expect(counts.memtableFlushes).toBeGreaterThan(100);
    expect(counts.compactions).toBeGreaterThan(20);
    expect(counts.rangeDeletes).toBeGreaterThan(0);
  });

  test('is crashed while it writes tables', async () => {
    const { phases, violation } = await runCrashes({ seed: 1 });
    expect(violation).toBeUndefined();
    expect(phases.table).toBeGreaterThan(20);
  });

  test('tells of rot in its tables', async () => {
    const { life, medium, area } = await agedLife('rot of tables');
    const random = new SeededRandom('rot of tables');
    let toldCount = 0;
    for (const block of writtenBlocks(medium)) {
      if (!blockKindOf(medium, block, area).startsWith('inside of DOZOTAB')) continue;
      const offset = block + random.below(BLOCK_BYTES);
      const flip = { offset, mask: 1 << random.below(8), isOpen: random.chance(0.5) };
      if ((await flipAndRead(life, medium, flip)) !== 'intact') toldCount++;
    }
    expect(toldCount).toBeGreaterThan(10);
  });

  test.each([
    ['the flush of tables before the checkpoint names them', 'publishBeforeTablesFlushed'],
    [
      'keeping the segments of tables until the slot names the next version',
      'freeTablesBeforeSlot',
    ],
    ['keeping the log until the memtable is in tables', 'cutLogBeforeFlush'],
  ])('the crash test notices when this is missing: %s', async (_, name) => {
    let violation: string | undefined;
    for (let seed = 1; seed <= CATCHING_RUNS_MAX && violation === undefined; seed++) {
      const hasFewKeys = seed % 2 === 1;
      violation = (await runCrashes({ seed, switches: switchOff(name), hasFewKeys })).violation;
    }
    expect(violation).toBeDefined();
  });

  test.each([
    ['keeping deletes until the last level', 'dropDeletesEarly', /resurrected/],
    ['counting each death once', 'settleTwice', /./],
    ['tables that a snapshot still reads', 'freeTablesInUse', /./],
  ])('the model test notices when this is missing: %s', async (_, name, words) => {
    let violation: string | undefined;
    for (let seed = 1; seed <= CATCHING_RUNS_MAX && violation === undefined; seed++) {
      const options = { seed, operationCount: 10_000, switches: switchOff(name) };
      violation = (await runModel(options)).violation;
    }
    expect(violation).toMatch(words);
  });

  test('the space test notices when nothing is settled', async () => {
    const filled = await filledEngine('unsettled', () => 4 * KIB, switchOff('skipSettle'));
    const run = overwrite(filled, 20 * filled.device.sizeBytes);
    await expect(run).rejects.toMatchObject({ code: 'DEVICE_FULL' });
  });

  test('the rot test notices when the checksums of tables are not looked at', async () => {
    const { life, medium } = await agedLife('rot of tables', switchOff('skipTableChecks'));
    const lie = async (): Promise<void> => {
      for (const block of writtenBlocks(medium)) {
        for (const at of [100, 1500, 3000]) {
          await flipAndRead(life, medium, { offset: block + at, mask: 2, isOpen: true });
        }
      }
    };
    await expect(lie()).rejects.toThrow();
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
        await writeTo(medium, 64 * KIB + slotIndex * 8 * KIB + 4 * KIB, copy);
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
  for (let offset = 64 * KIB; offset < 64 * KIB + 4 * 8 * KIB; offset += BLOCK_BYTES) {
    const block = medium.peek(offset, BLOCK_BYTES);
    if (binaryStringOf(block.subarray(0, 8)) !== 'DOZOSLOT') continue;
    const counter = new DataView(block.buffer, block.byteOffset).getBigUint64(56, true);
    if (counter > counterMax) [newest, counterMax] = [block, counter];
  }
  return newest;
}

async function writeTo(medium: SimulatedMedium, offset: number, block: Uint8Array): Promise<void> {
  const clock = new SimulatedClock({ seed: 1 });
  const device = new SimulatedDevice(medium, { clock, seed: 1 });
  await device.writeDurably(offset, [block]);
  await device.close();
}
