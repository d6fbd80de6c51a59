import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '@dozo/base';

import { createDeviceFile } from './create-device-file.ts';
import { loadKernel } from './kernel.ts';
import { openFileDevice } from './open-file-device.ts';

const SIZE_BYTES = 5 * 1024 * 1024 + 100;

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
  path = join(directory, 'disk');
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('createDeviceFile', () => {
  it('allocates a private file of the size', async () => {
    await createDeviceFile({ path, sizeBytes: SIZE_BYTES });
    const { size, blocks, mode } = await stat(path);
    expect(size).toBe(SIZE_BYTES);
    expect(blocks * 512).toBeGreaterThanOrEqual(SIZE_BYTES);
    expect(mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['disk']);
  });

  it('shows the file only after it has been prepared', async () => {
    let duringPrepare: string[] = [];
    await createDeviceFile({
      path,
      sizeBytes: SIZE_BYTES,
      prepare: async (device) => {
        await device.write(0, [new Uint8Array([1, 2, 3])]);
        duringPrepare = await readdir(directory);
      },
    });
    expect(duringPrepare).toEqual(['disk.creating']);
    expect([...(await readFile(path)).subarray(0, 4)]).toEqual([1, 2, 3, 0]);
    const device = await openFileDevice({ path, mode: 'exclusive' });
    await device.close();
  });

  it('leaves nothing when preparing fails', async () => {
    const prepare = (): Promise<void> => Promise.reject(new Error('no'));
    await expect(createDeviceFile({ path, sizeBytes: 4096, prepare })).rejects.toThrow('no');
    expect(await readdir(directory)).toEqual([]);
  });

  it('never replaces a file, whether it was there before or came meanwhile', async () => {
    await writeFile(path, 'mine');
    const exists = { detail: { code: 'FILE_EXISTS', path } };
    await expect(createDeviceFile({ path, sizeBytes: 4096 })).rejects.toMatchObject(exists);
    await rm(path);
    const prepare = (): Promise<void> => writeFile(path, 'mine');
    await expect(createDeviceFile({ path, sizeBytes: 4096, prepare })).rejects.toMatchObject(
      exists,
    );
    expect(await readFile(path, 'utf8')).toBe('mine');
    expect(await readdir(directory)).toEqual(['disk']);
  });

  it('lets one of two creators in', async () => {
    await createDeviceFile({
      path,
      sizeBytes: SIZE_BYTES,
      prepare: async () => {
        await expect(createDeviceFile({ path, sizeBytes: SIZE_BYTES })).rejects.toMatchObject({
          detail: { code: 'DEVICE_BUSY', path },
        });
      },
    });
    expect(await readdir(directory)).toEqual(['disk']);
  });

  it('takes over what a crash left unfinished', async () => {
    await writeFile(`${path}.creating`, new Uint8Array(10_000).fill(9));
    await createDeviceFile({ path, sizeBytes: 8192 });
    expect(await readFile(path)).toEqual(Buffer.alloc(8192));
    expect(await readdir(directory)).toEqual(['disk']);
  });

  it('spares a finished file whose builder died before it took the unfinished name away', async () => {
    const content = new Uint8Array(8192).fill(5);
    const prepare = (device: Device): Promise<void> => device.write(0, [content]);
    await createDeviceFile({ path, sizeBytes: content.length, prepare });
    await link(path, `${path}.creating`);
    const renamed = join(directory, 'renamed');
    await rename(path, renamed);
    await createDeviceFile({ path, sizeBytes: 4096 });
    expect(Buffer.compare(await readFile(renamed), content)).toBe(0);
    expect(await readFile(path)).toEqual(Buffer.alloc(4096));
    expect((await readdir(directory)).sort()).toEqual(['disk', 'renamed']);
  });

  it('does not follow a link in place of the unfinished file', async () => {
    const other = join(directory, 'other');
    await writeFile(other, 'mine');
    await symlink(other, `${path}.creating`);
    await expect(createDeviceFile({ path, sizeBytes: 4096 })).rejects.toMatchObject({
      detail: { code: 'CREATE_FAILED', cause: 'ELOOP' },
    });
    expect(await readFile(other, 'utf8')).toBe('mine');
  });

  it('says how much room there is when there is not enough, takes none of it, leaves nothing', async () => {
    const allocate = (): Promise<string> => Promise.reject(new Error('it was asked to allocate'));
    const kernel = { ...(await loadKernel()), allocate };
    await expect(createDeviceFile({ path, sizeBytes: 2 ** 43, kernel })).rejects.toMatchObject({
      detail: {
        code: 'NO_SPACE',
        path,
        sizeBytes: 2 ** 43,
        availableBytes: expect.any(Number) as number,
      },
    });
    expect(await readdir(directory)).toEqual([]);
  });

  it('fills with zeros where the file system cannot allocate, or when told to', async () => {
    const allocate = (): Promise<string> => Promise.resolve('EOPNOTSUPP');
    const kernel = { ...(await loadKernel()), allocate };
    await createDeviceFile({ path, sizeBytes: SIZE_BYTES, kernel });
    const { size, blocks } = await stat(path);
    expect(size).toBe(SIZE_BYTES);
    expect(blocks * 512).toBeGreaterThanOrEqual(SIZE_BYTES);
    const second = join(directory, 'second');
    await createDeviceFile({ path: second, sizeBytes: SIZE_BYTES, fill: 'zeros' });
    expect((await stat(second)).size).toBe(SIZE_BYTES);
  });

  it('passes on what else the kernel says', async () => {
    const allocate = (): Promise<string> => Promise.resolve('EIO');
    const kernel = { ...(await loadKernel()), allocate };
    await expect(createDeviceFile({ path, sizeBytes: 4096, kernel })).rejects.toMatchObject({
      detail: { code: 'CREATE_FAILED', path, cause: 'EIO' },
    });
    const below = join(directory, 'missing', 'disk');
    await expect(createDeviceFile({ path: below, sizeBytes: 4096 })).rejects.toMatchObject({
      detail: { code: 'CREATE_FAILED', path: below, cause: 'ENOENT' },
    });
    await mkdir(join(directory, 'sub'));
    expect(await readdir(directory)).toEqual(['sub']);
  });
});
