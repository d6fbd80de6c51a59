/** Disks that are to be repaired, and what came of many repairs. */
import { equalBytes } from '@dozo/base';
import type { SimulatedMedium } from '@dozo/simulator';
import type { Engine, RepairPlan } from '../src/index.ts';
import { FaultLife } from './fault-life.ts';
import { contentOf } from './repair-run.ts';
import type { Content } from './repair-run.ts';
import { BLOCK_BYTES, drawDisk, writtenBlocks } from './rot-run.ts';

/** Where what lies on the disks of {@link FaultLife} with segments of their default size. */
export const AREA = { ringOffset: 65_536, areaOffset: 102_400, strideBytes: 49_152 };

export interface CutOffDisk {
  readonly medium: SimulatedMedium;
  readonly before: Content;
  /**
   * Blocks in which something was written, but for those of the last group: damage there cannot be told from
   * a write that the end of the process tore.
   */
  readonly blocks: readonly number[];
}

/**
 * A memtable that takes all that the tests here write on a disk, many times over: each close of the engine
 * makes one table of it, and two of these are far from being merged.
 */
export const ROOMY_MEMTABLE_BYTES = 65_536;

/** How many runs of tables each level has. */
export function runCountsOf(engine: Engine): number[] | undefined {
  return engine.stats().tree?.levels.map(({ runCount }) => runCount);
}

/**
 * A disk whose engine was cut off with much of its log not in tables, and what is on it: see {@link drawDisk}.
 */
export function cutOffDisk(seed: string): Promise<CutOffDisk> {
  return drawDisk(seed, cutOff);
}

async function cutOff(seed: string): Promise<CutOffDisk> {
  const life = new FaultLife({ seed, keyCount: 120, segmentCount: 16, putShare: 0.85 });
  const medium = await life.format();
  const first = await life.open(medium);
  await life.write(first.engine, 300);
  await first.engine.close();
  await first.device.close();
  const { engine, device } = await life.open(medium);
  await life.write(engine, 150);
  const withoutLast = medium.fork();
  await life.write(engine, 1);
  device.halt();
  const isOfLast = (block: number): boolean =>
    !equalBytes(medium.peek(block, BLOCK_BYTES), withoutLast.peek(block, BLOCK_BYTES));
  const blocks = writtenBlocks(medium).filter((block) => !isOfLast(block));
  return { medium, before: await contentOf(medium), blocks };
}

/** What came of many repairs. */
export function tallyOf(plans: readonly (RepairPlan | undefined)[]): Record<string, number> {
  const done = plans.filter((plan) => plan !== undefined);
  const sum = (count: (plan: RepairPlan) => number): number =>
    done.reduce((total, plan) => total + count(plan), 0);
  return {
    refused: plans.length - done.length,
    dropped: sum((plan) => plan.dropped.length),
    lostKeys: sum((plan) => plan.lostKeys.length),
    resurfaced: sum((plan) => plan.resurfaced.length),
    logLosses: sum((plan) => plan.logLosses.length),
    refusals: sum((plan) => (plan.refusal === undefined ? 0 : 1)),
    older: sum((plan) => (plan.isOlderCheckpoint ? 1 : 0)),
    tables: sum((plan) => plan.tableCount),
  };
}
