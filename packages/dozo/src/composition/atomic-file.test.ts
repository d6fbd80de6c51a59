import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createFileOnce, replaceFile } from './atomic-file.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-files-'));
  path = join(directory, 'file');
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('replaceFile', () => {
  it('lets the newer content win and leaves nothing else behind', async () => {
    await replaceFile({ path, content: 'one', mode: 0o644 }, 'a');
    await replaceFile({ path, content: 'two', mode: 0o644 }, 'b');
    expect(await readFile(path, 'utf8')).toBe('two');
    expect(await readdir(directory)).toEqual(['file']);
  });

  it('gives exactly the asked-for permissions, whatever the umask', async () => {
    await replaceFile({ path, content: '', mode: 0o666 }, 'a');
    expect((await stat(path)).mode & 0o777).toBe(0o666);
  });

  it('cleans up when it cannot finish', async () => {
    await expect(replaceFile({ path: directory, content: '', mode: 0o644 }, 'a')).rejects.toThrow();
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('createFileOnce', () => {
  it('lets the first content stay', async () => {
    expect(await createFileOnce({ path, content: 'one', mode: 0o600 }, 'a')).toBe(true);
    expect(await createFileOnce({ path, content: 'two', mode: 0o600 }, 'b')).toBe(false);
    expect(await readFile(path, 'utf8')).toBe('one');
    expect(await readdir(directory)).toEqual(['file']);
  });
});
