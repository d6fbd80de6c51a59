import { expect, test } from 'vitest';
import { Catalog } from './catalog.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TestSwitches } from './test-switches.ts';

const POSITION = { ordinal: 1, offset: 4096, groupIndex: 0 };

/** Free segments at first, when the only table is not part of the tree any more, and when checkpoints say so. */
function freeCountsOf(switches: TestSwitches): number[] {
  const catalog = new Catalog(4, switches);
  const { segments } = catalog;
  segments.finishRecovery(new Set(), new Set());
  const [segment = -1] = segments.reserve(1);
  segments.open(segment, 1, 0, 'tables');
  segments.addTable(segment, 8192);
  segments.close(segment, 12_288);
  const free = [segments.unreservedCount];
  // Nothing else of a table is looked at.
  catalog.installChange(catalog.version, [{ segment, sizeBytes: 8192 } as TableMeta]);
  free.push(segments.unreservedCount);
  catalog.checkpointIsDurable(1);
  free.push(segments.unreservedCount);
  catalog.beginCheckpoint(2, POSITION);
  free.push(segments.unreservedCount);
  catalog.checkpointIsDurable(2);
  free.push(segments.unreservedCount);
  return free;
}

test('a table keeps its place until a checkpoint without it is durable', () => {
  expect(freeCountsOf({})).toEqual([3, 3, 3, 3, 4]);
});

test('the control: with the switch it loses its place at once', () => {
  expect(freeCountsOf({ freeTablesBeforeSlot: true })[1]).toBe(4);
});

test('neither a memtable nor a checkpoint begins in the middle of a group', () => {
  const catalog = new Catalog(4);
  catalog.beginGroup();
  expect(() => catalog.rotate(POSITION)).toThrow('in the middle of a group');
  expect(() => catalog.beginCheckpoint(1, POSITION)).toThrow('in the middle of a group');
  catalog.endGroup();
  catalog.rotate(POSITION);
  catalog.beginCheckpoint(1, POSITION);
});
