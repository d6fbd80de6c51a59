/** What a dump finds in a segment, also where recovery would not look. */
import { SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { deviceOffset } from '../src/geometry.ts';
import { dumpDevice, dumpSegment, dumpSegments, dumpTree, openEngine } from '../src/index.ts';
import type { SegmentItem, TreeItem } from '../src/index.ts';
import { TableBuilder } from '../src/table/table-builder.ts';
import { TreeEntry } from '../src/tree/tree-entry.ts';
import { SMALL_TREE } from './engine-features.ts';
import { HOLDER, KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

async function itemsOf(device: SimulatedDevice, segment: number): Promise<readonly SegmentItem[]> {
  const { inspection } = await dumpDevice(device);
  const items: SegmentItem[] = [];
  for await (const item of dumpSegment(device, inspection, segment)) items.push(item);
  return items;
}

test('groups of an earlier use, tables, and segments that hold nothing are told apart', async () => {
  const world = newWorld('dump');
  const run = async (): Promise<void> => {
    const medium = await formattedMedium(world, { segmentCount: 16 });
    const { engine, device } = await openOn(world, medium);
    const value = new Uint8Array(10 * KIB).fill(7);
    await engine.apply([{ kind: 'put', key: bytes('a'), value }]);
    await engine.apply([{ kind: 'put', key: bytes('b'), value }]);
    await engine.close();

    const { inspection, recoverFrom, manifest } = await dumpDevice(device);
    expect(manifest?.nextOrdinal).toBeGreaterThan(1);
    const segment = recoverFrom?.checkpoint?.segment ?? -1;
    const { geometry } = inspection.superblock;
    const before = await itemsOf(device, segment);
    expect(before.map((item) => item.kind === 'group' && item.isInSequence)).not.toContain(false);
    expect(before.length).toBeGreaterThan(2);

    // Without its header the segment is no part of any log; its groups are still those of the claim.
    await device.write(deviceOffset(geometry, segment, 0), [new Uint8Array(4 * KIB).fill(1)]);
    const after = await itemsOf(device, segment);
    expect(after).toHaveLength(before.length);
    expect(after.every((item) => item.kind === 'group' && !item.isInSequence)).toBe(true);

    const builder = new TableBuilder({ number: 9, seed: 5, targetBytes: 64 * KIB });
    builder.add(bytes('from here'), TreeEntry.inline(3, bytes('x')));
    builder.add(bytes('to there'), TreeEntry.delete(4));
    const table = builder.finish();
    await device.write(deviceOffset(geometry, 12, 8 * KIB), [table.bytes]);
    const [found, ...more] = await itemsOf(device, 12);
    expect(more).toEqual([]);
    expect(found).toMatchObject({
      kind: 'table',
      offset: 8 * KIB,
      content: { number: 9, entryCount: 2, deleteCount: 1, smallest: 'from here' },
    });

    const contents: string[] = [];
    for await (const summary of dumpSegments(device, inspection, { from: 0, to: 99 })) {
      contents[summary.segment] = summary.content;
    }
    expect(contents).toHaveLength(16);
    expect(contents[segment]).toBe('other');
    expect(contents[12]).toBe('zeros');
  };
  await world.clock.runUntil(run());
});

async function treeOf(device: SimulatedDevice): Promise<readonly TreeItem[]> {
  const items: TreeItem[] = [];
  for await (const item of dumpTree(device, await dumpDevice(device))) items.push(item);
  return items;
}

test('the tree is told table by table, as the engine has it, and where each table lies', async () => {
  const world = newWorld('dump tree');
  const { clock, random } = world;
  const run = async (): Promise<void> => {
    const medium = await formattedMedium(world, { segmentCount: 48 });
    const device = new SimulatedDevice(medium, { clock, seed: 'tree', alignmentBytes: 1 });
    const engine = await openEngine({ device, clock, random, holder: HOLDER, ...SMALL_TREE });
    for (let index = 0; index < 600; index++) {
      const key = bytes(`key/${String(index % 300).padStart(4, '0')}`);
      await engine.apply([{ kind: 'put', key, value: random.bytes(100) }]);
    }
    // All that is under way comes into a checkpoint.
    await clock.advance(60_000);
    const levels = engine.stats().tree?.levels ?? [];
    const items = await treeOf(device);
    const tables = items.flatMap((item) => (item.kind === 'table' ? [item] : []));
    for (const [level, { runCount, tableCount, sizeBytes }] of levels.entries()) {
      const here = tables.filter((item) => item.level === level);
      expect(here).toHaveLength(tableCount);
      expect(new Set(here.map((item) => item.run)).size).toBe(runCount);
      expect(here.reduce((sum, { table }) => sum + table.sizeBytes, 0)).toBe(sizeBytes);
    }
    expect(tables.length).toBeGreaterThan(1);
    expect(items.some(({ kind }) => kind === 'counters')).toBe(true);
    const { inspection, manifest } = await dumpDevice(device);
    const { geometry } = inspection.superblock;
    const summaries = [];
    for await (const summary of dumpSegments(device, inspection, { from: 0, to: 48 })) {
      summaries.push(summary);
    }
    for (const { table, deviceOffset: place } of tables) {
      expect(place).toBe(deviceOffset(geometry, table.segment, table.offset));
      const summary = summaries[table.segment];
      expect(summary).toMatchObject({
        content: 'tables',
        header: { identity: { incarnation: 1 } },
      });
      expect(summary?.header?.ordinal).toBe(table.ordinal);
      const inSegment = await itemsOf(device, table.segment);
      const found = inSegment.find((item) => item.offset === table.offset);
      expect(found).toMatchObject({ kind: 'table', content: { number: table.number } });
    }

    const page = manifest?.pages[0];
    if (page === undefined) throw new Error('there is a checkpoint');
    medium.corrupt(deviceOffset(geometry, page.segment, page.offset) + 40, 1);
    const { segment, offset } = page;
    const reason = 'a page of the checkpoint is damaged';
    expect((await treeOf(device))[0]).toEqual({ kind: 'damaged', segment, offset, reason });
  };
  await clock.runUntil(run());
});

test('a device that was never used has no tree', async () => {
  const world = newWorld('dump nothing');
  const medium = await formattedMedium(world, { segmentCount: 16 });
  const device = new SimulatedDevice(medium, { clock: world.clock, seed: 'nothing' });
  expect(await world.clock.runUntil(treeOf(device))).toEqual([]);
});

test('a group whose heads are damaged is shown as such, and what cannot be read is passed over', async () => {
  const world = newWorld('dump damage');
  const run = async (): Promise<void> => {
    const medium = await formattedMedium(world, { segmentCount: 16 });
    const { engine, device } = await openOn(world, medium);
    await engine.apply([{ kind: 'put', key: bytes('a'), value: bytes('short') }]);
    await engine.close();
    const { inspection, recoverFrom } = await dumpDevice(device);
    const segment = recoverFrom?.checkpoint?.segment ?? -1;
    const groups = await itemsOf(device, segment);
    const last = groups.at(-1);
    const place = deviceOffset(inspection.superblock.geometry, segment, last?.offset ?? 0);
    await device.write(place + 70, [new Uint8Array(4).fill(0xff)]);
    expect((await itemsOf(device, segment)).at(-1)).toMatchObject({ records: undefined });
    device.inject({ kind: 'read', effect: 'fail', after: 0 });
    const summaries: string[] = [];
    for await (const { content } of dumpSegments(device, inspection, { from: 0, to: 2 })) {
      summaries.push(content);
    }
    expect(summaries).toContain('unreadable');
  };
  await world.clock.runUntil(run());
});
