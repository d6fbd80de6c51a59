/** Runs as root only, on a loop device: a real block device with a real exclusive opener. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openFileDevice } from '../src/index.ts';
import { attachCoarse, canAttachCoarse, canUseLoopDevices, losetup } from './loop-device.ts';

const SIZE_BYTES = 8 * 1024 * 1024;

describe.runIf(canUseLoopDevices())('a block device', () => {
  let directory: string;
  let path: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
    const file = join(directory, 'disk');
    await writeFile(file, new Uint8Array(0));
    await truncate(file, SIZE_BYTES);
    path = losetup('--find', '--show', file);
  });

  afterAll(async () => {
    losetup('--detach', path);
    await rm(directory, { recursive: true });
  });

  it('tells its size and its number, reads, writes, flushes and discards', async () => {
    const device = await openFileDevice({ path, mode: 'exclusive' });
    expect(device.sizeBytes).toBe(SIZE_BYTES);
    expect(device.lockIdentity.kind).toBe('block');
    expect(device.lockIdentity.name).toMatch(/^7:\d+$/);
    const bytes = new Uint8Array(8192).fill(3);
    await device.write(4096, [bytes.subarray(0, 100), bytes.subarray(100)]);
    await device.flush();
    const into = new Uint8Array(8192);
    await device.read(4096, into);
    expect(into).toEqual(bytes);
    expect(await device.discard(0, SIZE_BYTES)).toBe(true);
    await device.read(4096, into);
    expect(into).toEqual(new Uint8Array(8192));
    await expect(device.read(SIZE_BYTES - 1, into)).rejects.toMatchObject({
      code: 'DEVICE_READ_FAILED',
    });
    await device.close();
  });

  it('has one exclusive opener, through whatever device node', async () => {
    const first = await openFileDevice({ path, mode: 'exclusive' });
    const otherNode = join(directory, 'node');
    execFileSync('cp', ['--archive', path, otherNode]);
    for (const name of [path, otherNode]) {
      await expect(openFileDevice({ path: name, mode: 'exclusive' })).rejects.toMatchObject({
        detail: { code: 'DEVICE_BUSY', path: name },
      });
    }
    const reader = await openFileDevice({ path: otherNode, mode: 'read-only' });
    await reader.read(0, new Uint8Array(4096));
    await reader.close();
    await first.close();
    const second = await openFileDevice({ path, mode: 'exclusive' });
    await second.close();
  });

  it('shows past the page cache what was written through another path to the same disk', async () => {
    const otherPath = losetup('--find', '--show', join(directory, 'disk'));
    try {
      const ours = await openFileDevice({ path, mode: 'exclusive' });
      // Another device to the kernel: its exclusive opener does not exclude ours.
      const theirs = await openFileDevice({ path: otherPath, mode: 'exclusive' });
      expect(ours.isDirect && theirs.isDirect).toBe(true);
      const [old, fresh, into] = [1, 2, 0].map((fill) => new Uint8Array(4096).fill(fill));
      if (old === undefined || fresh === undefined || into === undefined) throw new Error('three');
      await ours.writeUncached(65_536, [old]);
      await theirs.read(65_536, into);
      await ours.writeUncached(65_536, [fresh]);
      await theirs.read(65_536, into);
      expect(into, 'the cache is stale').toEqual(old);
      await theirs.readUncached(65_536, into);
      expect(into).toEqual(fresh);
      await theirs.dropCache();
      await theirs.read(65_536, into.fill(0));
      expect(into, 'the cache was dropped').toEqual(fresh);
      await ours.close();
      await theirs.close();
    } finally {
      losetup('--detach', otherPath);
    }
  });

  it('is written without a lock beside its holder when that is asked for', async () => {
    const holder = await openFileDevice({ path, mode: 'exclusive' });
    const other = await openFileDevice({ path, mode: 'unlocked' });
    expect(other.lockIdentity).toEqual({ kind: 'none', name: '' });
    const bytes = new Uint8Array(4096).fill(7);
    await other.writeUncached(0, [bytes]);
    const into = new Uint8Array(4096);
    await holder.read(0, into);
    expect(into).toEqual(bytes);
    await other.close();
    await holder.close();
  });

  it.runIf(canAttachCoarse())(
    'is refused to a writer when it cannot be read past the page cache',
    async () => {
      const file = join(directory, 'coarse');
      await writeFile(file, new Uint8Array(0));
      await truncate(file, SIZE_BYTES);
      const coarse = attachCoarse(file);
      try {
        for (const mode of ['exclusive', 'unlocked'] as const) {
          await expect(openFileDevice({ path: coarse, mode })).rejects.toMatchObject({
            detail: { code: 'DEVICE_NOT_USABLE', path: coarse },
            message: expect.stringMatching(/O_DIRECT: EINVAL.*blockdev --getss/) as string,
          });
        }
        const reader = await openFileDevice({ path: coarse, mode: 'read-only' });
        expect(reader.sizeBytes).toBe(SIZE_BYTES);
        await reader.close();
      } finally {
        losetup('--detach', coarse);
      }
    },
  );

  it('is refused to a writer when it is read-only', async () => {
    execFileSync('blockdev', ['--setro', path]);
    try {
      for (const mode of ['exclusive', 'unlocked'] as const) {
        await expect(openFileDevice({ path, mode })).rejects.toMatchObject({
          detail: { code: 'DEVICE_ACCESS_DENIED', path },
        });
      }
    } finally {
      execFileSync('blockdev', ['--setrw', path]);
    }
  });
});
