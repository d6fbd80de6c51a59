import { expect, test } from 'vitest';
import { DamagedTables } from './damaged-tables.ts';
import { DAMAGED_TABLES_MAX } from './limits.ts';
import { Version } from './tree/version.ts';

test('each table counts once, and one that is not in the tree any more does not', () => {
  const damaged = new DamagedTables();
  damaged.note(7);
  damaged.note(7);
  expect(damaged.count).toBe(1);
  expect(damaged.revision).toBe(1);
  damaged.keepOnly(Version.empty());
  expect(damaged.count).toBe(0);
  expect(damaged.revision).toBe(2);
});

test('no more are remembered than there is room for, and that there are more is', () => {
  const damaged = new DamagedTables();
  for (let number = 1; number <= DAMAGED_TABLES_MAX; number++) damaged.note(number);
  expect(damaged.isOverflowing).toBe(false);
  damaged.note(DAMAGED_TABLES_MAX + 1);
  expect(damaged.isOverflowing).toBe(true);
  expect(damaged.count).toBe(DAMAGED_TABLES_MAX);
});
