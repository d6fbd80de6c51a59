/** Repair of a device that cannot read some of its blocks, or whose last flush has failed. */
import { hasCode } from '@dozo/base';
import { expect, test } from 'vitest';
import type { RepairPlan } from '../src/index.ts';
import { openRing } from '../src/open-engine.ts';
import { readSuperblock } from '../src/read-superblock.ts';
import { recover } from '../src/recovery.ts';
import type { RecoveredEnd } from '../src/fences.ts';
import { FaultLife, blockKindOf } from './fault-life.ts';
import { AREA, cutOffDisk, tallyOf } from './repair-disks.ts';
import type { CutOffDisk } from './repair-disks.ts';
import { breakBlocks, contentOf, forkOf, handleOn, repairAndCheck } from './repair-run.ts';
import { BLOCK_BYTES, writtenBlocks } from './rot-run.ts';

test('a block that cannot be read, of whatever kind, costs what stood in it', async () => {
  const { medium, before, blocks } = await cutOffDisk('unreadable 1');
  const plans = new Map<string, (RepairPlan | undefined)[]>();
  for (const [index, block] of blocks.entries()) {
    const kind = blockKindOf(medium, block, AREA);
    // Superblocks and ring are the claim's; inside of segments much is alike.
    if (block < AREA.areaOffset || (kind.startsWith('inside') && index % 3 > 0)) continue;
    const fork = medium.fork();
    breakBlocks(fork, [block]);
    const plan = await repairAndCheck(fork, before);
    plans.set(kind, [...(plans.get(kind) ?? []), plan]);
  }
  const tally = tallyOf([...plans.values()].flat());
  expect(tally).toMatchObject({ refused: 0 });
  for (const what of ['dropped', 'tables', 'logLosses', 'refusals', 'older']) {
    expect([what, tally[what]]).not.toEqual([what, 0]);
  }
  const pages = tallyOf(plans.get('group of page') ?? []);
  expect(pages['older']).toBeGreaterThan(0);
}, 60_000);

/** Disks that are drawn until the log of one of them has reserved a segment that it has not begun. */
const DISKS_MAX = 20;

interface DiskWithFreeSegments extends CutOffDisk {
  /** Where the segments begin in which the log would go on, and in which it is not yet. */
  readonly free: readonly number[];
}

async function diskWithFreeSegments(seed: string): Promise<DiskWithFreeSegments> {
  for (let draw = 0; draw < DISKS_MAX; draw++) {
    const disk = await cutOffDisk(`${seed} ${draw}`);
    const { device } = handleOn(disk.medium.fork());
    const superblock = await readSuperblock(device);
    const { ring } = await openRing(device, superblock);
    const from = ring.newestWithCheckpoint;
    // The log may be further than the slot says.
    const ends: (number | undefined)[] = [from?.logEnd?.segment];
    const setFences = (_: unknown, end: RecoveredEnd | undefined): [] => {
      ends.push(end?.segment);
      return [];
    };
    await recover(device, superblock, { from, setFences });
    // Not those that tables are written to.
    const free = (from?.reservation ?? [])
      .filter((segment) => !ends.includes(segment))
      .map((segment) => AREA.areaOffset + segment * AREA.strideBytes)
      .filter((start) => !blockKindOf(disk.medium, start, AREA).endsWith('DOZOTAB1'));
    if (free.length > 0) return { ...disk, free };
  }
  throw new Error(`of ${DISKS_MAX} disks, none has a segment that its log has not begun`);
}

test('where a segment that the log has not begun cannot be read, opening goes on', async () => {
  const { medium, before, free } = await diskWithFreeSegments('unreadable');
  expect(free.length).toBeGreaterThan(0);
  for (const start of free) {
    for (const block of [start, start + BLOCK_BYTES]) {
      const fork = medium.fork();
      breakBlocks(fork, [block]);
      expect(await contentOf(fork)).toEqual(before);
    }
    // Header and first group are one write: with neither of them nobody knows.
    const fork = medium.fork();
    breakBlocks(fork, [start, start + BLOCK_BYTES]);
    await expect(contentOf(fork)).rejects.toMatchObject({ code: 'DEVICE_CORRUPT' });
  }
});

test('what a failed flush may have written is not brought to light by a repair', async () => {
  let hiddenCount = 0;
  for (let seed = 0; seed < 12; seed++) {
    const life = new FaultLife({ seed: `failed flush ${seed}`, keyCount: 120, putShare: 0.9 });
    const medium = await life.format();
    const { engine, device } = await life.open(medium);
    await life.write(engine, 60);
    device.inject({ kind: 'flush', after: 0, effect: 'fail' });
    const isExpected = (error: unknown): boolean =>
      hasCode(error, 'DEVICE_FLUSH_FAILED', 'ENGINE_FAILED');
    expect(await life.write(engine, 12, isExpected)).toBeGreaterThan(0);
    await engine.close().catch(() => undefined);
    device.halt();
    const before = await contentOf(medium);
    const groups = writtenBlocks(medium).filter(
      (block) => blockKindOf(medium, block, AREA) === 'group of put',
    );
    // Recovery does not get past one of them.
    for (const block of groups.slice(-16)) {
      const fork = forkOf(medium);
      fork.corrupt(block + 8, 4);
      const plan = await repairAndCheck(fork, before);
      if (plan?.refusal !== undefined) hiddenCount++;
    }
  }
  expect(hiddenCount).toBeGreaterThan(10);
}, 60_000);
