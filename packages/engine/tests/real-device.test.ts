/** The same engine on what it is made for: a file, and (as root) a block device. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@dozo/base';
import { SystemRandom, createDeviceFile, openFileDevice, openSystemClock } from '@dozo/platform';
import { afterAll, expect, test } from 'vitest';
import { formatDevice, inspectDevice, openEngine } from '../src/index.ts';
import { HOLDER, MIB, bytes } from './simulated-engine.ts';

const DEVICE_BYTES = 280 * MIB;
const directory = mkdtempSync(join(tmpdir(), 'dozo-engine-'));
const loops: string[] = [];

afterAll(() => {
  for (const loop of loops) execFileSync('losetup', ['--detach', loop]);
  rmSync(directory, { recursive: true });
});

/** A loop device on a new file, or `undefined` where that is not possible. */
function attachLoop(): string | undefined {
  try {
    const file = join(directory, 'backing');
    execFileSync('truncate', ['--size', String(DEVICE_BYTES), file]);
    const loop = execFileSync('losetup', ['--find', '--show', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    loops.push(loop);
    return loop;
  } catch {
    return undefined;
  }
}

async function exercise(path: string): Promise<void> {
  const clock = await openSystemClock();
  const random = new SystemRandom();
  const values = new SeededRandom(1);
  const device = await openFileDevice({ path, mode: 'exclusive' });
  await formatDevice({ device, clock, random, ringSlotCount: 8 });
  const state = new Map<string, Uint8Array>();
  const first = await openEngine({ device, clock, random, holder: HOLDER });
  const sizes = [8 * MIB, 0, 1, 4096, 64 * 1024, 64 * 1024 + 1, 3 * MIB, 100_000];
  for (let round = 0; round < 12; round++) {
    await Promise.all(
      sizes.map(async (sizeBytes, index) => {
        const key = `key/${String((round * 3 + index) % 17)}`;
        const value = values.bytes(sizeBytes);
        state.set(key, value);
        await first.apply([{ kind: 'put', key: bytes(key), value }]);
      }),
    );
  }
  await expect(openFileDevice({ path, mode: 'exclusive' })).rejects.toMatchObject({
    code: 'DEVICE_BUSY',
  });
  // No close: the next open finds what a killed process leaves.
  await device.close();
  const again = await openFileDevice({ path, mode: 'exclusive' });
  const second = await openEngine({ device: again, clock, random, holder: HOLDER });
  for (const [key, value] of state) {
    expect(Buffer.compare((await second.get(bytes(key)))?.value ?? bytes(''), value)).toBe(0);
  }
  expect((await second.verify()).damages).toEqual([]);
  await second.close();
  await again.close();
  const reader = await openFileDevice({ path, mode: 'read-only' });
  expect((await inspectDevice(reader)).newestClaim).toMatchObject({
    state: 'released',
    identity: { incarnation: 2 },
    holder: HOLDER,
  });
  await reader.close();
}

test('a regular file', async () => {
  const path = join(directory, 'file');
  await createDeviceFile({ path, sizeBytes: DEVICE_BYTES });
  await exercise(path);
});

const loop = attachLoop();
test.runIf(loop !== undefined)('a block device (needs root and a free loop device)', async () => {
  await exercise(loop ?? '');
});
