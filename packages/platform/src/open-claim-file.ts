/**
 * The claim file of a volume: opened alone, and made if there is none.
 *
 * Many may start at once on an empty volume. Each builds a whole file under a name of its own, makes it
 * durable, and links it to the one name; a link never replaces, so one of them wins and all use that
 * file. A crash on the way leaves at most a small file whose name begins with the claim file's.
 *
 * The ring's room is taken when the file is made, where the volume has plenty: a beat that finds the
 * volume full would end the program that fills it. Elsewhere the ring is sparse and takes room slot by
 * slot; both blocks of one's own slot have theirs once a claim has been written twice.
 */
import { constants } from 'node:fs';
import { chmod, link, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { alignedBytes, CodecError, hasCode, hexOfBytes } from '@dozo/base';
import type { Random } from '@dozo/base';
import {
  CLAIM_FILE_HEADER_BYTES,
  CLAIM_FILE_RING_OFFSET,
  claimFileBytes,
  decodeClaimFileHeader,
  encodeClaimFileHeader,
  RING_SLOTS_DEFAULT,
} from '@dozo/claim';
import type { ClaimFileHeader, ClaimSettings, RingPlace } from '@dozo/claim';

import { isKernelError, kernelErrorName, PlatformError } from './errors.ts';
import {
  closeFile,
  openFile,
  syncDirectory,
  syncFile,
  truncateFile,
  writeAllAt,
} from './file-calls.ts';
import type { FileDevice } from './file-device.ts';
import { loadKernel } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { CLAIM_FILE_ROOM_SHARE_MAX } from './limits.ts';
import { openFileDevice } from './open-file-device.ts';

/** The name of the claim file in its volume. */
export const CLAIM_FILE_NAME = '.dozo-claim';

export interface OpenClaimFileOptions {
  /** The volume: a directory that all who share it reach, under whatever path. */
  readonly directory: string;
  /**
   * `exclusive` and `unlocked` as in `openFileDevice`; both make the file when there is none.
   * `read-only` only looks.
   */
  readonly mode: 'exclusive' | 'read-only' | 'unlocked';
  /** For a file that is made. One that is there has its own. */
  readonly settings: ClaimSettings;
  /** For the id of a file that is made. */
  readonly random: Random;
  /** Default `RING_SLOTS_DEFAULT`. */
  readonly slotCount?: number;
  /** For tests. Default: the kernel of this machine. */
  readonly kernel?: Kernel;
  /** For tests: `link(2)`. */
  readonly linkFile?: (from: string, to: string) => Promise<void>;
}

/** An open claim file, ready for `acquireClaim`. */
export interface OpenClaimFile {
  readonly path: string;
  readonly device: FileDevice;
  readonly place: RingPlace;
  /** Those of the file, on which all claimants agree. */
  readonly settings: ClaimSettings;
}

/**
 * Opens the claim file of a volume.
 *
 * Rejects as `openFileDevice` does (`DEVICE_BUSY` while another holds it, `DEVICE_NOT_FOUND` only when
 * it is opened `read-only`), and with `CLAIM_FILE_INVALID`, `NO_SPACE`, `CREATE_FAILED`.
 */
export async function openClaimFile(options: OpenClaimFileOptions): Promise<OpenClaimFile> {
  const { directory, mode, kernel } = options;
  const path = join(directory, CLAIM_FILE_NAME);
  const open = (): Promise<FileDevice> =>
    openFileDevice({ path, mode, ...(kernel === undefined ? {} : { kernel }) });
  let device: FileDevice;
  try {
    device = await open();
  } catch (error) {
    if (mode === 'read-only' || !hasCode(error, 'DEVICE_NOT_FOUND')) throw error;
    await createClaimFile(path, options);
    device = await open();
  }
  try {
    const { place, settings } = await readHeader(device);
    return { path, device, place, settings };
  } catch (error) {
    await device.close();
    throw error;
  }
}

async function readHeader(device: FileDevice): Promise<ClaimFileHeader> {
  const { path, sizeBytes } = device;
  if (sizeBytes < CLAIM_FILE_HEADER_BYTES) throw invalid(path, `it has only ${sizeBytes} bytes`);
  // Past the page cache: another machine may have made it.
  const block = alignedBytes(CLAIM_FILE_HEADER_BYTES);
  await device.readUncached(0, block);
  let header: ClaimFileHeader;
  try {
    header = decodeClaimFileHeader(block);
  } catch (error) {
    if (error instanceof CodecError) throw invalid(path, error.message, error);
    throw error;
  }
  const neededBytes = claimFileBytes(header);
  if (sizeBytes < neededBytes) {
    throw invalid(path, `it has ${sizeBytes} of ${neededBytes} bytes`);
  }
  return header;
}

/** Makes the file under its name, unless another has done so by now. */
async function createClaimFile(path: string, options: OpenClaimFileOptions): Promise<void> {
  const { directory, settings, random, slotCount = RING_SLOTS_DEFAULT } = options;
  const header = {
    place: { offset: CLAIM_FILE_RING_OFFSET, slotCount, deviceId: random.bytes(16) },
    settings,
    createdWallMs: Date.now(),
  };
  const unfinished = `${path}.creating-${hexOfBytes(random.bytes(8))}`;
  let isBegun = false;
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const descriptor = await openFile(unfinished, flags, 0o600);
    isBegun = true;
    try {
      await writeWhole(descriptor, encodeClaimFileHeader(header));
      const kernel = options.kernel ?? (await loadKernel());
      await takeRoom(descriptor, claimFileBytes(header), directory, kernel);
      await syncFile(descriptor);
    } finally {
      await closeFile(descriptor);
    }
    await shareWithGroup(unfinished, directory);
    await linkUnlessThere(options.linkFile ?? link, unfinished, path);
    await unlink(unfinished);
    isBegun = false;
    await syncDirectory(directory);
  } catch (error) {
    if (isBegun) await unlink(unfinished).catch(() => undefined);
    throw isKernelError(error) ? await createFailed(path, directory, header, error) : error;
  }
}

/** Gives the file its size, and the room for all of it where there is plenty. */
async function takeRoom(
  descriptor: number,
  sizeBytes: number,
  directory: string,
  kernel: Kernel,
): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const hasPlenty = sizeBytes <= CLAIM_FILE_ROOM_SHARE_MAX * bavail * bsize;
  if (hasPlenty && (await kernel.allocate(descriptor, sizeBytes)) === undefined) return;
  // What an attempt has taken before it failed is given back.
  await truncateFile(descriptor, CLAIM_FILE_HEADER_BYTES);
  await truncateFile(descriptor, sizeBytes);
}

async function writeWhole(descriptor: number, block: Uint8Array): Promise<void> {
  let done = 0;
  while (done < block.length) done += await writeAllAt(descriptor, [block.subarray(done)], done);
}

/**
 * A volume whose group may write in it (`fsGroup` of Kubernetes) is used by changing users of that
 * group; all of them must be able to claim it.
 */
async function shareWithGroup(path: string, directory: string): Promise<void> {
  const { mode } = await stat(directory);
  if ((mode & 0o020) !== 0) await chmod(path, 0o660);
}

async function linkUnlessThere(
  linkFile: (from: string, to: string) => Promise<void>,
  from: string,
  to: string,
): Promise<void> {
  try {
    await linkFile(from, to);
  } catch (error) {
    // Another was faster; or, on NFS, the answer to our own link was lost and it was asked again.
    if (kernelErrorName(error) !== 'EEXIST') throw error;
  }
}

async function createFailed(
  path: string,
  directory: string,
  header: ClaimFileHeader,
  error: unknown,
): Promise<PlatformError> {
  const cause = kernelErrorName(error);
  if (cause === 'ENOSPC' || cause === 'EDQUOT') {
    const { bavail, bsize } = await statfs(directory);
    const [sizeBytes, availableBytes] = [claimFileBytes(header), bavail * bsize];
    return new PlatformError(
      `Cannot create the claim file ${path}: the volume has no room (${cause}; ${availableBytes} bytes ` +
        'are free now, and some KiB are needed). Free some space in it, or make it larger.',
      { code: 'NO_SPACE', path, sizeBytes, availableBytes },
      { cause: error },
    );
  }
  const advice =
    cause === 'EPERM' || cause === 'EOPNOTSUPP' || cause === 'ENOSYS'
      ? 'The volume must be of a file system with hard links (FAT and some mounts of object stores ' +
        'have none), and this user must be allowed to write in it.'
      : 'Check that the directory is there, is mounted for writing, and that this user may write in it.';
  return new PlatformError(
    `Cannot create the claim file ${path}: the kernel says ${cause}. ${advice}`,
    { code: 'CREATE_FAILED', path, cause },
    { cause: error },
  );
}

function invalid(path: string, reason: string, cause?: unknown): PlatformError {
  return new PlatformError(
    `${path} is not a claim file: ${reason}. If nothing that is guarded runs on this volume anywhere, ` +
      'move the file away and start again; a new one is made.',
    { code: 'CLAIM_FILE_INVALID', path, reason },
    { cause },
  );
}
