import { expect, test } from 'vitest';
import { Catalog } from './catalog.ts';
import { newCounters } from './counters.ts';
import type { Settler } from './settler.ts';
import { TreeEntry } from './tree/tree-entry.ts';
import { TreeKeeper } from './tree-keeper.ts';
import type { TreeKeeperOptions } from './tree-keeper.ts';

const timer = { cancel: (): void => undefined };

/** One with a full memtable, who wants space, and whose flushes never end. */
async function newFullKeeper(): Promise<{
  readonly keeper: TreeKeeper;
  readonly catalog: Catalog;
}> {
  const catalog = new Catalog(16);
  let isServing = false;
  const settler = { settle: () => new Promise<void>(() => undefined) } as unknown as Settler;
  const keeper = new TreeKeeper({
    ...{ catalog, settler, counters: newCounters(), switches: {}, geometry: {} },
    log: { position: catalog.active.start, appendedBytes: 0, replayBytes: 0, seed: 0 },
    space: { isWaiting: false, waitingCount: 0, look: () => undefined },
    tree: { damaged: { count: 0, isOverflowing: false, keepOnly: () => undefined } },
    clock: { startTimer: () => timer, monotonicMs: () => 0 },
    settings: { memtableBytes: 1, replayBytes: 1, tableBytes: 1, compaction: { fanout: 8 } },
    isServing: () => isServing,
    wake: () => undefined,
    onFailure: () => undefined,
  } as unknown as TreeKeeperOptions);
  await keeper.makeSpace();
  isServing = true;
  catalog.set('key', TreeEntry.delete(1));
  return { keeper, catalog };
}

test('a segment that becomes free in the middle of a group does not change its memtable', async () => {
  const { keeper, catalog } = await newFullKeeper();
  const { active } = catalog;
  keeper.lookForSegments();
  keeper.lookForSegments();
  expect(catalog.active).toBe(active);
  await Promise.resolve();
  expect(catalog.flushing).toBe(active);
});
