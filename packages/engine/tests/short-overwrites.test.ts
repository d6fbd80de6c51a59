/** Short values that are overwritten for long, in one log with long ones that stay. */
import { expect, test } from 'vitest';
import type { Engine } from '../src/index.ts';
import { KIB, bytes, formattedMedium, newWorld, openOn } from './simulated-engine.ts';

const SHORT_BYTES = 400;
const SHORT_KEYS = 50;

async function putShort(engine: Engine, number: number): Promise<void> {
  const key = bytes(`short ${String(number % SHORT_KEYS)}`);
  await engine.apply([{ kind: 'put', key, value: new Uint8Array(SHORT_BYTES).fill(number) }]);
}

// Their log is dead as soon as they are in tables, and the long values in it are moved again and again.
test('short values are overwritten beside long ones that stay, and no put fails', async () => {
  const world = newWorld('short beside long');
  const medium = await formattedMedium(world, { segmentCount: 48, segmentPayloadBytes: 64 * KIB });
  const { engine, device } = await openOn(world, medium);
  const { usableBytes, availableBytes } = engine.stats();
  let number = 0;
  for (let long = 0; engine.stats().availableBytes > availableBytes - usableBytes * 0.7; long++) {
    const value = new Uint8Array(4 * KIB).fill(long);
    await engine.apply([{ kind: 'put', key: bytes(`long ${String(long)}`), value }]);
    for (let count = 0; count < 8; count++) await putShort(engine, number++);
  }
  for (; number * SHORT_BYTES < 1.5 * device.sizeBytes; number++) await putShort(engine, number);
  expect(engine.stats().availableBytes).toBeGreaterThan(usableBytes * 0.2);
  await engine.close();
}, 120_000);
