import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { dataDirectoryAt, defaultDataDirectory, ensureDataDirectory } from './data-directory.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-data-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('defaultDataDirectory', () => {
  it('follows XDG_DATA_HOME, else the home directory', () => {
    expect(defaultDataDirectory({ XDG_DATA_HOME: '/data', HOME: '/people/me' })).toBe('/data/dozo');
    expect(defaultDataDirectory({ HOME: '/people/me' })).toBe('/people/me/.local/share/dozo');
    expect(defaultDataDirectory({ XDG_DATA_HOME: 'data', HOME: '/people/admin' })).toBe(
      '/people/admin/.local/share/dozo',
    );
  });

  it('asks for --data where there is no home', () => {
    expect(() => defaultDataDirectory({})).toThrow(
      expect.objectContaining({ code: 'USAGE_INVALID' }),
    );
  });
});

describe('ensureDataDirectory', () => {
  it('makes a directory that only its owner can look into, and keeps one that is there', async () => {
    const data = dataDirectoryAt(join(directory, 'a/b'));
    await ensureDataDirectory(data);
    await ensureDataDirectory(data);
    expect((await stat(data.path)).mode & 0o777).toBe(0o700);
  });

  it('says what is in the way', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(
      ensureDataDirectory(dataDirectoryAt(join(directory, 'file/data'))),
    ).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_UNUSABLE',
      message: expect.stringContaining('ENOTDIR') as string,
    });
  });
});
