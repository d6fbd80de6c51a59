import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  readRuntimeFile,
  removeRuntimeFile,
  removeStaleRuntimeFile,
  writeRuntimeFile,
} from './runtime-file.ts';

const info = {
  pid: 42,
  instance: 'abc',
  endpoint: 'http://127.0.0.1:9000',
  healthEndpoint: 'http://127.0.0.1:9001',
  device: '/data/osd-0.device',
  dataDirectory: '/data',
  startedAt: '2026-11-22T00:00:00.000Z',
  version: '0.1.0',
};

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-runtime-'));
  path = join(directory, 'runtime.json');
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('the runtime file', () => {
  it('reads back as it was written, and is gone after it was removed', async () => {
    await writeRuntimeFile(path, info);
    expect(await readRuntimeFile(path)).toEqual(info);
    await removeRuntimeFile(path);
    await removeRuntimeFile(path);
    expect(await readRuntimeFile(path)).toBeUndefined();
  });

  it('is removed as stale only when its process is no more', async () => {
    await writeRuntimeFile(path, { ...info, pid: process.pid });
    await removeStaleRuntimeFile(path);
    expect(await readRuntimeFile(path)).toMatchObject({ pid: process.pid });
    // Above the largest pid that Linux gives.
    await writeRuntimeFile(path, { ...info, pid: 2 ** 22 + 1 });
    await removeStaleRuntimeFile(path);
    expect(await readRuntimeFile(path)).toBeUndefined();
  });

  it.each(['', '{', 'null', '7', '{"pid":1}'])('takes %j for none', async (content) => {
    await writeFile(path, content);
    expect(await readRuntimeFile(path)).toBeUndefined();
  });
});
