import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { chmod, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import type { Device } from '@dozo/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { FileDevice } from './file-device.ts';
import { CACHED_READS_PER_TURN_MAX } from './limits.ts';
import { loadKernel } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { openFileDevice } from './open-file-device.ts';

const SIZE_BYTES = 16 * 1024 * 1024;

let directory: string;
let path: string;
const opened: Device[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
  path = join(directory, 'disk');
  await writeFile(path, new Uint8Array(0));
  await truncate(path, SIZE_BYTES);
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((device) => device.close()));
  await rm(directory, { recursive: true });
});

async function openDisk(
  mode: 'exclusive' | 'read-only' | 'unlocked' = 'exclusive',
): Promise<FileDevice> {
  const device = await openFileDevice({ path, mode });
  opened.push(device);
  return device;
}

describe('reading and writing', () => {
  it('writes buffers one after the other and reads them back', async () => {
    const device = await openDisk();
    expect(device.sizeBytes).toBe(SIZE_BYTES);
    const parts = [new Uint8Array(10).fill(1), new Uint8Array(0), new Uint8Array(5000).fill(2)];
    await device.write(4096, parts);
    await device.flush();
    const into = new Uint8Array(5012);
    await device.read(4095, into);
    expect(into).toEqual(new Uint8Array([0, ...Buffer.concat(parts), 0]));
  });

  it('takes more buffers than the kernel takes in one call', async () => {
    const device = await openDisk();
    const parts = Array.from({ length: 2500 }, (_, index) => new Uint8Array(3).fill(index));
    await device.write(1, parts);
    const into = new Uint8Array(7500);
    await device.read(1, into);
    expect(Buffer.compare(into, Buffer.concat(parts))).toBe(0);
  });

  it('refuses to read or write past the end, and the file does not grow', async () => {
    const device = await openDisk();
    const bytes = new Uint8Array(4096);
    await expect(device.read(SIZE_BYTES - 1, bytes)).rejects.toMatchObject({
      code: 'DEVICE_READ_FAILED',
    });
    await expect(device.write(SIZE_BYTES - 1, [bytes])).rejects.toMatchObject({
      detail: { code: 'DEVICE_WRITE_FAILED', path, offset: SIZE_BYTES - 1 },
    });
    expect((await stat(path)).size).toBe(SIZE_BYTES);
  });

  it('refuses an offset that Node would take for its own position in the file', async () => {
    const device = await openDisk();
    for (const offset of [-1, 0.5, Number.NaN]) {
      const read = device.read(offset, new Uint8Array(16));
      await expect(read).rejects.toMatchObject({ code: 'DEVICE_READ_FAILED' });
      const write = device.write(offset, [new Uint8Array(16).fill(1)]);
      await expect(write).rejects.toMatchObject({ code: 'DEVICE_WRITE_FAILED' });
    }
    expect(Buffer.compare(await readFile(path), Buffer.alloc(SIZE_BYTES))).toBe(0);
  });

  it('reports what the kernel says, where', async () => {
    const kernel = await loadKernel();
    const parts = { kernel, lockIdentity: { kind: 'none', name: '' } } as const;
    const more = { kind: 'file', sizeBytes: 8192, isReadOnly: false, punchesHoles: false } as const;
    const full = openSync('/dev/full', constants.O_RDWR);
    const device = new FileDevice({ ...parts, ...more, path: '/dev/full', descriptor: full });
    await expect(device.write(4096, [new Uint8Array(10)])).rejects.toMatchObject({
      detail: { code: 'DEVICE_WRITE_FAILED', path: '/dev/full', offset: 4096, cause: 'ENOSPC' },
    });
    await expect(device.flush()).rejects.toMatchObject({
      detail: { code: 'DEVICE_FLUSH_FAILED', cause: 'EINVAL' },
    });
    await device.close();
    const unreadable = openSync(path, constants.O_WRONLY);
    const other = new FileDevice({ ...parts, ...more, path, descriptor: unreadable });
    await expect(other.read(4096, new Uint8Array(1))).rejects.toMatchObject({
      detail: { code: 'DEVICE_READ_FAILED', offset: 4096, cause: 'EBADF' },
    });
    await other.close();
  });

  /** `O_DSYNC` and `O_DIRECT` of all descriptions of the file. */
  function openFlags(): number[] {
    const open = readdirSync('/proc/self/fd').flatMap((name) => {
      try {
        const isOurs = realpathSync(`/proc/self/fd/${name}`) === realpathSync(path);
        return isOurs ? [readFileSync(`/proc/self/fdinfo/${name}`, 'utf8')] : [];
      } catch {
        return [];
      }
    });
    const flags = open.map((text) => Number.parseInt(/flags:\s*(\d+)/.exec(text)?.[1] ?? '', 8));
    return flags.map((bits) => bits & (constants.O_DSYNC | constants.O_DIRECT));
  }

  it('writes durably and past the page cache through descriptions of their own', async () => {
    const { O_DSYNC, O_DIRECT } = constants;
    const device = await openDisk();
    expect(openFlags()).toEqual([0, O_DSYNC, O_DSYNC | O_DIRECT]);
    await device.close();
    expect(openFlags()).toEqual([]);
  });

  it('gives durable writes that run at the same time a description each', async () => {
    const { O_DSYNC } = constants;
    const device = await openDisk();
    const writes = [0, 4096, 8192].map((offset) =>
      device.writeDurably(offset, [new Uint8Array(4096).fill(1)]),
    );
    await Promise.all(writes);
    await device.writeDurably(0, [new Uint8Array(4096)]);
    expect(openFlags().filter((bits) => bits === O_DSYNC).length).toBe(3);
    await device.close();
    expect(openFlags()).toEqual([]);
  });

  it('writes and flushes where it has no such description', async () => {
    const kernel = await loadKernel();
    const parts = { kernel, lockIdentity: { kind: 'none', name: '' } } as const;
    const more = { kind: 'file', sizeBytes: 8192, isReadOnly: false, punchesHoles: false } as const;
    const full = openSync('/dev/null', constants.O_RDWR);
    const device = new FileDevice({ ...parts, ...more, path: '/dev/null', descriptor: full });
    // Nothing can be flushed there: that it was tried shows in the error.
    await expect(device.writeDurably(0, [new Uint8Array(10)])).rejects.toMatchObject({
      code: 'DEVICE_FLUSH_FAILED',
    });
    await device.close();
  });

  it('discards by punching holes only when it was opened so', async () => {
    const bytes = new Uint8Array(1024 * 1024).fill(7);
    const blocks = async (): Promise<number> => (await stat(path)).blocks;
    const keeping = await openDisk();
    await keeping.write(0, [bytes]);
    await keeping.flush();
    const before = await blocks();
    expect(await keeping.discard(0, bytes.length)).toBe(false);
    expect(await blocks()).toBe(before);
    await keeping.close();
    const punching = await openFileDevice({ path, mode: 'exclusive', punchesHoles: true });
    opened.push(punching);
    expect(await punching.discard(0, bytes.length)).toBe(true);
    expect(await blocks()).toBeLessThan(before);
  });
});

describe('reading what is in the page cache', () => {
  it('is answered at once, gives the same bytes, and lets other events in', async () => {
    const device = await openDisk();
    const bytes = new Uint8Array(65_536).map((_, index) => index * 7);
    await device.write(4096, [bytes]);
    const into = new Uint8Array(bytes.length);
    const turn = { isOver: false };
    setImmediate(() => {
      turn.isOver = true;
    });
    await device.read(4096, into);
    expect(turn.isOver).toBe(false);
    expect(into).toEqual(bytes);
    for (let read = 0; !turn.isOver; read++) {
      expect(read).toBeLessThan(1000);
      await device.read(4096 + read, into.subarray(0, 100));
    }
    const odd = new Uint8Array(70_000);
    await device.read(0, odd);
    expect(odd.subarray(4096, 4096 + bytes.length)).toEqual(bytes);
  });

  it('is answered within the call, so often in one turn, and no more than it copies', async () => {
    const device = await openDisk();
    const bytes = new Uint8Array(65_536).map((_, index) => index * 7);
    await device.write(4096, [bytes]);
    const into = new Uint8Array(bytes.length);
    expect(device.readCached(4096, into)).toBe(true);
    expect(into).toEqual(bytes);
    expect(device.readCached(4096, new Uint8Array(65_537))).toBe(false);
    const readsUntilRefused = (): number => {
      let count = 0;
      while (count < 1000 && device.readCached(4096 + count, into.subarray(0, 100))) count++;
      return count;
    };
    expect(readsUntilRefused()).toBe(CACHED_READS_PER_TURN_MAX - 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(readsUntilRefused()).toBe(CACHED_READS_PER_TURN_MAX);
  });

  it('does not count against the turn when it is not there', async () => {
    const page = { isThere: false };
    const kernel = { ...(await loadKernel()), readCached: () => page.isThere };
    const device = await openFileDevice({ path, mode: 'exclusive', kernel });
    opened.push(device);
    const into = new Uint8Array(4096);
    for (let count = 0; count < 1000; count++) expect(device.readCached(0, into)).toBe(false);
    page.isThere = true;
    expect(device.readCached(0, into)).toBe(true);
  });

  it('goes to the thread pool when it is not there', async () => {
    const kernel = { ...(await loadKernel()), readCached: () => false };
    const device = await openFileDevice({ path, mode: 'exclusive', kernel });
    opened.push(device);
    await device.write(4096, [new Uint8Array(4096).fill(9)]);
    const into = new Uint8Array(4096);
    await device.read(4096, into);
    expect(into).toEqual(new Uint8Array(4096).fill(9));
  });
});

describe('past the page cache', () => {
  const block = (fill: number): Uint8Array => new Uint8Array(4096).fill(fill);

  async function openWith(kernel: Partial<Kernel>, directDescriptor?: number): Promise<FileDevice> {
    const device = new FileDevice({
      path,
      descriptor: openSync(path, constants.O_RDWR),
      directDescriptor,
      kernel: { ...(await loadKernel()), ...kernel },
      kind: 'file',
      sizeBytes: SIZE_BYTES,
      lockIdentity: { kind: 'none', name: '' },
      isReadOnly: false,
      punchesHoles: false,
    });
    opened.push(device);
    return device;
  }

  it('drops the pages before it reads where there is no such read', async () => {
    const dropped: string[] = [];
    const device = await openWith({
      dropCached: (_, offset, sizeBytes) => {
        dropped.push(`${String(offset)} ${String(sizeBytes)}`);
        return Promise.resolve();
      },
    });
    expect(device.isDirect).toBe(false);
    await device.writeUncached(4096, [block(1)]);
    const into = block(0);
    await device.readUncached(4096, into);
    expect(into).toEqual(block(1));
    await device.dropCache();
    expect(dropped).toEqual(['4096 4096', '0 0']);
  });

  it('goes on through the cache when the first transfer is refused, but not a later one', async () => {
    const accepting = openSync(path, constants.O_RDONLY | constants.O_DIRECT);
    // It refuses every read, and every write of what is no number, as such a file system would do it.
    const refusing = openSync('/proc/self/clear_refs', constants.O_RDWR);
    const device = await openWith({}, refusing);
    await device.writeUncached(0, [block(2)]);
    expect(device.isDirect).toBe(false);
    const into = block(0);
    await device.readUncached(0, into);
    expect(into).toEqual(block(2));
    const other = await openWith({}, accepting);
    await other.readUncached(0, into);
    closeSync(accepting);
    // The lowest free number is the one that was just closed.
    expect(openSync('/proc/self/clear_refs', constants.O_RDWR)).toBe(accepting);
    await expect(other.writeUncached(0, [block(3)])).rejects.toMatchObject({
      detail: { code: 'DEVICE_WRITE_FAILED', cause: 'EINVAL' },
    });
    expect(other.isDirect).toBe(true);
  });

  it('reports what the kernel says, and a device that ends too early', async () => {
    const short = join(directory, 'short');
    await writeFile(short, block(1));
    const device = await openWith({}, openSync(short, constants.O_RDWR | constants.O_DIRECT));
    await expect(device.readUncached(0, new Uint8Array(8192))).rejects.toMatchObject({
      detail: { code: 'DEVICE_READ_FAILED', offset: 0, cause: 'the device ends before it' },
    });
    const full = await openWith({}, openSync('/dev/full', constants.O_RDWR));
    await expect(full.writeUncached(4096, [block(1)])).rejects.toMatchObject({
      detail: { code: 'DEVICE_WRITE_FAILED', offset: 4096, cause: 'ENOSPC' },
    });
    const readOnly = await openDisk('read-only');
    await expect(readOnly.writeUncached(0, [block(1)])).rejects.toThrow('open for reading');
  });

  it('waits for a copy buffer when all are in use, and everything arrives', async () => {
    const device = await openDisk();
    const sizeBytes = 5 * 1024 * 1024;
    await device.writeUncached(0, [new Uint8Array(sizeBytes).fill(7)]);
    const long = Array.from({ length: 6 }, async () => {
      const into = new Uint8Array(sizeBytes);
      await device.readUncached(0, into);
      return into.every((byte) => byte === 7);
    });
    const short = Array.from({ length: 6 }, async (_, index) => {
      await device.writeUncached(sizeBytes + index * 4096, [block(index)]);
      const into = block(99);
      await device.readUncached(sizeBytes + index * 4096, into);
      return into.every((byte) => byte === index);
    });
    expect(await Promise.all([...long, ...short])).toEqual(Array(12).fill(true));
  });
});

describe('closing', () => {
  it('waits for what runs, happens once, and refuses what comes later', async () => {
    const device = await openDisk();
    const written = device.write(0, [new Uint8Array(4 * 1024 * 1024).fill(5)]);
    await Promise.all([device.close(), device.close()]);
    await written;
    expect((await readFile(path))[4 * 1024 * 1024 - 1]).toBe(5);
    const closed = { detail: { code: 'DEVICE_CLOSED', path } };
    await expect(device.read(0, new Uint8Array(1))).rejects.toMatchObject(closed);
    await expect(device.write(0, [new Uint8Array(1)])).rejects.toMatchObject(closed);
    await expect(device.flush()).rejects.toMatchObject(closed);
    await expect(device.discard(0, 4096)).rejects.toMatchObject(closed);
  });
});

describe('the kernel lock on a file', () => {
  it('refuses a second opener of the same file under any name, until the first has closed', async () => {
    const first = await openDisk();
    await expect(openDisk()).rejects.toMatchObject({ detail: { code: 'DEVICE_BUSY', path } });
    const second = await openDisk('read-only');
    await second.read(0, new Uint8Array(16));
    expect(second.lockIdentity).toEqual({ kind: 'none', name: '' });
    await first.close();
    const third = await openDisk();
    const { dev, ino } = await stat(path);
    const number = `${String((dev >> 8) & 0xfff)}:${String((dev & 0xff) | ((dev >> 12) & 0xfff00))}`;
    expect(third.lockIdentity).toEqual({ kind: 'file', name: `${number}/${String(ino)}` });
  });

  it('is not inherited by a child process', async () => {
    const device = await openDisk();
    const child = spawn('/bin/sh', ['-c', 'ls -l /proc/self/fd; read line'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      const [listing] = (await once(child.stdout, 'data')) as [Buffer];
      expect(listing.toString()).not.toContain(path);
      await device.close();
      await expect(openDisk()).resolves.toBeDefined();
    } finally {
      child.stdin.end();
      await once(child, 'exit');
    }
  });

  it('is held by a child process that is given the descriptor, after the device was closed', async () => {
    const device = await openFileDevice({ path, mode: 'exclusive' });
    const child = spawn('/bin/sh', ['-c', 'echo started; read line'], {
      stdio: ['pipe', 'pipe', 'inherit', device.descriptor],
    });
    const exited = once(child, 'exit');
    const { stdin, stdout } = child;
    if (stdin === null || stdout === null) throw new Error('both are pipes');
    await once(stdout, 'data');
    await device.close();
    await expect(openDisk()).rejects.toMatchObject({ code: 'DEVICE_BUSY' });
    stdin.end();
    await exited;
    await expect(openDisk()).resolves.toBeDefined();
  });

  it('is neither taken nor respected by a writer that asks for none', async () => {
    const holder = await openDisk();
    const other = await openDisk('unlocked');
    expect(other.lockIdentity).toEqual({ kind: 'none', name: '' });
    await other.write(0, [new Uint8Array(10).fill(4)]);
    const into = new Uint8Array(10);
    await holder.read(0, into);
    expect(into).toEqual(new Uint8Array(10).fill(4));
    await holder.close();
    await expect(openDisk()).resolves.toBeDefined();
  });

  it('gives no identity where a file system says yes to every locker', async () => {
    const kernel = await loadKernel();
    const pretending = { ...kernel, lockExclusive: () => undefined };
    const device = await openFileDevice({ path, mode: 'exclusive', kernel: pretending });
    opened.push(device);
    expect(device.lockIdentity).toEqual({ kind: 'none', name: '' });
  });

  it('refuses a file system that cannot lock', async () => {
    const kernel = { ...(await loadKernel()), lockExclusive: () => 'ENOLCK' };
    await expect(openFileDevice({ path, mode: 'exclusive', kernel })).rejects.toMatchObject({
      detail: { code: 'DEVICE_NOT_USABLE', path },
      message: expect.stringContaining('ENOLCK') as string,
    });
  });
});

describe('opening', () => {
  it('tells what is wrong with a path', async () => {
    const codeOf = async (of: string): Promise<unknown> => {
      try {
        await openFileDevice({ path: of, mode: 'exclusive' });
        return 'opened';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const empty = join(directory, 'empty');
    await writeFile(empty, new Uint8Array(0));
    expect(await codeOf(join(directory, 'nowhere'))).toBe('DEVICE_NOT_FOUND');
    expect(await codeOf(join(path, 'below-a-file'))).toBe('DEVICE_NOT_FOUND');
    expect(await codeOf(directory)).toBe('DEVICE_NOT_USABLE');
    expect(await codeOf('/dev/null')).toBe('DEVICE_NOT_USABLE');
    expect(await codeOf(empty)).toBe('DEVICE_NOT_USABLE');
  });

  it('tells that there is no descriptor left for the second look at the lock', () => {
    // One descriptor is left in the end: enough for the file, not for asking whether others are kept out.
    const program = `import { closeSync, openSync } from 'node:fs';
      import { openFileDevice } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
      const open = () => openFileDevice({ path: ${JSON.stringify(path)}, mode: 'exclusive' });
      await (await open()).close();
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null')); } catch {}
      closeSync(taken.pop());
      const code = await open().then(() => 'opened', ({ code, name }) => name + ' ' + code);
      taken.forEach(closeSync);
      await open();
      console.log(code);`;
    const limited = ['-c', 'ulimit -n 128; exec "$0" "$@"', process.execPath];
    const run = spawnSync(
      '/bin/sh',
      [...limited, '--input-type=module-typescript', '-e', program],
      {
        encoding: 'utf8',
      },
    );
    expect(run).toMatchObject({ stderr: '', stdout: 'DeviceError DEVICE_NOT_USABLE\n' });
  });

  it.runIf(process.getuid?.() !== 0)('tells that this user may not', async () => {
    await chmod(path, 0o400);
    await expect(openDisk()).rejects.toMatchObject({
      detail: { code: 'DEVICE_ACCESS_DENIED', path },
    });
  });

  it('does not write through a device that is open for reading', async () => {
    const device = await openDisk('read-only');
    await expect(device.write(0, [new Uint8Array(1)])).rejects.toThrow('open for reading');
    await expect(device.discard(0, 1)).rejects.toThrow('open for reading');
    const file = await open(path);
    await file.close();
  });
});
