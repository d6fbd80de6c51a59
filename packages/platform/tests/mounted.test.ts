/** What only file systems of their own can show. Needs root. */
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEVICE_CONTRACT_BYTES_MIN, deviceContract } from '@dozo/base/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createDeviceFile, openFileDevice } from '../src/index.ts';
import { canMount, mountExt4, run } from './mounting.ts';

describe.runIf(canMount())('a file system of its own', () => {
  let directory: string;
  const mounted: string[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
  });

  afterAll(async () => {
    for (const mountPoint of mounted) run('umount', mountPoint);
    await rm(directory, { recursive: true });
  });

  it('has the whole new device file even if the power is cut at once', async () => {
    const image = join(directory, 'image');
    const before = join(directory, 'before');
    await mountExt4(image, before);
    mounted.push(before);
    run('sync', '--file-system', before);
    const content = new Uint8Array(100_000).fill(7);
    await createDeviceFile({
      path: join(before, 'disk'),
      sizeBytes: content.length,
      prepare: (device) => device.write(0, [content]),
    });
    // What the file system has given to its disk by now, and nothing of what it still holds back.
    const cut = join(directory, 'cut');
    await copyFile(image, cut);
    const after = join(directory, 'after');
    await mkdir(after);
    run('mount', '-o', 'loop', cut, after);
    mounted.push(after);
    expect(await readdir(after)).toContain('disk');
    expect(Buffer.compare(await readFile(join(after, 'disk')), content)).toBe(0);
  });

  it('gives no identity of a lock when it is not known to keep locks by itself', async () => {
    const mountPoint = join(directory, 'ramfs');
    await mkdir(mountPoint);
    run('mount', '-t', 'ramfs', 'ramfs', mountPoint);
    mounted.push(mountPoint);
    const path = join(mountPoint, 'disk');
    await writeFile(path, new Uint8Array(0));
    await truncate(path, 4096);
    const device = await openFileDevice({ path, mode: 'exclusive' });
    expect(device.lockIdentity).toEqual({ kind: 'none', name: '' });
    await expect(openFileDevice({ path, mode: 'exclusive' })).rejects.toMatchObject({
      code: 'DEVICE_BUSY',
    });
    await device.close();
  });

  describe('that has no transfers past the page cache', () => {
    const cases = deviceContract(async () => {
      const mountPoint = join(directory, `ramfs-${String(mounted.length)}`);
      await mkdir(mountPoint);
      run('mount', '-t', 'ramfs', 'ramfs', mountPoint);
      mounted.push(mountPoint);
      const path = join(mountPoint, 'disk');
      await writeFile(path, new Uint8Array(0));
      await truncate(path, DEVICE_CONTRACT_BYTES_MIN);
      return {
        open: () => openFileDevice({ path, mode: 'exclusive' }),
        openReadOnly: async () => {
          const device = await openFileDevice({ path, mode: 'read-only' });
          expect(device.isDirect).toBe(false);
          return device;
        },
      };
    }).filter(({ name }) => name.includes('cache') || name.includes('uncached'));

    it.each(cases)('keeps the contract: $name', async ({ run: check }) => {
      await expect(check()).resolves.toBeUndefined();
    });
  });
});
