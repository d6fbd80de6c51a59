/** What a dump finds in a segment, also where recovery would not look. */
import type { SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { deviceOffset } from '../src/geometry.ts';
import { dumpDevice, dumpSegment, dumpSegments } from '../src/index.ts';
import type { SegmentItem } from '../src/index.ts';
import { TableBuilder } from '../src/table/table-builder.ts';
import { TreeEntry } from '../src/tree/tree-entry.ts';
import { KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

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
