/** What a tree at rest takes of its device: the holes that compaction leaves are gathered. */
import { expect, test } from 'vitest';
import type { Engine } from '../src/index.ts';
import { KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

const SEGMENT_COUNT = 64;
const SEGMENT_PAYLOAD_BYTES = 512 * KIB;
const KEY_COUNT = 30_000;
const VALUE_BYTES = 100;

async function openSmall(name: string): Promise<{ world: World; engine: Engine }> {
  const world = newWorld(name);
  const sizes = { segmentCount: SEGMENT_COUNT, segmentPayloadBytes: SEGMENT_PAYLOAD_BYTES };
  const { engine } = await openOn(world, await formattedMedium(world, sizes));
  return { world, engine };
}

/** Puts entries in an order that has little to do with that of their keys. */
async function putAll(engine: Engine, count: number): Promise<void> {
  for (let at = 0; at < count; at += 100) {
    await engine.apply(
      Array.from({ length: 100 }, (_, index) => ({
        kind: 'put' as const,
        key: bytes(`key ${String(((at + index) * 7919) % KEY_COUNT)}`.padEnd(40)),
        value: new Uint8Array(VALUE_BYTES).fill(at),
      })),
    );
  }
}

/** Lets work end that waits for nothing but its turn. */
async function rest(world: World, seconds: number): Promise<void> {
  for (let turn = 0; turn < seconds * 50; turn++) await world.clock.advance(20);
}

function heldBytes(engine: Engine): number {
  const { segmentCount, freeSegmentCount, segmentBytes } = engine.stats();
  return (segmentCount - freeSegmentCount) * segmentBytes;
}

test('a tree at rest takes little more of its device than what it holds', async () => {
  const { world, engine } = await openSmall('rest');
  await putAll(engine, 3 * KEY_COUNT);
  const beforeBytes = heldBytes(engine);
  await rest(world, 15);
  const { tree, segmentBytes } = engine.stats();
  const tableBytes = (tree?.levels ?? []).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(beforeBytes).toBeGreaterThan(tableBytes * 1.5);
  // The open segments of tables and log, and what of the log would be replayed.
  expect(heldBytes(engine)).toBeLessThan(tableBytes * 1.2 + 3 * segmentBytes);
  expect(engine.stats().keyCount).toBe(KEY_COUNT);
  await engine.close();
});

test('what has been gathered is left alone', async () => {
  const { world, engine } = await openSmall('gathered');
  await putAll(engine, 2 * KEY_COUNT);
  await rest(world, 15);
  const { bytesWritten } = engine.stats();
  await rest(world, 15);
  expect(engine.stats().bytesWritten).toBe(bytesWritten);
  await engine.close();
});

test('nothing is gathered while much is written', async () => {
  const { world, engine } = await openSmall('busy');
  await putAll(engine, 2 * KEY_COUNT);
  const value = new Uint8Array(64 * KIB);
  for (let second = 0; second < 15; second++) {
    for (let count = 0; count < 5; count++) {
      await engine.apply([{ kind: 'put', key: bytes(`large ${String(count)}`), value }]);
    }
    await rest(world, 1);
  }
  const { tree } = engine.stats();
  const tableBytes = (tree?.levels ?? []).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(heldBytes(engine)).toBeGreaterThan(tableBytes * 1.6);
  await engine.close();
});
