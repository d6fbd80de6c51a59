/** A device that fills up: puts are refused in time, deletes always work, space comes back. */
import { SeededRandom, hasCode } from '@dozo/base';
import { describe, expect, test } from 'vitest';
import type { Engine, EngineError } from '../src/index.ts';
import { KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

/** Puts values under new keys until the device refuses; returns how many it took. */
async function fillUp(engine: Engine, value: Uint8Array, prefix = 'fill'): Promise<number> {
  for (let count = 0; ; count++) {
    try {
      await engine.apply([{ kind: 'put', key: bytes(`${prefix}/${String(count)}`), value }]);
    } catch (error) {
      expect(hasCode(error, 'DEVICE_FULL')).toBe(true);
      return count;
    }
  }
}

describe('a full device', () => {
  test.each([10, 900, 5000, 21 * KIB, 32 * KIB])(
    'filled with values of %i bytes it refuses puts, takes deletes, and gives the space back',
    async (sizeBytes) => {
      const world = newWorld(`full ${String(sizeBytes)}`);
      const medium = await formattedMedium(world, { segmentCount: 16 });
      const { engine, device } = await openOn(world, medium);
      const value = world.random.bytes(sizeBytes);
      for (let round = 0; round < 3; round++) {
        const count = await fillUp(engine, value);
        expect(count).toBeGreaterThan(8);
        expect(engine.stats().keyCount).toBe(count);
        for (let index = 0; index < count; index++) {
          await engine.apply([{ kind: 'delete', key: bytes(`fill/${String(index)}`) }]);
        }
        // What the last deletes have freed is known a moment later.
        await world.clock.advance(1000);
        const { keyCount, liveBytes, usableBytes } = engine.stats();
        expect(keyCount).toBe(0);
        // Deletes take room in the tree until they have nothing left to hide.
        expect(liveBytes).toBeLessThan(usableBytes / 4);
      }
      await fillUp(engine, value);
      await engine.close();
      await device.close();
      // A full device opens, and opens again.
      for (let start = 0; start < 4; start++) {
        const again = await openOn(world, medium);
        expect((await again.engine.verify()).damages).toEqual([]);
        await again.engine.apply([{ kind: 'delete', key: bytes(`fill/${String(start)}`) }]);
        await again.engine.close();
        await again.device.close();
      }
    },
  );

  test('takes a batch that does not let the live data grow', async () => {
    const world = newWorld('shrink');
    const medium = await formattedMedium(world, { segmentCount: 14 });
    const { engine } = await openOn(world, medium);
    const count = await fillUp(engine, world.random.bytes(3000));
    for (let index = 0; index < count; index++) {
      await engine.apply([
        { kind: 'delete', key: bytes(`fill/${String(index)}`) },
        { kind: 'put', key: bytes(`less/${String(index)}`), value: world.random.bytes(2900) },
      ]);
    }
    await world.clock.advance(1000);
    expect(engine.stats().keyCount).toBe(count);
    expect((await engine.verify()).damages).toEqual([]);
  });

  test.each([[[0.36]], [[0.42]], [[0.3]], [[0.27]], [[0.27, 0.5]], [[0.42, 0.3, 0.1]]])(
    'has the room that it says it has for values of such parts of a segment: %j',
    async (parts) => {
      const world = newWorld(`promise ${String(parts)}`);
      const segmentPayloadBytes = 128 * KIB;
      const medium = await formattedMedium(world, { segmentCount: 48, segmentPayloadBytes });
      let { engine, device } = await openOn(world, medium);
      let refusal: unknown;
      let promisedBytes = 0;
      for (let count = 0; refusal === undefined; count++) {
        // What was lost is known after a start, too.
        if (count === 60) {
          await engine.close();
          await device.close();
          ({ engine, device } = await openOn(world, medium));
        }
        const part = parts[count % parts.length] ?? 0;
        const value = world.random.bytes(Math.floor(segmentPayloadBytes * part) - 64);
        promisedBytes = engine.stats().availableBytes;
        try {
          await engine.apply([{ kind: 'put', key: bytes(`key/${String(count)}`), value }]);
        } catch (error) {
          refusal = error;
        }
      }
      if (!hasCode(refusal, 'DEVICE_FULL')) throw refusal as Error;
      const { detail } = refusal as EngineError;
      if (detail.code !== 'DEVICE_FULL') throw refusal as Error;
      expect(detail.neededBytes).toBeGreaterThan(promisedBytes);
      expect(detail.neededBytes).toBeGreaterThan(detail.availableBytes);
      expect(promisedBytes).toBeLessThan(segmentPayloadBytes / 2);
      for (let index = 0; index < 10; index++) {
        await engine.apply([{ kind: 'delete', key: bytes(`key/${String(index)}`) }]);
      }
    },
  );

  test('does not take segments that a start has cut short for full', async () => {
    const world = newWorld('cut short');
    const segmentPayloadBytes = 128 * KIB;
    const medium = await formattedMedium(world, { segmentCount: 64, segmentPayloadBytes });
    for (let start = 0; start < 20; start++) {
      const { engine, device } = await openOn(world, medium);
      for (let count = 0; count < 20; count++) {
        const key = bytes(`key/${String(start)}/${String(count)}`);
        await engine.apply([{ kind: 'put', key, value: world.random.bytes(3900) }]);
      }
      const { usableBytes, liveBytes, availableBytes } = engine.stats();
      expect(availableBytes).toBeGreaterThan(usableBytes - liveBytes - segmentPayloadBytes);
      await engine.close();
      await device.close();
    }
  });

  test('gives what a key takes to one of the batches that delete it at the same time', async () => {
    const world = newWorld('credited once');
    const medium = await formattedMedium(world, { segmentPayloadBytes: 128 * KIB });
    const { engine } = await openOn(world, medium);
    const value = world.random.bytes(16 * KIB);
    const count = await fillUp(engine, value);
    const exchanges = await Promise.allSettled(
      Array.from({ length: 60 }, (_, index) =>
        engine.apply([
          { kind: 'delete', key: bytes('fill/0') },
          { kind: 'put', key: bytes(`other/${String(index)}`), value },
        ]),
      ),
    );
    expect(exchanges.filter(({ status }) => status === 'fulfilled').length).toBe(1);
    await world.clock.advance(1000);
    expect(engine.stats().keyCount).toBe(count);
    for (let index = 1; index < 10; index++) {
      await engine.apply([{ kind: 'delete', key: bytes(`fill/${String(index)}`) }]);
    }
    expect((await engine.verify()).damages).toEqual([]);
  });

  test('takes all batches that replace one key at the same time', async () => {
    const world = newWorld('replaced at once');
    const medium = await formattedMedium(world, { segmentPayloadBytes: 128 * KIB });
    const { engine } = await openOn(world, medium);
    const value = world.random.bytes(16 * KIB);
    await fillUp(engine, value);
    const replace = Array.from({ length: 60 }, () =>
      engine.apply([{ kind: 'put', key: bytes('fill/0'), value }]),
    );
    await Promise.all(replace);
  });

  test('is overwritten for ever at 85 % of what it takes, whatever the sizes', async () => {
    for (const sizeBytesMax of [60, 2000, 16 * KIB]) {
      const world = newWorld(`overwrite ${String(sizeBytesMax)}`);
      const medium = await formattedMedium(world, { segmentCount: 32 });
      const { engine, device } = await openOn(world, medium);
      const { usableBytes } = engine.stats();
      let keyCount = 0;
      while (engine.stats().availableBytes > usableBytes * 0.15) {
        const value = world.random.bytes(world.random.below(sizeBytesMax));
        await engine.apply([{ kind: 'put', key: bytes(`key/${String(keyCount++)}`), value }]);
      }
      const overwrite = async (): Promise<void> => {
        for (let index = 0; index < 250; index++) {
          const key = bytes(`key/${String(world.random.below(keyCount))}`);
          const sizeBytes = (await engine.stat(key))?.sizeBytes ?? 0;
          await engine.apply([{ kind: 'put', key, value: world.random.bytes(sizeBytes) }]);
        }
      };
      await Promise.all(Array.from({ length: 8 }, overwrite));
      const stats = engine.stats();
      expect(stats.bytesWritten).toBeGreaterThan(stats.deviceBytes / 8);
      expect((await engine.verify()).damages).toEqual([]);
      await engine.close();
      await device.close();
    }
  });

  test('space that a snapshot holds is refused to puts, and comes back when it is closed', async () => {
    const world = newWorld('pinned');
    const medium = await formattedMedium(world, { segmentCount: 14 });
    const { engine } = await openOn(world, medium);
    const value = world.random.bytes(4000);
    const put = (index: number): Promise<unknown> =>
      engine.apply([{ kind: 'put', key: bytes(`key/${String(index % 60)}`), value }]);
    for (let index = 0; index < 60; index++) await put(index);
    const snapshot = engine.snapshot();
    let refusedCount = 0;
    for (let index = 0; index < 400; index++) {
      await put(index).catch((error: unknown) => {
        expect(hasCode(error, 'DEVICE_FULL')).toBe(true);
        refusedCount++;
      });
    }
    expect(refusedCount).toBeGreaterThan(0);
    expect((await snapshot.get(bytes('key/7')))?.value).toEqual(value);
    snapshot.close();
    for (let index = 0; index < 400; index++) await put(index);
    await expect(snapshot.get(bytes('key/7'))).rejects.toMatchObject({ code: 'SNAPSHOT_CLOSED' });
  });

  test('a row of starts that are cut off does not use the device up', async () => {
    const world = newWorld('starts');
    let medium = await formattedMedium(world, { segmentCount: 14, ringSlotCount: 3 });
    const first = await openOn(world, medium);
    await first.engine.apply([{ kind: 'put', key: bytes('a'), value: bytes('b') }]);
    first.device.halt();
    for (let start = 0; start < 60; start++) {
      medium = medium.crash(new SeededRandom(start));
      const { engine, device } = await openOn(world, medium);
      expect((await engine.get(bytes('a')))?.value).toEqual(bytes('b'));
      device.halt();
    }
  });
});
