import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { DataDirectory } from './data-directory.ts';
import { dataDirectoryAt } from './data-directory.ts';
import { defaultSizeBytes, provideDeviceFile } from './device-file.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

let directory: DataDirectory;

beforeEach(async () => {
  directory = dataDirectoryAt(await mkdtemp(join(tmpdir(), 'dozo-device-')));
});

afterEach(async () => {
  await rm(directory.path, { recursive: true });
});

const nothing = () => Promise.resolve();

describe('defaultSizeBytes', () => {
  it('is 20 GiB on a large disk and a tenth of the free space on a small one', () => {
    expect(defaultSizeBytes('/d', 1000 * GIB)).toBe(20 * GIB);
    expect(defaultSizeBytes('/d', 200 * GIB)).toBe(20 * GIB);
    expect(defaultSizeBytes('/d', 100 * GIB)).toBe(10 * GIB);
    expect(defaultSizeBytes('/d', 9 * GIB + 12345)).toBe(921 * MIB);
  });

  it('says how much is missing where that is too little', () => {
    expect(() => defaultSizeBytes('/d', 2 * GIB)).toThrow(
      expect.objectContaining({
        code: 'DISK_TOO_SMALL',
        message: expect.stringMatching(/2 GiB that are free.*256 MiB.*--size/) as string,
      }),
    );
  });
});

describe('provideDeviceFile', () => {
  it('makes the file once, formatted before it has its name', async () => {
    const namesWhileFormatting: string[][] = [];
    const format = async () => void namesWhileFormatting.push(await readdir(directory.path));
    expect(await provideDeviceFile(directory, MIB, format)).toMatchObject({ isNew: true });
    expect(namesWhileFormatting).toEqual([['osd-0.device.creating']]);
    expect((await stat(directory.deviceFile)).size).toBe(MIB);
    const again = await provideDeviceFile(directory, 7 * MIB, () => {
      throw new Error('a device that is there is never formatted');
    });
    expect(again).toEqual({ path: directory.deviceFile, sizeBytes: MIB, isNew: false });
  });

  it('leaves nothing behind when formatting fails', async () => {
    const format = () => Promise.reject(new Error('formatting failed'));
    await expect(provideDeviceFile(directory, MIB, format)).rejects.toThrow();
    expect(await readdir(directory.path)).toEqual([]);
  });

  it('goes on after a first start that was killed half way', async () => {
    await writeFile(`${directory.deviceFile}.creating`, 'half a device');
    await provideDeviceFile(directory, MIB, nothing);
    expect(await readdir(directory.path)).toEqual(['osd-0.device']);
  });

  it('refuses a size for which there is no room, and leaves nothing behind', async () => {
    await expect(provideDeviceFile(directory, 2 ** 50, nothing)).rejects.toThrow(
      expect.objectContaining({ detail: expect.objectContaining({ code: 'NO_SPACE' }) as object }),
    );
    expect(await readdir(directory.path)).toEqual([]);
  });
});
