import { expect, test } from 'vitest';
import { bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

test('what was applied is there after a close and another open', async () => {
  const world = newWorld(1);
  const medium = await formattedMedium(world);
  const first = await openOn(world, medium);
  for (let i = 0; i < 50; i++) {
    await first.engine.apply([
      { kind: 'put', key: bytes(`key${i}`), value: world.random.bytes(i * 100) },
    ]);
  }
  const before = await first.engine.get(bytes('key49'));
  expect(before?.value.length).toBe(4900);
  const report = await first.engine.verify();
  expect(report.damages).toEqual([]);
  expect(report.recordCount).toBe(50);
  await first.engine.close();
  await first.device.close();
  const second = await openOn(world, medium);
  expect(await second.engine.get(bytes('key49'))).toEqual(before);
  let count = 0;
  for await (const row of second.engine.scan({})) {
    count++;
    expect(row.value?.length).toBe(row.sizeBytes);
  }
  expect(count).toBe(50);
  expect(second.engine.stats()).toMatchObject({ keyCount: 50, state: 'open' });
});

test('overwriting for ever does not fill the device', async () => {
  const world = newWorld(2);
  const medium = await formattedMedium(world);
  const { engine, device } = await openOn(world, medium);
  const { usableBytes } = engine.stats();
  const n = Math.floor((usableBytes * 0.85) / 4100);
  const work = async () => {
    for (let i = 0; i < 400; i++) {
      const key = bytes(`key${world.random.below(n)}`);
      await engine.apply([{ kind: 'put', key, value: world.random.bytes(4000) }]);
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
  expect((await engine.verify()).damages).toEqual([]);
  await engine.close();
  await device.close();
  const again = await openOn(world, medium);
  expect((await again.engine.verify()).damages).toEqual([]);
});
