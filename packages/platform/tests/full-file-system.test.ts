/** A file system without room. Needs root, for a tmpfs and an ext4 of its own. */
import { mkdtemp, readdir, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createDeviceFile, openFileDevice } from '../src/index.ts';
import { canMount, mountExt4, run } from './mounting.ts';

const SIZE_BYTES = 256 * 1024;

describe.runIf(canMount())('a full file system', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
    run('mount', '-t', 'tmpfs', '-o', `size=${SIZE_BYTES}`, 'tmpfs', directory);
  });

  afterAll(async () => {
    run('umount', directory);
    await rm(directory, { recursive: true });
  });

  it('makes no device file that does not fit, and keeps nothing of it', async () => {
    const path = join(directory, 'disk');
    for (const fill of ['allocate', 'zeros'] as const) {
      const creating = createDeviceFile({ path, sizeBytes: 2 * SIZE_BYTES, fill });
      await expect(creating).rejects.toMatchObject({
        detail: { code: 'NO_SPACE', path, sizeBytes: 2 * SIZE_BYTES },
      });
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it('fails a write that it takes only a part of', async () => {
    const path = join(directory, 'sparse');
    await writeFile(path, new Uint8Array(0));
    await truncate(path, 4 * SIZE_BYTES);
    const device = await openFileDevice({ path, mode: 'exclusive' });
    const buffers = Array.from({ length: 8 }, () => new Uint8Array(SIZE_BYTES / 4).fill(1));
    await expect(device.write(0, buffers)).rejects.toMatchObject({
      detail: { code: 'DEVICE_WRITE_FAILED', cause: 'ENOSPC' },
    });
    const into = new Uint8Array(4096);
    await device.read(0, into);
    expect(into).toEqual(new Uint8Array(4096).fill(1));
    await device.close();
    await rm(path);
  });

  it('holds a file device as any other file system does', async () => {
    const path = join(directory, 'disk');
    await createDeviceFile({ path, sizeBytes: SIZE_BYTES / 2 });
    const device = await openFileDevice({ path, mode: 'exclusive' });
    expect(device.lockIdentity.kind).toBe('file');
    await device.write(0, [new Uint8Array(SIZE_BYTES / 2).fill(2)]);
    await device.flush();
    await device.close();
    await rm(path);
  });
});

describe.runIf(canMount())('a full ext4', () => {
  let directory: string;
  let mounted: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
    mounted = join(directory, 'mounted');
    await mountExt4(join(directory, 'image'), mounted);
  });

  afterAll(async () => {
    run('umount', mounted);
    await rm(directory, { recursive: true });
  });

  it('tells its room without what the attempt itself had taken of it', async () => {
    const { bavail, bsize } = await statfs(mounted);
    const creating = createDeviceFile({ path: join(mounted, 'disk'), sizeBytes: 32 * 1024 * 1024 });
    await expect(creating).rejects.toMatchObject({
      detail: { code: 'NO_SPACE', availableBytes: bavail * bsize },
    });
  });
});
