/** A file system without room. Needs root, for a tmpfs and an ext4 of its own. */
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  statfs,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquireClaim } from '@dozo/claim';
import type { Claim } from '@dozo/claim';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import {
  createDeviceFile,
  openClaimFile,
  openFileDevice,
  openSystemClock,
  readHostIdentity,
  SystemRandom,
} from '../src/index.ts';
import type { OpenClaimFile } from '../src/index.ts';
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

/** The file systems whose overwrites in place need no room. */
describe.runIf(canMount()).each(['ext4', 'tmpfs'] as const)('the claim of a full %s', (type) => {
  const slotCount = 64;
  let directory: string;
  let mounted: string;
  let file: OpenClaimFile;
  let claim: Claim;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
    mounted = join(directory, 'mounted');
    if (type === 'ext4') await mountExt4(join(directory, 'image'), mounted);
    else {
      await mkdir(mounted);
      run('mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mounted);
    }
  });

  afterEach(async () => {
    claim.abandon();
    await file.device.close();
    run('umount', mounted);
    await rm(directory, { recursive: true });
  });

  const fill = async (): Promise<void> => {
    for (const sizeBytes of [64 * 1024, 4096, 512]) {
      for (;;) {
        try {
          await appendFile(join(mounted, 'data'), new Uint8Array(sizeBytes));
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOSPC' });
          break;
        }
      }
    }
  };

  const open = async (): Promise<void> => {
    const settings = { beatIntervalMs: 20, leaseMs: 60_000, isLocal: true };
    const random = new SystemRandom();
    file = await openClaimFile({
      directory: mounted,
      mode: 'exclusive',
      settings,
      random,
      slotCount,
    });
  };

  const acquire = async (): Promise<void> => {
    const { host, bootId, pid } = readHostIdentity();
    claim = await acquireClaim({
      ...file,
      clock: await openSystemClock(),
      random: new SystemRandom(),
      holder: { host, bootId, processId: pid, softwareVersion: 'test' },
    });
    await claim.update({ state: 'held' });
  };

  const beat = async (): Promise<void> => {
    for (let count = 0; count < 5; count++) {
      await claim.update({});
      await claim.confirm();
    }
    expect(claim.failure).toBeUndefined();
  };

  it('is renewed, given back and taken again when its file has its room', async () => {
    await open();
    expect((await stat(file.path)).blocks * 512).toBeGreaterThanOrEqual(slotCount * 8192);
    await acquire();
    await fill();
    await beat();
    for (let count = 0; count < 8; count++) {
      await claim.release();
      await acquire();
      await beat();
    }
  });

  it('is renewed when its file is sparse, and cannot be taken again until there is room', async () => {
    // Without plenty of room, none is taken.
    const { bavail, bsize } = await statfs(mounted);
    const leftBytes = 3 * slotCount * 8192;
    await writeFile(join(mounted, 'before'), new Uint8Array(bavail * bsize - leftBytes));
    await open();
    expect((await stat(file.path)).blocks * 512).toBeLessThan(slotCount * 4096);
    await acquire();
    await fill();
    await beat();
    await claim.release();
    await expect(acquire()).rejects.toMatchObject({
      code: expect.stringMatching(/CLAIM_LOST|DEVICE_WRITE_FAILED/) as string,
      message: expect.stringMatching(/ENOSPC.*free some room/) as string,
    });
    await rm(join(mounted, 'before'));
    await acquire();
    await beat();
  });
});
