/** The claim file of a volume: made once whoever starts, opened alone, refused when it is none. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@dozo/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CLAIM_FILE_NAME, openClaimFile, SystemRandom } from '../src/index.ts';
import type { OpenClaimFile } from '../src/index.ts';
import { canMount, mountExt4, run } from './mounting.ts';

const index = join(import.meta.dirname, '..', 'src', 'index.ts');
const settings = { beatIntervalMs: 1000, leaseMs: 5000, isLocal: false };

let directory: string;
const opened: OpenClaimFile[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ device }) => device.close()));
  await rm(directory, { recursive: true });
});

async function openFile(
  mode: 'exclusive' | 'read-only' | 'unlocked' = 'exclusive',
  volume = directory,
): Promise<OpenClaimFile> {
  const random = new SystemRandom();
  const file = await openClaimFile({ directory: volume, mode, settings, random });
  opened.push(file);
  return file;
}

describe('the claim file of a volume', () => {
  it('is made when there is none, with its room, and is the same when it is opened again', async () => {
    const first = await openFile();
    expect(first.settings).toEqual(settings);
    expect(first.device.lockIdentity.kind).toBe('file');
    const { size, blocks } = await stat(first.path);
    expect(size).toBe(64 * 1024 + first.place.slotCount * 8192);
    expect(blocks * 512).toBeGreaterThanOrEqual(size);
    expect(await readdir(directory)).toEqual([CLAIM_FILE_NAME]);
    const reader = await openFile('read-only');
    expect(reader.place).toEqual(first.place);
    await expect(openFile()).rejects.toMatchObject({ code: 'DEVICE_BUSY' });
    await first.device.close();
    const other = { beatIntervalMs: 500, leaseMs: 9000, isLocal: true };
    const random = new SeededRandom(1);
    const again = await openClaimFile({ directory, mode: 'unlocked', settings: other, random });
    opened.push(again);
    expect([again.place, again.settings]).toEqual([first.place, settings]);
  });

  it('is made once when ten processes start at the same moment', async () => {
    const program = `import { hexOfBytes } from '@dozo/base';
      import { openClaimFile, SystemRandom } from ${JSON.stringify(index)};
      const options = { directory: ${JSON.stringify(directory)}, settings: ${JSON.stringify(settings)} };
      console.log('ready');
      process.stdin.once('data', async () => {
        const mode = 'unlocked';
        const file = await openClaimFile({ ...options, mode, random: new SystemRandom() });
        console.log(hexOfBytes(file.place.deviceId));
        process.exit();
      });`;
    const children = Array.from({ length: 10 }, () => {
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
        stdio: ['pipe', 'pipe', 'inherit'],
        cwd: import.meta.dirname,
      });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      const ready = once(child.stdout, 'data');
      const ended = once(child, 'close').then(() => output.trim().split('\n'));
      return { child, ready, ended };
    });
    await Promise.all(children.map(({ ready }) => ready));
    for (const { child } of children) child.stdin.write('go\n');
    const outputs = await Promise.all(children.map(({ ended }) => ended));
    const ids = new Set(outputs.map(([, id]) => id));
    expect(ids.size).toBe(1);
    expect([...ids][0]).toMatch(/^[0-9a-f]{32}$/);
    expect(await readdir(directory)).toEqual([CLAIM_FILE_NAME]);
  });

  it('is open to the group when the volume is', async () => {
    const modeOf = async (volume: string): Promise<number> => {
      const { path } = await openFile('exclusive', volume);
      return (await stat(path)).mode & 0o777;
    };
    expect(await modeOf(directory)).toBe(0o600);
    const shared = join(directory, 'shared');
    await mkdir(shared);
    await chmod(shared, 0o2775);
    expect(await modeOf(shared)).toBe(0o660);
  });

  it('is not made by somebody who only looks', async () => {
    await expect(openFile('read-only')).rejects.toMatchObject({ code: 'DEVICE_NOT_FOUND' });
    expect(await readdir(directory)).toEqual([]);
  });

  it('is refused when it is something else, or cut off, and is left as it is', async () => {
    const path = join(directory, CLAIM_FILE_NAME);
    const refusal = async (): Promise<string> => {
      try {
        await openFile();
        return 'opened';
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        expect(message).toContain('move the file away');
        return `${code}: ${message}`;
      }
    };
    await writeFile(path, 'hello');
    expect(await refusal()).toMatch(/^CLAIM_FILE_INVALID: .* has only 5 bytes/);
    await writeFile(path, new SeededRandom(1).bytes(100_000));
    expect(await refusal()).toMatch(/^CLAIM_FILE_INVALID: .* does not begin with DOZOCLM1/);
    expect((await stat(path)).size).toBe(100_000);
    await rm(path);
    await (await openFile()).device.close();
    await truncate(path, 65_536);
    expect(await refusal()).toMatch(/^CLAIM_FILE_INVALID: .* has 65536 of 8454144 bytes/);
  });

  it('cannot be made on a file system without links, and leaves nothing there', async () => {
    const linkFile = (): Promise<never> =>
      Promise.reject(Object.assign(new Error('no links'), { errno: -1, code: 'EPERM' }));
    const random = new SystemRandom();
    const opening = openClaimFile({ directory, mode: 'exclusive', settings, random, linkFile });
    await expect(opening).rejects.toMatchObject({
      detail: { code: 'CREATE_FAILED', cause: 'EPERM' },
      message: expect.stringContaining('hard links') as string,
    });
    expect(await readdir(directory)).toEqual([]);
  });

  it('is the own one when the answer to its link was lost', async () => {
    const linkFile = async (from: string, to: string): Promise<void> => {
      await link(from, to);
      throw Object.assign(new Error('exists'), { errno: -17, code: 'EEXIST' });
    };
    const random = new SystemRandom();
    opened.push(await openClaimFile({ directory, mode: 'exclusive', settings, random, linkFile }));
    expect(await readdir(directory)).toEqual([CLAIM_FILE_NAME]);
  });

  it('cannot be made where there is no directory', async () => {
    await expect(openFile('exclusive', join(directory, 'nowhere'))).rejects.toMatchObject({
      detail: { code: 'CREATE_FAILED', cause: 'ENOENT' },
    });
  });
});

describe.runIf(canMount())('the claim file of a mounted volume', () => {
  it('cannot be made on one that is read-only', async () => {
    run('mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', directory);
    try {
      await expect(openFile()).rejects.toMatchObject({
        detail: { code: 'CREATE_FAILED', cause: 'EROFS' },
        message: expect.stringContaining('mounted for writing') as string,
      });
    } finally {
      run('umount', directory);
    }
  });

  it('cannot be made on one that is full, and leaves nothing there', async () => {
    run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory);
    try {
      await writeFile(join(directory, 'data'), new Uint8Array(64 * 1024));
      await expect(openFile()).rejects.toMatchObject({
        detail: { code: 'NO_SPACE', availableBytes: 0 },
      });
      expect(await readdir(directory)).toEqual(['data']);
    } finally {
      run('umount', directory);
    }
  });

  it('is the same file through every mount of the volume', async () => {
    const mounted = join(directory, 'mounted');
    await mountExt4(join(directory, 'image'), mounted);
    const other = join(directory, 'other');
    await mkdir(other);
    run('mount', '--bind', mounted, other);
    try {
      const file = await openFile('exclusive', mounted);
      await expect(openFile('exclusive', other)).rejects.toMatchObject({ code: 'DEVICE_BUSY' });
      await file.device.close();
    } finally {
      run('umount', other);
      run('umount', mounted);
    }
  });
});
