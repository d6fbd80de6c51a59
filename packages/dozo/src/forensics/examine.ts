/** Opens what a path names, a device or a claim file, and gathers what it shows of its holders. */
import { stat } from 'node:fs/promises';

import { CodecError, alignedBytes } from '@dozo/base';
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
 * one. Rejects as opening a device does, and with `CLAIM_FILE_INVALID`.
 */
export async function examine(
  path: string,
  clock: Clock,
  onScan?: GatherOptions['onScan'],
): Promise<Evidence> {
  const opened = (await isDirectory(path)) ? `${path}/${CLAIM_FILE_NAME}` : path;
  const device = await openDeviceToLook(opened);
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
  if (device.sizeBytes < CLAIM_FILE_HEADER_BYTES) return undefined;
  const block = alignedBytes(CLAIM_FILE_HEADER_BYTES);
  await device.readUncached(0, block);
  const begins = new TextDecoder('latin1').decode(block.subarray(0, 8));
  if (begins !== 'DOZOCLM1') return undefined;
  try {
    return decodeClaimFileHeader(block);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new CommandError(
      `cannot read the claim file ${device.path}: ${error.message}. Without its header the ring of holders cannot be found; \`dozo guard\` refuses it too and says what to do`,
      { code: 'CLAIM_FILE_INVALID', path: device.path },
      { cause: error },
    );
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // What is not there is refused where it is opened.
    return false;
  }
}
