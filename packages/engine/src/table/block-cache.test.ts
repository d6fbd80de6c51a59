import { SeededRandom } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { CACHED_BLOCK_OVERHEAD_BYTES } from '../limits.ts';
import { BlockCache } from './block-cache.ts';

const BLOCK = 1000;
const COST = BLOCK + CACHED_BLOCK_OVERHEAD_BYTES;

async function load(
  cache: BlockCache,
  table: number,
  offset: number,
  creditMax = 1,
): Promise<void> {
  const request = { table, offsets: [offset], creditMax };
  await cache.load(request, async () => [new Uint8Array(BLOCK).fill(offset)]);
}

function has(cache: BlockCache, table: number, offset: number): boolean {
  return cache.isKnown(table, offset);
}

function hit(cache: BlockCache, table: number, offset: number): Uint8Array | undefined {
  const cached = cache.tableOf(table);
  return cached === undefined ? undefined : cache.hit(cached, offset)?.bytes;
}

describe('BlockCache', () => {
  it('gives back what was loaded, and counts', async () => {
    const cache = new BlockCache(10 * COST);
    expect(hit(cache, 1, 0)).toBeUndefined();
    await load(cache, 1, 0);
    await load(cache, 1, 5);
    await load(cache, 2, 5);
    expect(hit(cache, 1, 5)).toEqual(new Uint8Array(BLOCK).fill(5));
    expect(hit(cache, 2, 0)).toBeUndefined();
    expect(cache.stats()).toEqual({
      ...{ limitBytes: 10 * COST, sizeBytes: 3 * COST, blockCount: 3 },
      ...{ hitCount: 1, missCount: 3, sharedReadCount: 0, evictedCount: 0 },
    });
  });

  it('never holds more than its bound, and as much as goes', async () => {
    const cache = new BlockCache(10 * COST + 17);
    const random = new SeededRandom(1);
    for (let step = 0; step < 2000; step++) {
      const [table, offset] = [random.below(4), random.below(20)];
      if (hit(cache, table, offset) === undefined) await load(cache, table, offset, 3);
      if (step % 100 === 99) cache.drop(random.below(4));
      expect(cache.stats().sizeBytes).toBeLessThanOrEqual(10 * COST + 17);
      expect(cache.stats().sizeBytes).toBe(cache.stats().blockCount * COST);
    }
    for (let offset = 0; offset < 50; offset++) await load(cache, 9, offset);
    expect(cache.stats().blockCount).toBe(10);
    for (let table = 0; table < 10; table++) cache.drop(table);
    expect(cache.stats()).toMatchObject({ blockCount: 0, sizeBytes: 0 });
    expect(cache.tableOf(9)).toBeUndefined();
  });

  it('keeps nothing that is larger than itself', async () => {
    const cache = new BlockCache(COST - 1);
    await load(cache, 1, 0);
    expect(cache.stats()).toMatchObject({ blockCount: 0, sizeBytes: 0, missCount: 1 });
    expect(cache.tableOf(1)).toBeUndefined();
  });

  it('keeps what was asked for twice while a scan goes by', async () => {
    const cache = new BlockCache(10 * COST);
    for (let offset = 0; offset < 4; offset++) {
      await load(cache, 1, offset, 3);
      hit(cache, 1, offset);
    }
    for (let offset = 0; offset < 24; offset++) await load(cache, 2, offset);
    expect([0, 1, 2, 3].map((offset) => has(cache, 1, offset))).toEqual(Array(4).fill(true));
    // Nobody asks for them any more: in the end they go, too.
    for (let offset = 0; offset < 100; offset++) await load(cache, 3, offset);
    expect([0, 1, 2, 3].map((offset) => has(cache, 1, offset))).toEqual(Array(4).fill(false));
    expect(cache.tableOf(1)).toBeUndefined();
  });

  it('lets those with more credit stay longer', async () => {
    const cache = new BlockCache(4 * COST);
    await load(cache, 1, 0, 3);
    await load(cache, 1, 1, 1);
    hit(cache, 1, 0);
    hit(cache, 1, 1);
    let roundsOfData = 0;
    let roundsOfIndex = 0;
    for (let offset = 0; has(cache, 1, 0); offset++) {
      await load(cache, 2, offset);
      roundsOfIndex++;
      if (has(cache, 1, 1)) roundsOfData++;
    }
    expect(roundsOfIndex).toBeGreaterThan(roundsOfData + 2);
  });

  it('has one read under way for each block, whoever asks', async () => {
    const cache = new BlockCache(10 * COST);
    let finish: (blocks: Uint8Array[]) => void = () => undefined;
    const blocks = new Promise<Uint8Array[]>((resolve) => (finish = resolve));
    const request = { table: 1, offsets: [0, 1000], creditMax: 1 };
    const loaded = cache.load(request, () => blocks);
    const joined = [cache.joinRead(1, 0), cache.joinRead(1, 1000), cache.joinRead(1, 2000)];
    expect(cache.isKnown(1, 1000)).toBe(true);
    const [first, second] = [new Uint8Array(1), new Uint8Array(2)];
    finish([first, second]);
    expect(await loaded).toEqual([first, second]);
    expect(await joined[0]).toBe(first);
    expect(await joined[1]).toBe(second);
    expect(joined[2]).toBeUndefined();
    expect(cache.joinRead(1, 0)).toBeUndefined();
    expect(cache.stats()).toMatchObject({ missCount: 1, sharedReadCount: 2, blockCount: 2 });
  });

  it('tells all who wait of an error, and keeps nothing of it', async () => {
    const cache = new BlockCache(10 * COST);
    const request = { table: 1, offsets: [0], creditMax: 1 };
    const loaded = cache.load(request, async () => Promise.reject(new Error('broken')));
    const joined = cache.joinRead(1, 0);
    await expect(loaded).rejects.toThrow('broken');
    await expect(joined).rejects.toThrow('broken');
    expect(cache.tableOf(1)).toBeUndefined();
    await load(cache, 1, 0);
    expect(has(cache, 1, 0)).toBe(true);
  });

  it('keeps no block that is not right, and none of a table that was dropped meanwhile', async () => {
    const cache = new BlockCache(10 * COST);
    const request = { table: 1, offsets: [0, 1], creditMax: 1 };
    await cache.load(request, async () => [undefined, new Uint8Array(BLOCK)]);
    expect([has(cache, 1, 0), has(cache, 1, 1)]).toEqual([false, true]);
    const loading = load(cache, 2, 0);
    cache.drop(2);
    await loading;
    expect(cache.tableOf(2)).toBeUndefined();
    expect(cache.stats().blockCount).toBe(1);
  });

  it('takes a block that nobody asked for as far as there is room, and evicts only if told to', async () => {
    const cache = new BlockCache(3 * COST);
    const block = (fill: number): Uint8Array => new Uint8Array(BLOCK).fill(fill);
    for (let offset = 0; offset < 5; offset++) {
      cache.add(1, offset, block(offset), { creditMax: 1, mayEvict: false });
    }
    expect([0, 1, 2, 3, 4].map((offset) => has(cache, 1, offset))).toEqual([
      ...[true, true, true, false, false],
    ]);
    expect(cache.hasRoomFor(1)).toBe(false);
    cache.add(2, 0, block(9), { creditMax: 1, mayEvict: true });
    expect(hit(cache, 2, 0)).toEqual(block(9));
    expect(cache.stats()).toMatchObject({ sizeBytes: 3 * COST, blockCount: 3, evictedCount: 1 });
    cache.add(3, 0, new Uint8Array(3 * COST), { creditMax: 1, mayEvict: true });
    expect(cache.tableOf(3)).toBeUndefined();
    cache.add(4, 0, block(1), { creditMax: 1, mayEvict: false });
    expect(cache.tableOf(4)).toBeUndefined();
    expect(cache.stats()).toMatchObject({ sizeBytes: 3 * COST, blockCount: 3, evictedCount: 1 });
  });

  it('keeps the block that it has when the same one is added', async () => {
    const cache = new BlockCache(3 * COST);
    await load(cache, 1, 7);
    const kept = hit(cache, 1, 7);
    cache.add(1, 7, new Uint8Array(BLOCK), { creditMax: 1, mayEvict: true });
    expect(hit(cache, 1, 7)).toBe(kept);
    expect(cache.stats()).toMatchObject({ sizeBytes: COST, blockCount: 1 });
    cache.drop(1);
    expect(cache.stats()).toMatchObject({ sizeBytes: 0, blockCount: 0 });
  });

  it('admits what there is room for, and then what is asked for again before much else', async () => {
    const cache = new BlockCache(40 * 4096);
    expect(cache.admits(1, 0, BLOCK)).toBe(true);
    while (cache.hasRoomFor(BLOCK)) await load(cache, 1, cache.stats().blockCount);
    expect([1, 2, 3].map(() => cache.admits(2, 0, BLOCK))).toEqual([false, true, false]);
    const offsets = Array.from({ length: 1000 }, (_, index) => index * 4096);
    for (const offset of offsets) cache.admits(3, offset, BLOCK);
    // Of those before the last few nothing is known any more.
    const known = offsets.map((offset) => cache.admits(3, offset, BLOCK));
    expect(known.slice(0, 700).filter(Boolean)).toEqual([]);
  });
});
