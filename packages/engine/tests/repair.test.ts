/** Repair: what was intact is there afterwards, and what is gone is on the list. */
import { SeededRandom, binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import type { SimulatedMedium } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import { repairDevice } from '../src/index.ts';
import type { RepairPlan } from '../src/index.ts';
import { FaultLife, blockKindOf } from './fault-life.ts';
import { AREA, cutOffDisk, tallyOf } from './repair-disks.ts';
import { compare, contentOf, handleOn, repair, repairAndCheck } from './repair-run.ts';
import { BLOCK_BYTES, agedLife, writtenBlocks } from './rot-run.ts';
import { HOLDER } from './simulated-engine.ts';

describe('a repair', () => {
  test('of a device with a bit flipped anywhere loses what that bit was part of', async () => {
    const { medium } = await agedLife('repair');
    const before = await contentOf(medium);
    const random = new SeededRandom('repair/flips');
    const plans: (RepairPlan | undefined)[] = [];
    for (const [index, block] of writtenBlocks(medium).entries()) {
      // Half of them do, and superblocks and ring, which come first.
      if (index % 2 === 1 && block >= AREA.areaOffset) continue;
      const fork = medium.fork();
      fork.corrupt(block + random.below(BLOCK_BYTES), 1 << random.below(8));
      const plan = await repairAndCheck(fork, before);
      // One bit costs one value, or the keys of one block.
      expect((plan?.dropped.length ?? 0) + (plan?.lostKeys.length ?? 0)).toBeLessThan(8);
      plans.push(plan);
    }
    const tally = tallyOf(plans);
    expect(tally).toMatchObject({ refused: 0 });
    expect(tally['dropped']).toBeGreaterThan(2);
    expect(tally['tables']).toBeGreaterThan(1);
  }, 60_000);

  test('of the first bytes of every kind of block, also where opening is refused', async () => {
    const { medium, before, blocks } = await cutOffDisk('repair heads');
    const plans: (RepairPlan | undefined)[] = [];
    const refused: string[] = [];
    for (const block of blocks) {
      const kind = blockKindOf(medium, block, AREA);
      if (kind.startsWith('inside')) continue;
      for (const at of [8, 90]) {
        const fork = medium.fork();
        fork.corrupt(block + at, 4);
        const plan = await repairAndCheck(fork, before);
        if (plan === undefined) refused.push(`${kind} ${block} ${at}`);
        plans.push(plan);
      }
    }
    const tally = tallyOf(plans);
    expect(tally['refusals']).toBeGreaterThan(10);
    expect(tally['logLosses']).toBeGreaterThan(5);
    expect(tally['older']).toBeGreaterThan(0);
    expect(refused).toEqual([]);
  }, 60_000);

  test('of a device with many places damaged at once', async () => {
    const plans: (RepairPlan | undefined)[] = [];
    for (const seed of ['a', 'b']) {
      const { medium, before, ...disk } = await cutOffDisk(`many ${seed}`);
      const blocks = disk.blocks.filter((block) => block >= AREA.areaOffset);
      const random = new SeededRandom(`many/${seed}`);
      for (let round = 0; round < 25; round++) {
        const fork = medium.fork();
        for (let count = 1 + random.below(40); count > 0; count--) {
          const block = blocks[random.below(blocks.length)] ?? 0;
          fork.corrupt(block + random.below(BLOCK_BYTES), 1 << random.below(8));
        }
        plans.push(await repairAndCheck(fork, before));
      }
    }
    const tally = tallyOf(plans);
    expect(tally['lostKeys']).toBeGreaterThan(10);
    expect(plans.length - (tally['refused'] ?? 0)).toBeGreaterThan(25);
  }, 60_000);

  test('lists the keys that show an older value because a block of a newer table is gone', async () => {
    const life = new FaultLife({ seed: 'two tables', memtableBytes: 4096 });
    const medium = await life.format();
    for (const fill of [1, 2]) {
      const { engine, device } = await life.open(medium);
      for (let first = 0; first < 100; first += 50) {
        const keys = Array.from({ length: 50 }, (_, index) => `key ${first + index}`);
        await engine.apply(
          keys.map((key) => ({
            kind: 'put',
            key: bytesOfBinaryString(key),
            value: new Uint8Array(60).fill(fill),
          })),
        );
      }
      await engine.close();
      await device.close();
    }
    const before = await contentOf(medium);
    const lsns = new Set<number>();
    let resurfacedCount = 0;
    for (const block of writtenBlocks(medium)) {
      if (!blockKindOf(medium, block, AREA).endsWith('DOZOTAB1')) continue;
      const fork = medium.fork();
      fork.corrupt(block + 40, 1);
      const plan = await repairAndCheck(fork, before);
      const after = await contentOf(fork);
      for (const { key, lsn } of plan?.resurfaced ?? []) {
        const name = binaryStringOf(key);
        expect(after.get(name)).toMatchObject({ lsn, value: new Uint8Array(60).fill(1) });
        lsns.add(lsn);
        resurfacedCount++;
      }
    }
    expect(resurfacedCount).toBeGreaterThan(20);
    expect([...lsns].every((lsn) => lsn <= 2)).toBe(true);
  });

  test('that is cut off anywhere is done by the next one', async () => {
    const { medium, before, ...disk } = await cutOffDisk('cut off');
    const random = new SeededRandom('cut off/flips');
    const blocks = disk.blocks.filter((block) => block >= AREA.areaOffset);
    for (let count = 0; count < 12; count++) {
      medium.corrupt((blocks[random.below(blocks.length)] ?? 0) + random.below(BLOCK_BYTES), 2);
    }
    const plan = (await repair(medium.fork()))?.plan;
    if (plan === undefined) throw new Error('it cannot be repaired at all');
    const crashes: SimulatedMedium[] = [];
    const watched = medium.fork();
    await repair(watched, ({ kind, phase }) => {
      if (kind === 'read' || crashes.length > 200) return;
      crashes.push(watched.crash(new SeededRandom(`${phase}/${crashes.length}`)));
    });
    expect(crashes.length).toBeGreaterThan(20);
    let againCount = 0;
    for (const crash of crashes) {
      const again = await repairAndCheck(crash, before).catch((error: unknown) => {
        // After the checkpoint of the repair there is nothing to tell any more.
        if (error instanceof Error && error.message.includes('nobody said so')) return 'done';
        throw error;
      });
      expect(again).toBeDefined();
      if (again === 'done') compare(before, await contentOf(crash), plan);
      else againCount++;
    }
    expect(againCount).toBeGreaterThan(10);
  }, 60_000);

  test('that is not agreed to changes nothing but the claim', async () => {
    const { medium } = await agedLife('not agreed 1');
    // The data blocks and values that this hits are damaged; the log can still be recovered.
    const blocks = writtenBlocks(medium).filter((block) =>
      blockKindOf(medium, block, AREA).endsWith('DOZOTAB1'),
    );
    for (const block of blocks) medium.corrupt(block + 200, 1);
    const areaOf = (): Uint8Array =>
      medium.peek(AREA.areaOffset, medium.sizeBytes - AREA.areaOffset);
    const before = areaOf();
    const { device, clock } = handleOn(medium);
    const random = new SeededRandom('no');
    let damageCount = 0;
    const agree = ({ report }: RepairPlan): Promise<boolean> => {
      damageCount = report.damages.length;
      return Promise.resolve(false);
    };
    const options = { device, clock, random, holder: HOLDER, agree };
    expect(await repairDevice(options)).toMatchObject({ isDone: false });
    expect(damageCount).toBeGreaterThan(0);
    expect(areaOf()).toEqual(before);
  });
});
