/** What a caller gets is his: he may change it, and it keeps nothing of the engine alive. */
import { expect, test } from 'vitest';
import type { Engine } from '../src/index.ts';
import { TreeEntry } from '../src/tree/tree-entry.ts';
import { bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

const VALUE = 'a short value, which stands in the tree';

/** All ways to read a short value. */
async function valuesOf(engine: Engine): Promise<Uint8Array[]> {
  const values: Uint8Array[] = [];
  const found = await engine.get(bytes('key'));
  if (found !== undefined) values.push(found.value);
  const range = { from: bytes('key'), to: bytes('key2') };
  for await (const { value } of engine.scan(range)) if (value !== undefined) values.push(value);
  return values;
}

test('a short value that a caller changes is not changed for others, in memory and in a table', async () => {
  const world = newWorld('own values');
  const medium = await formattedMedium(world);
  const first = await openOn(world, medium);
  await first.engine.apply([{ kind: 'put', key: bytes('key'), value: bytes(VALUE) }]);
  const check = async (engine: Engine): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      const values = await valuesOf(engine);
      expect(values).toEqual([bytes(VALUE), bytes(VALUE)]);
      for (const value of values) {
        value.fill(0);
      }
    }
  };
  await check(first.engine);
  // Enough for tables.
  for (let index = 0; index < 40; index++) {
    const value = new Uint8Array(400).fill(index);
    const names = Array.from(
      { length: 10 },
      (_, part) => `filler ${String(index)} ${String(part)}`,
    );
    await first.engine.apply(names.map((name) => ({ kind: 'put', key: bytes(name), value })));
  }
  await first.engine.close();
  await first.device.close();
  const second = await openOn(world, medium);
  const hitCount = (): number => second.engine.stats().tree?.cache.hitCount ?? 0;
  const before = hitCount();
  await check(second.engine);
  expect(hitCount()).toBeGreaterThan(before);
  expect((await second.engine.verify()).damages).toEqual([]);
});

test('the copy of a value has a buffer of its own, from a view and from a string', () => {
  const block = new Uint8Array(4096).fill(7);
  const copy = TreeEntry.inline(1, block.subarray(100, 110)).copyOfValue();
  block.fill(0);
  expect(copy).toEqual(new Uint8Array(10).fill(7));
  expect(copy.buffer).not.toBe(block.buffer);
  const held = TreeEntry.held(1, 'text');
  held.copyOfValue().fill(0);
  expect(held.copyOfValue()).toEqual(bytes('text'));
  expect(held.copyOfValue().buffer.byteLength).toBe(4);
});
