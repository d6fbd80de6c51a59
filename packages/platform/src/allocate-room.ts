/**
 * Room for a device file: the file system promises it, so that no later write finds it full.
 *
 * Where a file system cannot promise (`fallocate` is not there), the range is filled with zeros.
 */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

import { kernelErrorName, PlatformError } from './errors.ts';
import { truncateFile, writeAllAt } from './file-calls.ts';
import type { Kernel } from './kernel.ts';
import { ZERO_FILL_BYTES } from './limits.ts';

/** What is to be allocated: `[startBytes, sizeBytes)` of a file that has `startBytes` now. */
export interface RoomOptions {
  readonly path: string;
  readonly descriptor: number;
  readonly kernel: Kernel;
  readonly startBytes: number;
  readonly sizeBytes: number;
  /** `zeros` writes the whole range, which takes as long as the disk needs. */
  readonly fill: 'allocate' | 'zeros';
  /** For messages: `Cannot create`. */
  readonly action: string;
  /** The error for any other reason than room. */
  readonly failed: (error: unknown) => PlatformError;
}

/**
 * Allocates. Rejects with `NO_SPACE` or what `failed` makes; the file has `startBytes` again then.
 * Durable only after a flush of the file.
 */
export async function allocateRoom(options: RoomOptions): Promise<void> {
  const { path, descriptor, kernel, startBytes, sizeBytes, fill } = options;
  // Asked first: an allocation that fails takes all the room there is until it is given back, and
  // everybody else on the file system is out of space for that while.
  const availableBytes = await availableBytesAt(path);
  if (availableBytes < sizeBytes - startBytes) throw noSpace(options, availableBytes);
  const failure = await kernel.allocate(descriptor, sizeBytes, startBytes);
  if (failure !== undefined && failure !== 'EOPNOTSUPP' && failure !== 'ENOSYS') {
    throw await allocationFailed(options, { code: failure });
  }
  if (failure === undefined && fill === 'allocate') return;
  const zeros = new Uint8Array(Math.min(ZERO_FILL_BYTES, sizeBytes - startBytes));
  try {
    let done = startBytes;
    while (done < sizeBytes) {
      const part = zeros.subarray(0, Math.min(zeros.length, sizeBytes - done));
      done += await writeAllAt(descriptor, [part], done);
    }
  } catch (error) {
    throw await allocationFailed(options, error);
  }
}

async function allocationFailed(options: RoomOptions, error: unknown): Promise<PlatformError> {
  // What was allocated before the end of the room counts as free again.
  await truncateFile(options.descriptor, options.startBytes).catch(() => undefined);
  const name = kernelErrorName(error);
  if (name !== 'ENOSPC' && name !== 'EDQUOT' && name !== 'EFBIG') return options.failed(error);
  return noSpace(options, await availableBytesAt(options.path), { name, error });
}

async function availableBytesAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize;
}

function noSpace(
  { path, action, sizeBytes, startBytes }: RoomOptions,
  availableBytes: number,
  /** What the kernel said, where it was asked. */
  said?: { readonly name: string; readonly error: unknown },
): PlatformError {
  const more = startBytes === 0 ? '' : ' more';
  return new PlatformError(
    `${action} ${path}: ${sizeBytes - startBytes} bytes${more} are needed and the file system has no room for ` +
      `them (${said === undefined ? '' : `${said.name}; `}${availableBytes} bytes are free now). ` +
      'Choose a smaller size or another directory.',
    { code: 'NO_SPACE', path, sizeBytes, availableBytes },
    { cause: said?.error },
  );
}
