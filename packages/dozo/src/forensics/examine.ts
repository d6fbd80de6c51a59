/** Opens what a path names, a device or a claim file, and gathers what it shows of its holders. */
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { CodecError, alignedBytes, hasCode } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import { CLAIM_FILE_HEADER_BYTES, decodeClaimFileHeader } from '@dozo/claim';
import type { ClaimFileHeader } from '@dozo/claim';
import { CLAIM_FILE_NAME } from '@dozo/platform';

import { openDeviceToLook } from '../composition/open-device.ts';
import { CommandError } from '../errors.ts';
import type { Evidence } from './evidence.ts';
import { gatherFromClaimFile, gatherFromDevice } from './gather-evidence.ts';
import type { GatherOptions } from './gather-evidence.ts';

/**
 * Takes no lock and changes nothing. `path` is a device, a claim file, or a directory that is guarded by
 * one. Rejects as opening a device does, and with `CLAIM_FILE_INVALID` and `VOLUME_UNUSABLE`.
 */
export async function examine(
  path: string,
  clock: Clock,
  onScan?: GatherOptions['onScan'],
): Promise<Evidence> {
  const opened = (await isDirectory(path)) ? join(path, CLAIM_FILE_NAME) : path;
  const device = await (opened === path ? openDeviceToLook(path) : openGuarded(path, opened));
  const options = { device, clock, path: opened, ...(onScan === undefined ? {} : { onScan }) };
  try {
    const header = await readClaimFileHeader(device);
    return await (header === undefined
      ? gatherFromDevice(options)
      : gatherFromClaimFile(options, header));
  } finally {
    await device.close();
  }
}

/** Undefined for what does not begin as a claim file does. */
async function readClaimFileHeader(device: Device): Promise<ClaimFileHeader | undefined> {
  // By its name too: one that is damaged at its start is no device that could be formatted.
  const isNamedSo = basename(device.path) === CLAIM_FILE_NAME;
  if (device.sizeBytes < CLAIM_FILE_HEADER_BYTES) {
    if (isNamedSo) throw headerUnreadable(device.path, `it has only ${device.sizeBytes} bytes`);
    return undefined;
  }
  const block = alignedBytes(CLAIM_FILE_HEADER_BYTES);
  await device.readUncached(0, block);
  const begins = new TextDecoder('latin1').decode(block.subarray(0, 8));
  if (begins !== 'DOZOCLM1' && !isNamedSo) return undefined;
  try {
    return decodeClaimFileHeader(block);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw headerUnreadable(device.path, error.message, error);
  }
}

/** The claim file of a directory. Rejects with `VOLUME_UNUSABLE` where there is none. */
async function openGuarded(directory: string, path: string): Promise<Device> {
  try {
    return await openDeviceToLook(path);
  } catch (error) {
    if (!hasCode(error, 'DEVICE_NOT_FOUND')) throw error;
    throw new CommandError(
      `${directory} is a directory that was never guarded: it has no ${CLAIM_FILE_NAME}. Name a device, or the volume that \`dozo guard\` keeps`,
      { code: 'VOLUME_UNUSABLE', path: directory },
      { cause: error },
    );
  }
}

function headerUnreadable(path: string, reason: string, cause?: unknown): CommandError {
  return new CommandError(
    `cannot read the claim file ${path}: ${reason}. Without its header the ring of holders cannot be found; \`dozo guard\` refuses it too and says what to do`,
    { code: 'CLAIM_FILE_INVALID', path },
    { cause },
  );
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // What is not there is refused where it is opened.
    return false;
  }
}
