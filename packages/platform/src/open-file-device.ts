/**
 * Opens a regular file or a block device, alone.
 *
 * A block device is opened `O_EXCL`: the kernel holds one exclusive opener for each device, whatever
 * device node, container or mount namespace it came through, and mkfs and mount respect it. A regular
 * file is locked with `flock` on the file itself: lock what you protect, never a file beside it. Both
 * locks belong to the open descriptor, which no child process inherits, and end with the process,
 * however it ends.
 *
 * After a `flock` that succeeded, a second descriptor of the same file tries it too, and must fail:
 * some file systems answer yes to everyone. There, and on file systems whose locks live on a server
 * (and can be lost while both holders live), the lock identity is `none`: nobody may take this lock
 * for a proof that a previous holder is dead.
 *
 * Source: open(2), flock(2); docs/decisions/0011-kernel-locks.md.
 */
import { constants } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { alignedBytes, DeviceError, UNCACHED_BLOCK_BYTES } from '@dozo/base';
import type { DeviceErrorDetail, LockIdentity } from '@dozo/base';

import { DurableFile, openDurably } from './durable-file.ts';
import { isKernelError, kernelErrorName } from './errors.ts';
import { closeFile, openFile, readAt, statDescriptor } from './file-calls.ts';
import { FileDevice } from './file-device.ts';
import { loadKernel } from './kernel.ts';
import type { Kernel } from './kernel.ts';

export interface OpenFileDeviceOptions {
  readonly path: string;
  /**
   * `exclusive` takes the kernel's lock. `read-only` takes none and cannot write. `unlocked` takes none
   * and writes: it breaks the first invariant, and is only for tests and for `dozo lab`, which show
   * that the layers above hold without the lock.
   */
  readonly mode: 'exclusive' | 'read-only' | 'unlocked';
  /**
   * Whether a discard gives a file's blocks back to its file system. Default false: the file was
   * allocated so that no write of the engine ever finds the file system full.
   */
  readonly punchesHoles?: boolean;
  /** For tests. Default: the kernel of this machine. */
  readonly kernel?: Kernel;
}

/** Errors of opening carry no offset. */
type OpenErrorCode = Exclude<
  DeviceErrorDetail['code'],
  'DEVICE_READ_FAILED' | 'DEVICE_WRITE_FAILED' | 'DEVICE_FLUSH_FAILED' | 'DEVICE_CLOSED'
>;

/**
 * File systems whose `flock` excludes every opener of the file on this machine and is held by this
 * kernel alone (`statfs` magic numbers, `linux/magic.h`).
 */
const LOCAL_FILE_SYSTEMS = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x01021994, // tmpfs
  0xf2f52010, // f2fs
  0x2fc12fc1, // zfs
  0xca451a4e, // bcachefs
  0x794c7630, // overlayfs
  0x4d44, // vfat
  0x2011bab0, // exfat
]);

/**
 * Opens `path` as a {@link Device}.
 *
 * Rejects with `DEVICE_NOT_FOUND`, `DEVICE_BUSY`, `DEVICE_ACCESS_DENIED`, `DEVICE_NOT_USABLE`, and
 * `KERNEL_CALLS_UNAVAILABLE`.
 */
export async function openFileDevice(options: OpenFileDeviceOptions): Promise<FileDevice> {
  const { path, mode } = options;
  const kernel = options.kernel ?? (await loadKernel());
  const kind = await kindOfPath(path);
  const access = mode === 'read-only' ? constants.O_RDONLY : constants.O_RDWR;
  const exclusive = kind === 'block' && mode === 'exclusive' ? constants.O_EXCL : 0;
  let descriptor: number;
  try {
    descriptor = await openFile(path, access | exclusive, 0);
  } catch (error) {
    throw openError(path, kind, error);
  }
  try {
    return await deviceOf(options, kernel, kind, descriptor);
  } catch (error) {
    await closeFile(descriptor);
    throw isKernelError(error) ? openError(path, kind, error) : error;
  }
}

async function deviceOf(
  options: OpenFileDeviceOptions,
  kernel: Kernel,
  kind: 'block' | 'file',
  descriptor: number,
): Promise<FileDevice> {
  const { path, mode } = options;
  const stats = await statDescriptor(descriptor);
  if (kindOf(stats) !== kind) {
    throw notUsable(path, 'it was replaced by something else while it was being opened');
  }
  const sizeBytes = kind === 'file' ? Number(stats.size) : kernel.blockDeviceSize(descriptor);
  if (typeof sizeBytes === 'string') throw notUsable(path, `its size is unknown (${sizeBytes})`);
  if (sizeBytes === 0) throw notUsable(path, 'it is empty');
  if (!Number.isSafeInteger(sizeBytes)) throw notUsable(path, 'it is larger than 8 PiB');
  if (mode !== 'read-only' && kind === 'block' && kernel.isBlockDeviceReadOnly(descriptor)) {
    const reason = 'the device is read-only. Make it writable (see blockdev --setrw)';
    throw deviceError('DEVICE_ACCESS_DENIED', path, reason);
  }
  const lockIdentity =
    mode === 'exclusive'
      ? await lock({ path, kernel, kind, descriptor, stats })
      : ({ kind: 'none', name: '' } as const);
  const isReadOnly = mode === 'read-only';
  const durable = isReadOnly ? undefined : new DurableFile(descriptor, openDurably);
  await durable?.prepare();
  let directDescriptor: number | undefined;
  try {
    directDescriptor = await openDirectly(path, kind, descriptor, isReadOnly);
  } catch (error) {
    await durable?.close();
    throw error;
  }
  return new FileDevice({
    path,
    descriptor,
    durable,
    directDescriptor,
    kernel,
    kind,
    sizeBytes,
    lockIdentity,
    isReadOnly,
    punchesHoles: options.punchesHoles ?? false,
  });
}

/**
 * What a descriptor refers to, opened once more for transfers past the page cache. Undefined where it cannot be had; any other reason is an
 * error: on a shared disk a stale read is a danger. For the same reason it must be had, and work, on a
 * block device that is opened for writing: two machines, or two paths of one, may lead to it. A file on
 * a file system without it (tmpfs) has one page cache only.
 */
async function openDirectly(
  path: string,
  kind: 'block' | 'file',
  descriptor: number,
  isReadOnly: boolean,
): Promise<number | undefined> {
  const access = isReadOnly ? constants.O_RDONLY : constants.O_RDWR | constants.O_DSYNC;
  const mustWork = kind === 'block' && !isReadOnly;
  let direct: number | undefined;
  try {
    direct = await openFile(`/proc/self/fd/${descriptor}`, access | constants.O_DIRECT, 0);
    if (mustWork) await readAt(direct, alignedBytes(UNCACHED_BLOCK_BYTES), 0, 0);
    return direct;
  } catch (error) {
    if (direct !== undefined) await closeFile(direct);
    const name = kernelErrorName(error);
    if (!REFUSALS.has(name)) throw error;
    if (mustWork) throw notDirect(path, name);
    return undefined;
  }
}

const REFUSALS = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOENT', 'ENOTDIR']);

async function lock(of: {
  readonly path: string;
  readonly kernel: Kernel;
  readonly kind: 'block' | 'file';
  readonly descriptor: number;
  readonly stats: BigIntStats;
}): Promise<LockIdentity> {
  const { path, kernel, kind, descriptor, stats } = of;
  // A block device was locked when it was opened.
  if (kind === 'block') return { kind, name: deviceNumber(stats.rdev) };
  const failure = kernel.lockExclusive(descriptor);
  if (failure === 'EAGAIN') throw busy(path, kind);
  if (failure !== undefined) {
    throw notUsable(path, `its file system cannot lock files (${failure})`);
  }
  const excludes = await excludesOthers(kernel, descriptor);
  if (!excludes || !LOCAL_FILE_SYSTEMS.has(await fileSystemType(descriptor))) {
    return { kind: 'none', name: '' };
  }
  return { kind, name: `${deviceNumber(stats.dev)}/${stats.ino.toString()}` };
}

/** Whether the lock that `descriptor` has just got keeps a second descriptor out. */
async function excludesOthers(kernel: Kernel, descriptor: number): Promise<boolean> {
  // Through /proc it is certainly the same file, even if the path now leads to another.
  const second = await openFile(`/proc/self/fd/${descriptor}`, constants.O_RDONLY, 0);
  try {
    return kernel.lockExclusive(second) === 'EAGAIN';
  } finally {
    await closeFile(second);
  }
}

/**
 * Whether a path lies on a file system that one machine has to itself, and whose `flock` excludes: what
 * a device file there needs to be declared local. False for everything that is not known to be.
 */
export async function isOnLocalFileSystem(path: string): Promise<boolean> {
  const { type } = await statfs(path);
  return LOCAL_FILE_SYSTEMS.has(type >>> 0);
}

async function fileSystemType(descriptor: number): Promise<number> {
  const { type } = await statfs(`/proc/self/fd/${descriptor}`);
  return type >>> 0;
}

async function kindOfPath(path: string): Promise<'block' | 'file'> {
  let stats: BigIntStats;
  try {
    stats = await stat(path, { bigint: true });
  } catch (error) {
    throw openError(path, 'file', error);
  }
  const kind = kindOf(stats);
  // Opened only when it is known not to be a pipe or a tape: opening those has effects.
  if (kind === undefined) throw notUsable(path, 'it is neither a regular file nor a block device');
  return kind;
}

function kindOf(stats: BigIntStats): 'block' | 'file' | undefined {
  if (stats.isBlockDevice()) return 'block';
  return stats.isFile() ? 'file' : undefined;
}

/** `major:minor`, as the kernel prints it. Source: `makedev` of glibc's `sys/sysmacros.h`. */
function deviceNumber(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
  return `${major.toString()}:${minor.toString()}`;
}

function openError(path: string, kind: 'block' | 'file', error: unknown): DeviceError {
  const name = kernelErrorName(error);
  if (name === 'EBUSY') return busy(path, kind);
  if (name === 'ENOENT' || name === 'ENOTDIR') {
    return deviceError('DEVICE_NOT_FOUND', path, 'nothing is there. Check the path');
  }
  if (name === 'EACCES' || name === 'EPERM' || name === 'EROFS') {
    const reason =
      name === 'EROFS'
        ? 'its file system is mounted read-only. Mount it for writing'
        : `this user may not (${name}). Run as a user that may read and write it`;
    return deviceError('DEVICE_ACCESS_DENIED', path, reason);
  }
  const advice = 'See the kernel log (dmesg) and the limits of this process (ulimit -n)';
  return deviceError('DEVICE_NOT_USABLE', path, `the kernel says ${name}. ${advice}`, error);
}

function busy(path: string, kind: 'block' | 'file'): DeviceError {
  const reason =
    kind === 'block'
      ? 'another process has it open, or it is mounted or part of another volume (see lsblk). ' +
        'Stop that one first'
      : 'another process has locked it. Stop that one first';
  return deviceError('DEVICE_BUSY', path, reason);
}

function notUsable(path: string, reason: string): DeviceError {
  const advice = 'Give the path of a device file or of a block device';
  return deviceError('DEVICE_NOT_USABLE', path, `${reason}. ${advice}`);
}

function notDirect(path: string, name: string): DeviceError {
  const isWithoutProc = name === 'ENOENT' || name === 'ENOTDIR';
  const reason = isWithoutProc
    ? 'there is no /proc, through which the page cache of this machine is passed by. Mount it'
    : `it cannot be read past the page cache of this machine in blocks of ${UNCACHED_BLOCK_BYTES} bytes ` +
      `(O_DIRECT: ${name}), so that what another machine has written could be overlooked. Use a disk ` +
      `with sectors of at most ${UNCACHED_BLOCK_BYTES} bytes (blockdev --getss), or a file on a file ` +
      'system on it';
  return deviceError('DEVICE_NOT_USABLE', path, reason);
}

function deviceError(
  code: OpenErrorCode,
  path: string,
  reason: string,
  cause?: unknown,
): DeviceError {
  return new DeviceError(`Cannot open ${path}: ${reason}.`, { code, path }, { cause });
}
