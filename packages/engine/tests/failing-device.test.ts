/**
 * A device of which one write or flush fails, at every point of a life in which all the work in the
 * background happens: the engine ends at once, nothing is tried again, and nothing that was acknowledged is
 * lost. `DOZO_FAULT_STRIDE=1` tries every single one.
 *
 * And a device of which one sector cannot be read any more, each in turn: that is damage of what lies there,
 * and the engine goes on.
 */
import { SeededRandom, hasCode } from '@dozo/base';
import type { OperationEvent } from '@dozo/simulator';
import { describe, expect, test } from 'vitest';
import type { TestSwitches } from '../src/test-switches.ts';
import { BadSectors } from './bad-sectors.ts';
import { backgroundCountsOf, missingWork } from './engine-features.ts';
import { FaultLife, blockKindOf } from './fault-life.ts';
import { agedLife, writtenBlocks } from './rot-run.ts';

const BATCHES = 450;
const STRIDE_DEFAULT = 3;
/** Where the segments of these disks begin: the writes before that are those of the claim. */
const AREA_OFFSET = 64 * 1024 + 4 * 8 * 1024 + 4096;

const stride = Number(process.env['DOZO_FAULT_STRIDE'] ?? STRIDE_DEFAULT);

function newLife(seed: string, switches: TestSwitches = {}): FaultLife {
  return new FaultLife({ seed, keyCount: 260, segmentCount: 20, putShare: 0.9, switches });
}

/** The writes that a whole life makes, in which all the work in the background is done. */
async function countWrites(seed: string): Promise<number> {
  const life = newLife(seed);
  const { engine, device } = await life.open(await life.format());
  const before = device.counts().writes;
  await life.write(engine, BATCHES, (error) => hasCode(error, 'DEVICE_FULL'));
  expect(missingWork(backgroundCountsOf(engine.stats()))).toEqual([]);
  return device.counts().writes - before;
}

/** A life in which one operation fails; what is wrong with how the engine took it. */
async function failOnce(
  seed: string,
  fault: { readonly kind: 'write' | 'flush'; readonly after: number },
  switches: TestSwitches = {},
): Promise<void> {
  const life = newLife(seed, switches);
  const medium = await life.format();
  const log: OperationEvent[] = [];
  const ended = { afterOperations: Number.POSITIVE_INFINITY };
  const { engine, device } = await life.open(medium, (event) => {
    if (event.phase === 'begin') log.push(event);
  });
  void engine.ended.then(({ kind }) => {
    expect(kind).toBe('failed');
    ended.afterOperations = log.length;
  });
  const before = log.filter(({ kind }) => kind === fault.kind).length;
  device.inject({ ...fault, effect: 'fail' });
  const isExpected = (error: unknown): boolean => hasCode(error, 'DEVICE_FULL', 'ENGINE_FAILED');
  for (let round = 0; round < BATCHES && engine.stats().state === 'open'; round++) {
    await life.write(engine, 1, isExpected);
  }
  expect(engine.stats().state, `${fault.kind} ${fault.after} was reached`).toBe('failed');
  await expect(engine.apply([])).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
  await expect(engine.stat(Uint8Array.of(1))).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
  await engine.close();
  await device.close();
  expectNoRetry(log, fault.kind, before + fault.after, ended.afterOperations);
  const after = medium.crash(new SeededRandom(`${seed} ${fault.after}`), { tearing: 'sector' });
  const again = await life.open(after);
  expect((await life.readAll(again.engine)).refusedCount).toBe(0);
  again.device.halt();
}

function expectNoRetry(
  log: readonly OperationEvent[],
  kind: 'write' | 'flush',
  index: number,
  ended: number,
): void {
  const failed = log.filter((event) => event.kind === kind)[index];
  expect(failed).toBeDefined();
  if (failed === undefined) return;
  const at = log.indexOf(failed);
  // A flush is that of the write before it.
  const write = kind === 'write' ? failed : log.slice(0, at).findLast((e) => e.kind === 'write');
  const isAgain = (event: OperationEvent): boolean =>
    event.kind === 'write' && event.offset >= AREA_OFFSET && event.offset === write?.offset;
  expect(log.slice(at + 1).filter(isAgain), 'the same place written again').toEqual([]);
  const late = log.slice(ended).filter((e) => e.kind === 'write' && e.offset >= AREA_OFFSET);
  expect(late, 'written after the engine had ended').toEqual([]);
}

describe('a device that fails', () => {
  test.each(['write', 'flush'] as const)(
    'a %s that fails at any point ends the engine, nothing is retried and nothing lost',
    async (kind) => {
      const count = await countWrites('failing');
      expect(count).toBeGreaterThan(100);
      // The last ones may fall to the checkpoint of a life that was not failed.
      for (let after = 0; after < count - 20; after += stride)
        await failOnce('failing', { kind, after });
    },
  );

  test('the test notices when acknowledged batches were not flushed', async () => {
    const failing = async (): Promise<void> => {
      for (let after = 0; after < 40; after++) {
        await failOnce('failing', { kind: 'write', after }, { skipFlush: true });
      }
    };
    await expect(failing()).rejects.toThrow(/lost|no state has all|damaged/);
  });
});

/** Batches after which all that is there has been read by the background, about. */
const READ_BATCHES = 120;
/** One sector of tables and of values in so many is tried. */
const SECTOR_STRIDE = 8 * stride;

/** What a read of a sector that cannot be read may say; a put may have to look at what it replaces. */
const UNREAD_CODES = ['INDEX_DAMAGED', 'VALUE_DAMAGED', 'DEVICE_READ_FAILED', 'DEVICE_FULL'];

/**
 * One sector of an aged disk cannot be read while batches are written, and then every key: how many reads of
 * the background met it, and how many tables were found damaged.
 */
async function failReads(
  aged: Awaited<ReturnType<typeof agedLife>>,
  sector: number,
  switches: TestSwitches = {},
): Promise<{ readonly failedCount: number; readonly damagedTableCount: number }> {
  const { area } = aged;
  const { life } = await agedLife('bad sectors', switches);
  const medium = aged.medium.fork();
  const { engine, device } = await life.open(medium);
  const bad = new BadSectors(device);
  bad.offsets.add(sector);
  const isExpected = (error: unknown): boolean => hasCode(error, ...UNREAD_CODES);
  await life.write(engine, READ_BATCHES, isExpected);
  const { failedCount } = bad;
  const what = `${blockKindOf(medium, sector, area)} at ${sector}`;
  expect(engine.stats().state, what).toBe('open');
  await engine.close();
  await device.close();
  // The next start owes nothing to the sector: no write was in doubt.
  const again = await life.open(medium);
  expect((await life.readAll(again.engine)).refusedCount, what).toBe(0);
  again.device.halt();
  return { failedCount, damagedTableCount: engine.stats().tree?.damagedTableCount ?? 0 };
}

describe('a sector that cannot be read', () => {
  test('wherever it lies in tables or values, ends nothing that the background does', async () => {
    const aged = await agedLife('bad sectors');
    const met = { tables: 0, log: 0 };
    const kinds = { 'inside of DOZOTAB1': 'tables', 'inside of DOZOSEG1': 'log' } as const;
    for (const [kind, name] of Object.entries(kinds)) {
      const sectors = writtenBlocks(aged.medium).filter(
        (block) => blockKindOf(aged.medium, block, aged.area) === kind,
      );
      // Most lie where nobody reads any more: if none of the few is met, one of the others must be.
      const few = sectors.filter((_, at) => at % SECTOR_STRIDE === 0);
      const others = sectors.filter((_, at) => at % SECTOR_STRIDE !== 0);
      for (const [tried, sector] of [...few, ...others].entries()) {
        if (tried >= few.length && met[name] > 0) break;
        const { failedCount, damagedTableCount } = await failReads(aged, sector);
        if (name === 'log' || damagedTableCount > 0) met[name] += failedCount;
      }
    }
    // Otherwise nobody read where they were.
    expect(met.tables).toBeGreaterThan(0);
    expect(met.log).toBeGreaterThan(0);
  });

  test('of a table would end the engine if it were not handled', async () => {
    const aged = await agedLife('bad sectors');
    const ending = async (): Promise<void> => {
      for (const block of writtenBlocks(aged.medium)) {
        if (blockKindOf(aged.medium, block, aged.area) !== 'inside of DOZOTAB1') continue;
        await failReads(aged, block, { failOnUnreadTables: true });
      }
    };
    await expect(ending()).rejects.toThrow(/open|ENGINE_FAILED|it has stopped|failed/);
  });
});
