/** Looking at a volume's claim file: takes no lock, writes nothing. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { hasCode } from '@dozo/base';
import { readRing } from '@dozo/claim';
import type { ClaimSettings, Ring } from '@dozo/claim';
import { CLAIM_FILE_NAME, openClaimFile, SystemRandom } from '@dozo/platform';
import type { OpenClaimFile } from '@dozo/platform';

import { CommandError, causeName } from '../errors.ts';
import { BEAT_MS_DEFAULT, LEASE_MS_DEFAULT } from './limits.ts';

const UNUSED: ClaimSettings = {
  beatIntervalMs: BEAT_MS_DEFAULT,
  leaseMs: LEASE_MS_DEFAULT,
  isLocal: false,
};
const NONE = new SystemRandom();

/** What a look showed. */
export interface VolumeLook {
  readonly path: string;
  readonly settings: ClaimSettings;
  readonly ring: Ring;
}

/** Where the claim file of a volume is. */
export function claimFilePath(directory: string): string {
  return join(directory, CLAIM_FILE_NAME);
}

/** Throws `VOLUME_UNUSABLE` when `directory` is not a directory that can be looked into. */
export async function requireDirectory(directory: string): Promise<void> {
  let isDirectory: boolean;
  try {
    isDirectory = (await stat(directory)).isDirectory();
  } catch (error) {
    const cause = causeName(error);
    const reason =
      cause === 'ENOENT'
        ? 'nothing is there. Mount the volume, or make the directory, and start again'
        : `it cannot be looked at (${cause}). Check the mount and the rights of this user`;
    throw volumeUnusable(directory, reason);
  }
  if (!isDirectory)
    throw volumeUnusable(directory, 'it is not a directory. Give the volume itself');
}

/** Reads the claim file; `undefined` where there is none. */
export async function lookAtVolume(directory: string): Promise<VolumeLook | undefined> {
  let file: OpenClaimFile;
  try {
    // It makes nothing when it only looks: neither intervals nor randomness are used.
    file = await openClaimFile({ directory, mode: 'read-only', settings: UNUSED, random: NONE });
  } catch (error) {
    if (hasCode(error, 'DEVICE_NOT_FOUND')) return undefined;
    throw error;
  }
  const { settings, device, place } = file;
  try {
    return { path: file.path, settings, ring: await readRing(device, place) };
  } finally {
    await device.close();
  }
}

/**
 * Whether the kernel of this machine shows a lock on the file. Locks of processes in pid namespaces
 * that we do not see are not shown, nor those of other machines. Source: proc_locks(5).
 */
export async function isLockShown(path: string): Promise<boolean> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    const hex = (value: bigint): string => value.toString(16).padStart(2, '0');
    const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xffff_f000n);
    const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffff_ff00n);
    const name = ` ${hex(major)}:${hex(minor)}:${ino.toString()} `;
    const locks = await readFile('/proc/locks', 'utf8');
    return locks.split('\n').some((line) => line.includes('FLOCK') && line.includes(name));
  } catch {
    return false;
  }
}

/** A volume that this machine cannot give us. */
function volumeUnusable(directory: string, reason: string): CommandError {
  const detail = { code: 'VOLUME_UNUSABLE', path: directory } as const;
  return new CommandError(`Guarding ${directory}: ${reason}.`, detail);
}
