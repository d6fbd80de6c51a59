/** Repair: what was intact is there afterwards, and what is gone is on the list. */
import { SeededRandom, binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import type { SimulatedMedium } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import { repairDevice } from '../src/index.ts';
import type { RepairPlan } from '../src/index.ts';
import { FaultLife, blockKindOf } from './fault-life.ts';
import { AREA, ROOMY_MEMTABLE_BYTES, cutOffDisk, runCountsOf, tallyOf } from './repair-disks.ts';
import { compare, contentOf, handleOn, repair, repairAndCheck } from './repair-run.ts';
import type { Content } from './repair-run.ts';
import { BLOCK_BYTES, agedLife, writtenBlocks } from './rot-run.ts';
import { HOLDER } from './simulated-engine.ts';

/** Damages of heads with which opening must have been refused: more than so many. */
const REFUSALS_MIN = 10;
/** Disks of which every head is damaged at most. */
const HEAD_DISKS_MAX = 3;
/** Points at which a repair must be cut off at least. */
const CRASHES_MIN = 21;
/** Crashes of one repair at most: each is a copy of the disk. */
const CRASHES_MAX = 200;
/** Damaged disks that are drawn until the repair of one is long enough. */
const DAMAGES_MAX = 20;

/** A disk so damaged that its repair has many writes and flushes, and what a crash at each of them leaves. */
async function cutOffRepair(seed: string): Promise<{
  readonly before: Content;
  readonly plan: RepairPlan;
  readonly crashes: readonly SimulatedMedium[];
}> {
  const { before, ...disk } = await cutOffDisk(seed);
  const blocks = disk.blocks.filter((block) => block >= AREA.areaOffset);
  const random = new SeededRandom(`${seed}/flips`);
  for (let draw = 0; draw < DAMAGES_MAX; draw++) {
    const medium = disk.medium.fork();
    for (let count = 0; count < 12; count++) {
      medium.corrupt((blocks[random.below(blocks.length)] ?? 0) + random.below(BLOCK_BYTES), 2);
    }
    const crashes: SimulatedMedium[] = [];
    const repaired = await repair(medium, ({ kind, phase }) => {
      if (kind === 'read' || crashes.length > CRASHES_MAX) return;
      crashes.push(medium.crash(new SeededRandom(`${phase}/${crashes.length}`)));
    });
    if (repaired === undefined) throw new Error('it cannot be repaired at all');
    if (crashes.length >= CRASHES_MIN) return { before, plan: repaired.plan, crashes };
  }
  throw new Error(`of ${DAMAGES_MAX} damaged disks, none has a repair of ${CRASHES_MIN} steps`);
}

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
    const plans: (RepairPlan | undefined)[] = [];
    const refused: string[] = [];
    const isEnough = (): boolean => (tallyOf(plans)['refusals'] ?? 0) > REFUSALS_MIN;
    // How many groups recovery needs is another matter on each disk: all of one, then of more if these are few.
    for (let disk = 0; disk < HEAD_DISKS_MAX && !isEnough(); disk++) {
      const { medium, before, blocks } = await cutOffDisk(`repair heads ${disk}`);
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
    }
    const tally = tallyOf(plans);
    expect(tally['refusals']).toBeGreaterThan(REFUSALS_MIN);
    expect(tally['logLosses']).toBeGreaterThan(5);
    expect(tally['older']).toBeGreaterThan(0);
    expect(refused).toEqual([]);
  }, 180_000);

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
    const life = new FaultLife({ seed: 'two tables', memtableBytes: ROOMY_MEMTABLE_BYTES });
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
      // Each life is a table over those of the lives before.
      expect(runCountsOf(engine)?.[0]).toBe(fill);
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
    const { before, plan, crashes } = await cutOffRepair('cut off');
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
