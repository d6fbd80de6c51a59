/** One block of a table is damaged, or cannot be read: everything else goes on around it. */
import { SeededRandom } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine, EngineStats } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { BadSectors } from './bad-sectors.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

const KEYS = 1000;
const VALUE_BYTES = 100;
/** Of `limits.ts`: with more runs in level 0 nothing more is taken. */
const RUNS_MAX = 20;

interface Opened {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
  readonly medium: SimulatedMedium;
  readonly bad: BadSectors;
  readonly random: SeededRandom;
}

function keyOf(index: number): Uint8Array {
  return bytes(`key/${String(index).padStart(6, '0')}`);
}

async function openOn(world: World, medium: SimulatedMedium, testSwitches: TestSwitches) {
  const { clock, random, seed } = world;
  const device = new SimulatedDevice(medium, { clock, seed, alignmentBytes: 1 });
  const bad = new BadSectors(device);
  const base = { device, clock, random, holder: HOLDER, testSwitches };
  return {
    device,
    bad,
    engine: await openEngine({ ...base, memtableBytes: 8 * KIB, cacheBytes: 0 }),
  };
}

/** A tree of many tables. */
async function openAged(
  seed: string,
  switches: TestSwitches = {},
): Promise<Opened & { readonly world: World }> {
  const world = newWorld(seed);
  const medium = await formattedMedium(world, { segmentCount: 64, segmentPayloadBytes: 64 * KIB });
  const random = new SeededRandom(seed);
  const first = await openOn(world, medium, switches);
  for (let index = 0; index < KEYS; index++) {
    await first.engine.apply([
      { kind: 'put', key: keyOf(index), value: random.bytes(VALUE_BYTES) },
    ]);
  }
  await overwrite({ ...first, random }, 2 * KEYS);
  await first.engine.close();
  await first.device.close();
  return { ...(await openOn(world, medium, switches)), medium, random, world };
}

async function overwrite(
  { engine, random }: Pick<Opened, 'engine' | 'random'>,
  putCount: number,
): Promise<void> {
  for (let count = 0; count < putCount; count++) {
    const key = keyOf(random.below(KEYS));
    await engine.apply([{ kind: 'put', key, value: random.bytes(VALUE_BYTES) }]);
  }
}

/** Resolves when the background does nothing any more: what is read then is read for whoever asks. */
async function rest({ engine }: Opened): Promise<void> {
  const workOf = (): string =>
    JSON.stringify([engine.stats().tree?.levels, engine.stats().bytesWritten]);
  for (let before = ''; before !== workOf();) {
    before = workOf();
    for (let count = 0; count < KEYS; count++) await engine.get(keyOf(count));
  }
}

/** A key that stands in a table, and where its data block lies. */
async function keyInTable({ engine, device }: Opened): Promise<[Uint8Array, number]> {
  let last = 0;
  const read = device.read.bind(device);
  Object.assign(device, {
    read: async (offset: number, into: Uint8Array): Promise<void> => {
      last = offset;
      await read(offset, into);
    },
  });
  const isRead = (): boolean => last !== 0;
  let index = KEYS / 2;
  do await engine.get(keyOf(index++));
  while (!isRead());
  Object.assign(device, { read });
  return [keyOf(index - 1), last];
}

/** Returns a key that the block has. */
async function breakBlock(opened: Opened, kind: 'rotten' | 'unreadable'): Promise<Uint8Array> {
  await rest(opened);
  const [key, offset] = await keyInTable(opened);
  if (kind === 'rotten') opened.medium.corrupt(offset + 50, 0xff);
  else opened.bad.offsets.add(offset - (offset % 4096));
  return key;
}

function levelZeroRuns({ tree }: EngineStats): number {
  return tree?.levels[0]?.runCount ?? 0;
}

test.each(['rotten', 'unreadable'] as const)(
  'a %s block is told, compaction goes on around it, and what is free stays free',
  async (kind) => {
    const opened = await openAged(`one ${kind} block`);
    const { engine, device, bad } = opened;
    const before = engine.stats();
    expect(before.tree?.damagedTableCount).toBe(0);
    await breakBlock(opened, kind);
    let runsMax = 0;
    for (let round = 0; round < 30; round++) {
      await overwrite(opened, 200);
      runsMax = Math.max(runsMax, levelZeroRuns(engine.stats()));
      expect(engine.stats().availableBytes).toBeGreaterThan(before.availableBytes * 0.9);
    }
    const after = engine.stats();
    expect(after.state).toBe('open');
    expect(after.tree?.damagedTableCount).toBe(1);
    expect(after.checksumErrorCount).toBeGreaterThan(0);
    expect(after.tree?.compactions.count).toBeGreaterThan(50);
    expect(runsMax).toBeLessThan(RUNS_MAX);
    for (let index = 0; index < KEYS; index += 7) {
      const found: unknown = await engine.get(keyOf(index)).catch((error: unknown) => error);
      if (found instanceof Error) expect(found).toMatchObject({ code: 'INDEX_DAMAGED' });
      else expect(found).toBeDefined();
    }
    await engine.close();
    await device.close();
    if (kind === 'unreadable') expect(bad.failedCount).toBeGreaterThan(1);
    const again = await openOn(opened.world, opened.medium, {});
    await overwrite({ ...again, random: opened.random }, 1000);
    expect(again.engine.stats().state).toBe('open');
    again.device.halt();
  },
);

test('a scan and a get of what cannot be read name the place, and their neighbours answer', async () => {
  const opened = await openAged('reads');
  const { engine, device } = opened;
  const key = await breakBlock(opened, 'unreadable');
  const damage = { code: 'INDEX_DAMAGED', detail: { path: device.path } };
  await expect(engine.get(key)).rejects.toMatchObject(damage);
  const scan = async (): Promise<number> => {
    let count = 0;
    for await (const row of engine.scan({})) if (row.key.length > 0) count++;
    return count;
  };
  await expect(scan()).rejects.toMatchObject(damage);
  let foundCount = 0;
  for (let index = 0; index < KEYS; index++) {
    const found = await engine.get(keyOf(index)).catch(() => undefined);
    if (found !== undefined) foundCount++;
  }
  expect(foundCount).toBeGreaterThan(KEYS * 0.9);
  expect((await engine.verify()).damages).not.toEqual([]);
  expect(engine.stats().state).toBe('open');
  device.halt();
});

test('where damage leaves compaction nothing to do, puts are refused, and nothing else is', async () => {
  const opened = await openAged('stuck', { forgetDamagedTables: true });
  const { engine, device } = opened;
  await breakBlock(opened, 'rotten');
  await expect(overwrite(opened, 40_000)).rejects.toMatchObject({
    code: 'TABLES_DAMAGED',
    message: expect.stringContaining('dozo device check --repair') as unknown,
  });
  expect(levelZeroRuns(engine.stats())).toBeLessThan(RUNS_MAX + 3);
  expect(engine.stats().availableBytes).toBeGreaterThan(0);
  for (let count = 0; count < 1000; count++) {
    await engine.apply([{ kind: 'delete', key: keyOf(count) }]);
  }
  expect(await engine.get(keyOf(0))).toBeUndefined();
  expect(engine.stats().state).toBe('open');
  device.halt();
});
