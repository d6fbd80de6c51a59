/** Opening a device alone, and naming who is in the way. */
import { hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import { describeClaim } from '@dozo/claim';
import { inspectDevice } from '@dozo/engine';
import { openFileDevice } from '@dozo/platform';
import type { FileDevice } from '@dozo/platform';

import { CommandError } from '../errors.ts';

/**
 * Opens a device under the kernel's lock.
 *
 * Throws `DEVICE_HELD`, which names the holder, and what `openFileDevice` throws. `action` says what
 * was tried: `cannot serve /dev/sdb: ...`. With `punchesHoles` discards give a file's blocks back.
 */
export async function openDeviceAlone(
  path: string,
  action: string,
  punchesHoles = false,
): Promise<FileDevice> {
  try {
    return await openFileDevice({ path, mode: 'exclusive', punchesHoles });
  } catch (error) {
    if (!hasCode(error, 'DEVICE_BUSY')) throw error;
    const holder = await nameHolder(path);
    throw new CommandError(
      holder === undefined
        ? `cannot ${action} ${path}: another process holds it, which has not written its name on it (it may be starting, verifying or formatting; a block device may be mounted, see lsblk); wait for it or stop it`
        : `cannot ${action} ${path}: another process holds it; the newest claim on it is that of ${holder}; use that one, or stop it first`,
      { code: 'DEVICE_HELD', path },
      { cause: error },
    );
  }
}

/** Opens a device for a look: without a lock, while others may write. */
export function openDeviceToLook(path: string): Promise<Device> {
  return openFileDevice({ path, mode: 'read-only' });
}

/** Who holds a device according to its newest claim; undefined if no claim says that it is held. */
async function nameHolder(path: string): Promise<string | undefined> {
  try {
    const device = await openDeviceToLook(path);
    try {
      const { newestClaim } = await inspectDevice(device);
      return newestClaim?.state === 'held' || newestClaim?.state === 'claiming'
        ? describeClaim(newestClaim)
        : undefined;
    } finally {
      await device.close();
    }
  } catch {
    // The refusal is what matters; that the holder cannot be named must not hide it.
    return undefined;
  }
}
