/**
 * Makes a device file larger: allocated, never a hole by accident, so that no write of the engine finds
 * the file system full (docs/decisions/0012-device-file-allocation.md). What the file has stays as it is.
 */
import { assert } from '@dozo/base';

import { allocateRoom } from './allocate-room.ts';
import { kernelErrorName, PlatformError } from './errors.ts';
import { statDescriptor, syncFile } from './file-calls.ts';
import type { FileDevice } from './file-device.ts';
import { loadKernel } from './kernel.ts';
import type { Kernel } from './kernel.ts';

export interface EnlargeDeviceFileOptions {
  /** A regular file, opened alone: its lock keeps everybody else away meanwhile. */
  readonly device: FileDevice;
  /** The size afterwards, more than it has. */
  readonly sizeBytes: number;
  /** For tests. Default: the kernel of this machine. */
  readonly kernel?: Kernel;
}

/**
 * Enlarges a file, durably. The open device keeps its size: who wants to use more opens it anew.
 *
 * Rejects with `NO_SPACE`, `ENLARGE_FAILED` and `KERNEL_CALLS_UNAVAILABLE`; the file has its old size
 * then.
 */
export async function enlargeDeviceFile(options: EnlargeDeviceFileOptions): Promise<void> {
  const { device, sizeBytes } = options;
  const { path, descriptor } = device;
  assert(!device.isBlockDevice, 'only a regular file can be enlarged');
  const kernel = options.kernel ?? (await loadKernel());
  const failed = (error: unknown): PlatformError => enlargeFailed(path, error);
  let startBytes: number;
  try {
    startBytes = Number((await statDescriptor(descriptor)).size);
  } catch (error) {
    throw failed(error);
  }
  assert(sizeBytes > startBytes, 'a file is enlarged');
  const place = { path, descriptor, kernel, startBytes, sizeBytes };
  await allocateRoom({ ...place, fill: 'allocate', action: 'Cannot enlarge', failed });
  try {
    await syncFile(descriptor);
  } catch (error) {
    throw failed(error);
  }
}

function enlargeFailed(path: string, error: unknown): PlatformError {
  const cause = kernelErrorName(error);
  return new PlatformError(
    `Cannot enlarge ${path}: the kernel says ${cause}. See the kernel log (dmesg) and the limits of ` +
      'the file system.',
    { code: 'ENLARGE_FAILED', path, cause },
    { cause: error },
  );
}
