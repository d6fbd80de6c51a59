/**
 * The device file of a data directory: found, or made by the first start.
 *
 * It appears under its name only when it is formatted and durable (`createDeviceFile`), so a kill in
 * the middle of a first start leaves nothing that the next one would refuse.
 */
import { stat, statfs } from 'node:fs/promises';

import { hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import { createDeviceFile } from '@dozo/platform';

import { causeName, CommandError } from '../errors.ts';
import {
  DEFAULT_DEVICE_BYTES,
  DEFAULT_FREE_FRACTION,
  DEVICE_FILE_BYTES_MIN,
  DEVICE_FILE_STEP_BYTES,
} from '../limits.ts';
import { formatSize } from '../sizes.ts';
import type { DataDirectory } from './data-directory.ts';
import { dataDirectoryError } from './data-directory.ts';

export interface DeviceFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** This call made it. */
  readonly isNew: boolean;
}

/**
 * Finds the device file or makes it, `sizeBytes` long or of the default size.
 *
 * Throws `DISK_TOO_SMALL`, `DATA_DIRECTORY_UNUSABLE` and what `createDeviceFile` and `format` throw.
 */
export async function provideDeviceFile(
  directory: DataDirectory,
  sizeBytes: number | undefined,
  format: (device: Device) => Promise<void>,
): Promise<DeviceFile> {
  const path = directory.deviceFile;
  const found = await sizeOfFile(path);
  if (found !== undefined) return { path, sizeBytes: found, isNew: false };
  const chosen = sizeBytes ?? defaultSizeBytes(directory.path, await freeBytes(directory.path));
  try {
    await createDeviceFile({ path, sizeBytes: chosen, prepare: format });
  } catch (error) {
    // Another start was first; which of the two may use it, its lock decides.
    if (!hasCode(error, 'FILE_EXISTS')) throw error;
    return { path, sizeBytes: (await sizeOfFile(path)) ?? chosen, isNew: false };
  }
  return { path, sizeBytes: chosen, isNew: true };
}

/** The smaller of 20 GiB and a tenth of what is free, in whole MiB. Throws `DISK_TOO_SMALL`. */
export function defaultSizeBytes(path: string, free: number): number {
  const wanted = Math.min(DEFAULT_DEVICE_BYTES, free * DEFAULT_FREE_FRACTION);
  const sizeBytes = wanted - (wanted % DEVICE_FILE_STEP_BYTES);
  if (sizeBytes >= DEVICE_FILE_BYTES_MIN) return sizeBytes;
  const needed = DEVICE_FILE_BYTES_MIN / DEFAULT_FREE_FRACTION;
  throw new CommandError(
    `cannot choose a size for the device file in ${path}: a tenth of the ${formatSize(free)} that are free there is less than the ${formatSize(DEVICE_FILE_BYTES_MIN)} that one needs; free some room, choose another place with --data DIR, or say a size with --size`,
    { code: 'DISK_TOO_SMALL', path, freeBytes: free, neededBytes: needed },
  );
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

async function sizeOfFile(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (causeName(error) === 'ENOENT') return undefined;
    throw dataDirectoryError(path, 'cannot look at', error);
  }
}
