import { describe, expect, test } from 'vitest';
import { MemoryTables, rowsOf } from '../tests/memory-tables.ts';
import { Catalog } from './catalog.ts';
import { DamagedTables } from './damaged-tables.ts';
import { moveTables } from './table-mover.ts';
import { BlockCache } from './table/block-cache.ts';
import type { TableContent, TableMeta } from './table/table-meta.ts';
import { TableReader } from './table/table-reader.ts';
import { LEVEL_LAST } from './tree/version.ts';

const TARGET = 5;

function setUp(switches: { readonly moveTablesUnchecked?: boolean } = {}) {
  const tables = new MemoryTables();
  const metas = [1, 2].map((number) => tables.add(number, rowsOf(String(number), 600)));
  const counters = { checksumErrorCount: 0, staleReadCount: 0 };
  const damaged = new DamagedTables();
  const cache = new BlockCache(0);
  const reader = new TableReader({ source: tables, cache, counters, damaged, switches });
  const catalog = new Catalog(10);
  catalog.restoreTables(metas.map((meta) => ({ level: LEVEL_LAST, run: 0, meta })));
  const written = new Map<number, Uint8Array>();
  const space = {
    write: (bytes: Uint8Array, content: TableContent): Promise<TableMeta> => {
      written.set(content.number, bytes.slice());
      return Promise.resolve({ ...content, segment: TARGET, ordinal: 2, offset: 4096 });
    },
  };
  const move = (): Promise<void> => moveTables({ catalog, space, reader }, 3);
  const segments = () => [...catalog.version.tables()].map(({ segment }) => segment);
  const [first, second] = metas as [TableMeta, TableMeta];
  return { tables, first, second, catalog, written, move, segments, damaged, counters };
}

/** One bit is wrong in the next read of a whole table, and in no other. */
function flipOnTheWay(tables: MemoryTables, meta: TableMeta, times = 1): void {
  const { uncached } = tables;
  const read = uncached.read.bind(uncached);
  let left = times;
  Object.assign(uncached, {
    read: async (of: TableMeta, offset: number, sizeBytes: number): Promise<Uint8Array> => {
      const bytes = await read(of, offset, sizeBytes);
      if (of.number === meta.number && sizeBytes === meta.sizeBytes && left-- > 0) {
        bytes[300] = (bytes[300] ?? 0) ^ 1;
      }
      return bytes;
    },
  });
}

describe('a table that is moved', () => {
  test('is written as it was, and the tree finds it there', async () => {
    const { tables, first, second, written, move, segments } = setUp();
    await move();
    for (const meta of [first, second]) {
      expect(written.get(meta.number)).toEqual(tables.bytesOf(meta)[0]);
    }
    expect(segments()).toEqual([TARGET, TARGET]);
  });

  test('is read again when a bit has flipped on the way', async () => {
    const { tables, first, written, move, damaged } = setUp();
    flipOnTheWay(tables, first);
    await move();
    expect(written.get(first.number)).toEqual(tables.bytesOf(first)[0]);
    expect(damaged.count).toBe(0);
  });

  test('would be written with the bit that has flipped if these bytes were not checked', async () => {
    const { tables, first, written, move } = setUp({ moveTablesUnchecked: true });
    flipOnTheWay(tables, first);
    await move();
    expect(written.get(first.number)).not.toEqual(tables.bytesOf(first)[0]);
  });

  test.each(['damaged', 'unreadable', 'wrong twice'])(
    'stays where it is when it is %s, and its neighbours go',
    async (kind) => {
      const { tables, first, catalog, written, move, segments, damaged, counters } = setUp();
      if (kind === 'damaged') tables.damage(first, 300, 'disk');
      if (kind === 'wrong twice') flipOnTheWay(tables, first, 2);
      if (kind === 'unreadable') tables.break(300, 'both', first);
      await move();
      expect(segments()).toEqual([3, TARGET]);
      expect([...written.keys()]).toEqual([2]);
      expect(catalog.segments.isDamaged(3)).toBe(true);
      expect(damaged.has(first.number)).toBe(true);
      expect(counters.checksumErrorCount).toBe(1);
    },
  );
});
