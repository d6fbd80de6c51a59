import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { enlargeDeviceFile } from './enlarge-device-file.ts';
import type { FileDevice } from './file-device.ts';
import { loadKernel } from './kernel.ts';
import { openFileDevice } from './open-file-device.ts';

const SIZE_BYTES = 256 * 1024;

let directory: string;
let path: string;
let device: FileDevice;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
  path = join(directory, 'disk');
  await writeFile(path, new Uint8Array(SIZE_BYTES).fill(5));
  device = await openFileDevice({ path, mode: 'exclusive' });
});

afterEach(async () => {
  await device.close();
  await rm(directory, { recursive: true });
});

async function expectEnlarged(): Promise<void> {
  const bytes = await readFile(path);
  expect(bytes.length).toBe(3 * SIZE_BYTES);
  expect(bytes.subarray(0, SIZE_BYTES).every((byte) => byte === 5)).toBe(true);
  expect(bytes.subarray(SIZE_BYTES).every((byte) => byte === 0)).toBe(true);
  // Not a hole.
  expect((await stat(path)).blocks * 512).toBeGreaterThanOrEqual(3 * SIZE_BYTES);
}

it('allocates what is new and leaves what there is, under the lock of the open device', async () => {
  await enlargeDeviceFile({ device, sizeBytes: 3 * SIZE_BYTES });
  await expectEnlarged();
  expect(device.sizeBytes).toBe(SIZE_BYTES);
  await expect(openFileDevice({ path, mode: 'exclusive' })).rejects.toThrow('another process');
});

it('fills with zeros where the file system cannot allocate', async () => {
  const allocate = (): Promise<string> => Promise.resolve('EOPNOTSUPP');
  const kernel = { ...(await loadKernel()), allocate };
  await enlargeDeviceFile({ device, sizeBytes: 3 * SIZE_BYTES, kernel });
  await expectEnlarged();
});

it('leaves holes that were there on purpose', async () => {
  await device.close();
  await writeFile(path, '');
  await truncate(path, 64 * SIZE_BYTES);
  device = await openFileDevice({ path, mode: 'exclusive' });
  await enlargeDeviceFile({ device, sizeBytes: 65 * SIZE_BYTES });
  expect((await stat(path)).blocks * 512).toBeLessThan(8 * SIZE_BYTES);
});

it('says how much room is missing, and gives the file its old size back', async () => {
  const sizeBytes = 2 ** 43;
  await expect(enlargeDeviceFile({ device, sizeBytes })).rejects.toMatchObject({
    detail: { code: 'NO_SPACE', path, sizeBytes },
  });
  const real = await loadKernel();
  for (const [name, code] of [
    ['ENOSPC', 'NO_SPACE'],
    ['EIO', 'ENLARGE_FAILED'],
  ] as const) {
    const allocate = async (descriptor: number): Promise<string> => {
      await real.allocate(descriptor, 2 * SIZE_BYTES, SIZE_BYTES);
      return name;
    };
    const kernel = { ...real, allocate };
    await expect(
      enlargeDeviceFile({ device, sizeBytes: 3 * SIZE_BYTES, kernel }),
    ).rejects.toMatchObject({ detail: { code, path } });
    expect((await stat(path)).size).toBe(SIZE_BYTES);
  }
});
