import { describe, expect, it } from 'vitest';

import { PageCache } from './page-cache.ts';
import type { PageCacheOptions } from './page-cache.ts';
import { SimulatedClock } from './simulated-clock.ts';
import { SimulatedDevice } from './simulated-device.ts';
import { SimulatedMedium } from './simulated-medium.ts';

const SIZE_BYTES = 64 * 4096 + 100;
const block = (fill: number, sizeBytes = 4096): Uint8Array => new Uint8Array(sizeBytes).fill(fill);

/** One disk, open on two hosts, each with a page cache of its own. */
function setUp(options: PageCacheOptions = {}): {
  medium: SimulatedMedium;
  ours: SimulatedDevice;
  theirs: SimulatedDevice;
  cache: PageCache;
} {
  const clock = new SimulatedClock({ seed: 1 });
  const medium = new SimulatedMedium(SIZE_BYTES);
  const cache = new PageCache(options);
  const ours = new SimulatedDevice(medium, { clock, seed: 1, cache });
  const theirs = new SimulatedDevice(medium, { clock, seed: 2, cache: new PageCache() });
  return { medium, ours, theirs, cache };
}

async function firstByte(
  device: SimulatedDevice,
  offset: number,
  how: 'read' | 'readUncached' = 'read',
): Promise<number> {
  const into = block(0);
  await device[how](offset, into);
  expect(new Set(into).size).toBe(1);
  return into[0] ?? -1;
}

describe('a page cache of a host', () => {
  it('shows the page that was read before, and the disk only past it', async () => {
    const { ours, theirs } = setUp();
    await theirs.writeDurably(0, [block(1)]);
    expect(await firstByte(ours, 0)).toBe(1);
    await theirs.writeUncached(0, [block(2)]);
    expect(await firstByte(ours, 0)).toBe(1);
    expect(await firstByte(ours, 0, 'readUncached')).toBe(2);
    expect(await firstByte(ours, 0), 'still stale').toBe(1);
    await ours.dropCache();
    expect(await firstByte(ours, 0)).toBe(2);
  });

  it('follows the writes of its own host, cached or not, in whole pages and parts', async () => {
    const { ours, theirs } = setUp();
    expect(await firstByte(ours, 0)).toBe(0);
    await ours.write(0, [block(1, 2000), block(2, 2096)]);
    await ours.write(100, [block(3, 50)]);
    const into = block(0);
    await ours.read(0, into);
    const page = new Uint8Array([...block(1, 2000), ...block(2, 2096)]);
    page.fill(3, 100, 150);
    expect(into).toEqual(page);
    await theirs.writeUncached(0, [block(7)]);
    await ours.writeUncached(0, [block(4)]);
    expect(await firstByte(ours, 0)).toBe(4);
    const last = block(0, 100);
    await ours.write(SIZE_BYTES - 100, [block(5, 100)]);
    await ours.read(SIZE_BYTES - 100, last);
    expect(last).toEqual(block(5, 100));
  });

  it('is shared by the handles of the host, and takes as many pages as were used', async () => {
    const { medium, ours, theirs, cache } = setUp();
    const clock = new SimulatedClock({ seed: 1 });
    const beside = new SimulatedDevice(medium, { clock, seed: 3, cache, access: 'read-only' });
    expect(await firstByte(beside, 4096)).toBe(0);
    await theirs.write(4096, [block(6)]);
    expect(await firstByte(ours, 4096)).toBe(0);
    expect(cache.pageCount).toBe(1);
    await ours.discard(4096, 4096);
    await ours.dropCache();
    expect(cache.pageCount).toBe(0);
  });

  it('may keep some pages when it is dropped', async () => {
    const { ours, cache } = setUp({ keepProbability: 0.5, seed: 4 });
    await ours.read(0, new Uint8Array(64 * 4096));
    await ours.dropCache();
    expect(cache.pageCount).toBeGreaterThan(10);
    expect(cache.pageCount).toBeLessThan(54);
  });

  it('goes with a lock of its own: it excludes the same host, not another', () => {
    const { medium, ours, cache } = setUp({ lockName: '8:16' });
    const clock = new SimulatedClock({ seed: 1 });
    expect(ours.lockIdentity).toEqual({ kind: 'file', name: '8:16' });
    expect(() => new SimulatedDevice(medium, { clock, seed: 3, cache })).toThrow('has it open');
    ours.halt();
    expect(new SimulatedDevice(medium, { clock, seed: 3, cache }).lockIdentity).toEqual(
      ours.lockIdentity,
    );
    expect(new SimulatedDevice(medium, { clock, seed: 4 }).lockIdentity).toEqual(
      medium.lockIdentity,
    );
  });

  it('shows after a failed flush what the disk does not have', async () => {
    let lost = 0;
    for (let seed = 0; seed < 20; seed++) {
      for (const cache of [new PageCache(), undefined]) {
        const clock = new SimulatedClock({ seed });
        const medium = new SimulatedMedium(SIZE_BYTES);
        const host = cache === undefined ? {} : { cache };
        const device = new SimulatedDevice(medium, { clock, seed, ...host });
        await device.writeDurably(0, [block(1)]);
        await device.write(0, [block(2)]);
        device.inject({ kind: 'flush', after: 0, effect: 'fail' });
        await expect(device.flush()).rejects.toMatchObject({ code: 'DEVICE_FLUSH_FAILED' });
        await device.write(1024, [block(3, 100)]);
        const [cached, disk] = [block(0), block(0)];
        await device.read(0, cached);
        await device.readUncached(0, disk);
        expect([cached[0], cached[1024]]).toEqual([2, 3]);
        expect(disk[1024]).toBe(3);
        if (disk[0] === 1) lost++;
        else expect(disk[0]).toBe(2);
      }
    }
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(40);
  });
});
