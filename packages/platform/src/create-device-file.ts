/**
 * Creates a device file, all of it or nothing.
 *
 * The file is built under a name of its own beside the final one, locked by its builder, allocated,
 * prepared (formatted) and made durable; only then does it get its name, and never over something
 * that is there. A crash on the way leaves at most the unfinished file, which the next attempt takes
 * over once its lock is free, or, between its getting the name and losing the old one, a finished
 * file with two names: the next attempt only takes the old one away.
 *
 * Allocation is `fallocate`: the file system promises the room, so that no later write finds it full.
 * Where a file system cannot, the file is filled with zeros. Whether allocating alone is fast enough
 * was measured: docs/decisions/0012-device-file-allocation.md.
 */
import { constants } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { link, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assert, DeviceError } from '@dozo/base';
import type { Device } from '@dozo/base';

import { allocateRoom } from './allocate-room.ts';
import { isKernelError, kernelErrorName, PlatformError } from './errors.ts';
import {
  closeFile,
  openFile,
  statDescriptor,
  syncDirectory,
  syncFile,
  truncateFile,
} from './file-calls.ts';
import { FileDevice } from './file-device.ts';
import { loadKernel } from './kernel.ts';
import type { Kernel } from './kernel.ts';

export interface CreateDeviceFileOptions {
  readonly path: string;
  /** Size of the new file, at least 1. */
  readonly sizeBytes: number;
  /**
   * Gives the new, empty device its content before it gets its name. Neither it nor anybody else may
   * use the device after it has resolved.
   */
  readonly prepare?: (device: Device) => Promise<void>;
  /** Default `allocate`. `zeros` writes the whole file, which takes as long as the disk needs. */
  readonly fill?: 'allocate' | 'zeros';
  /** For tests. Default: the kernel of this machine. */
  readonly kernel?: Kernel;
}

/** Ends the name of a file that is being built. */
const UNFINISHED_SUFFIX = '.creating';

/**
 * Creates a file of `sizeBytes` with mode 0600, its room allocated, durable with its directory entry.
 *
 * Rejects with `FILE_EXISTS`, `NO_SPACE`, `CREATE_FAILED`, `KERNEL_CALLS_UNAVAILABLE`, with
 * `DEVICE_BUSY` when another process is creating the same file, and with whatever `prepare` rejects
 * with. After any of them nothing is left behind that this call has made.
 */
export async function createDeviceFile(options: CreateDeviceFileOptions): Promise<void> {
  const { path, sizeBytes, prepare, fill = 'allocate' } = options;
  assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0, 'a device file has a size');
  const kernel = options.kernel ?? (await loadKernel());
  if (await exists(path)) throw fileExists(path);
  const unfinished = path + UNFINISHED_SUFFIX;
  const descriptor = await openUnfinished(path, unfinished, kernel);
  let isNamed = false;
  const device = new FileDevice({
    path,
    descriptor,
    kernel,
    kind: 'file',
    sizeBytes,
    lockIdentity: { kind: 'none', name: '' },
    isReadOnly: false,
    punchesHoles: false,
  });
  try {
    await truncateFile(descriptor, 0);
    const failed = (error: unknown): PlatformError => createFailed(path, error);
    const room = { path, descriptor, kernel, startBytes: 0, sizeBytes, fill };
    await allocateRoom({ ...room, action: 'Cannot create', failed });
    await prepare?.(device);
    await syncFile(descriptor);
    await giveName(unfinished, path);
    isNamed = true;
    await syncDirectory(dirname(path));
  } catch (error) {
    // The lock is still ours: nobody has begun to use the file under its name.
    await unlink(isNamed ? path : unfinished).catch(() => undefined);
    throw isKernelError(error) ? createFailed(path, error) : error;
  } finally {
    await device.close();
  }
}

/** Opens and locks the unfinished file, new or left behind by a crash. */
async function openUnfinished(path: string, unfinished: string, kernel: Kernel): Promise<number> {
  for (;;) {
    let descriptor: number;
    try {
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
      descriptor = await openFile(unfinished, flags, 0o600);
    } catch (error) {
      throw createFailed(path, error);
    }
    const failure = kernel.lockExclusive(descriptor);
    if (failure !== undefined) {
      await closeFile(descriptor);
      throw failure === 'EAGAIN' ? beingCreated(path) : createFailed(path, { code: failure });
    }
    // Its builder may have finished or given up between the opening and the lock; then the file that
    // was locked has another name or none, and the next one is tried.
    const [ours, named] = await Promise.all([
      statDescriptor(descriptor),
      stat(unfinished, { bigint: true }).catch(() => undefined),
    ]);
    const isOurs = named !== undefined && isSameFile(ours, named);
    if (isOurs && ours.nlink <= 1n) return descriptor;
    // Finished, and its builder died before it took this name away: under the other one it may hold
    // somebody's data by now.
    if (isOurs) await unlink(unfinished);
    await closeFile(descriptor);
  }
}

/** Gives the file its name unless that is taken: a link fails where a rename would replace. */
async function giveName(unfinished: string, path: string): Promise<void> {
  try {
    await link(unfinished, path);
  } catch (error) {
    const name = kernelErrorName(error);
    if (name === 'EEXIST') throw fileExists(path);
    if (name !== 'EPERM' && name !== 'EOPNOTSUPP' && name !== 'ENOSYS') throw error;
    // A file system without links (FAT, some network file systems).
    if (await exists(path)) throw fileExists(path);
    await rename(unfinished, path);
    return;
  }
  await unlink(unfinished);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (kernelErrorName(error) === 'ENOENT') return false;
    throw createFailed(path, error);
  }
}

function isSameFile(left: BigIntStats, right: BigIntStats): boolean {
  return left.dev === right.dev && left.ino === right.ino;
}

function fileExists(path: string): PlatformError {
  return new PlatformError(
    `Cannot create ${path}: something is there already. Open it, or choose another path.`,
    { code: 'FILE_EXISTS', path },
  );
}

function createFailed(path: string, error: unknown): PlatformError {
  const cause = kernelErrorName(error);
  return new PlatformError(
    `Cannot create ${path}: the kernel says ${cause}. Check that the directory is there and that ` +
      'this user may write in it.',
    { code: 'CREATE_FAILED', path, cause },
    { cause: error },
  );
}

function beingCreated(path: string): DeviceError {
  return new DeviceError(
    `Cannot create ${path}: another process is creating it. Wait for that one, then open the file.`,
    { code: 'DEVICE_BUSY', path },
  );
}
