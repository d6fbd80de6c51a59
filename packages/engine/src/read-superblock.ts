/**
 * Reads the superblock of a device, and says plainly why a device cannot be used.
 *
 * Read past the page cache: another machine may have grown the device since this one looked.
 */
import { assert, equalBytes, hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import { EngineError } from './errors.ts';
import { RECOGNISED_BYTES, recogniseContent } from './foreign-content.ts';
import { RING_OFFSET, neededBytes } from './geometry.ts';
import { BLOCK_BYTES } from './limits.ts';
import { FORMAT_VERSION, decodeSuperblock, encodeSuperblock } from './superblock.ts';
import type { Superblock, SuperblockReading } from './superblock.ts';
import { RING_SLOTS_MAX, RING_SLOTS_MIN, SLOT_BYTES } from '@dozo/claim';

/**
 * The superblock at block 0.
 *
 * Rejects with `DEVICE_NOT_DOZO`, `DEVICE_VERSION_UNKNOWN`, `SUPERBLOCK_DAMAGED`, `DEVICE_CUT_SHORT`
 * and the device's read errors.
 */
export async function readSuperblock(device: Device): Promise<Superblock> {
  const reading = decodeSuperblock(await readUpTo(device, 0, BLOCK_BYTES));
  switch (reading.kind) {
    case 'valid':
      return checkSize(device, reading.superblock);
    case 'version':
      throw new EngineError(
        `Opening ${device.path}: it has device format ${reading.version}; this version of Dozo ` +
          `reads format ${FORMAT_VERSION}. Use the version of Dozo that formatted it.`,
        { code: 'DEVICE_VERSION_UNKNOWN', path: device.path, version: reading.version },
      );
    case 'damaged':
      throw await damaged(device, reading.reason);
    case 'foreign':
      return refuseForeign(device);
  }
}

/**
 * A superblock to look at a damaged device with: the first one, else its copy; also of a device that is
 * smaller than it says. `reason` tells why the device cannot be opened. Rejects as
 * {@link readSuperblock} does where neither is intact, and for what is no device of ours.
 */
export async function rescueSuperblock(
  device: Device,
): Promise<{ readonly superblock: Superblock; readonly reason?: string }> {
  try {
    return { superblock: await readSuperblock(device) };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const first = decodeSuperblock(await readUpTo(device, 0, BLOCK_BYTES));
    const isUsable = first.kind === 'valid';
    const superblock = isUsable ? first.superblock : await findSuperblockCopy(device);
    if (superblock === undefined || first.kind === 'version') throw error;
    return { superblock, reason: error.message };
  }
}

/** What is on a device that is about to be formatted; `undefined` when it is empty. */
export async function describeContent(device: Device): Promise<string | undefined> {
  const bytes = await readUpTo(device, 0, RECOGNISED_BYTES);
  if (decodeSuperblock(bytes.subarray(0, BLOCK_BYTES)).kind !== 'foreign') return 'a Dozo device';
  return recogniseContent(bytes);
}

/** The superblock's copy, wherever a ring of a usual length lets it lie. */
async function findSuperblockCopy(device: Device): Promise<Superblock | undefined> {
  for (let slots = RING_SLOTS_MIN; slots <= RING_SLOTS_MAX; slots *= 2) {
    const offset = RING_OFFSET + slots * SLOT_BYTES;
    if (offset + BLOCK_BYTES > device.sizeBytes) break;
    const reading = decodeSuperblock(await readUpTo(device, offset, BLOCK_BYTES));
    if (reading.kind === 'valid' && reading.superblock.geometry.superblockCopyOffset === offset) {
      return reading.superblock;
    }
  }
  return undefined;
}

/**
 * Whether two valid superblocks differ in what growing changes, and in nothing else: then a grow was cut
 * off between the two, and either of them is right.
 */
export function isGrowUnfinished(first: Superblock, copy: Superblock): boolean {
  const { deviceBytes, segmentCount } = first.geometry;
  const asFirst = { ...copy, geometry: { ...copy.geometry, deviceBytes, segmentCount } };
  return !isSameSuperblock(first, copy) && isSameSuperblock(first, asFirst);
}

/** Whether two superblocks say the same. */
export function isSameSuperblock(left: Superblock, right: Superblock): boolean {
  return equalBytes(encodeSuperblock(left), encodeSuperblock(right));
}

/** What stands at the two places of a superblock that is known. */
export async function readBothSuperblocks(
  device: Device,
  superblock: Superblock,
): Promise<readonly { readonly offset: number; readonly reading: SuperblockReading }[]> {
  const offsets = [0, superblock.geometry.superblockCopyOffset];
  return Promise.all(
    offsets.map(async (offset) => ({
      offset,
      reading: decodeSuperblock(await readUpTo(device, offset, BLOCK_BYTES)),
    })),
  );
}

/**
 * Writes the intact copy over a damaged first superblock and flushes.
 *
 * Rejects with `SUPERBLOCK_DAMAGED` when there is no intact copy, and does nothing when the first
 * one is intact.
 *
 * @returns whether something was written.
 */
export async function restoreSuperblock(device: Device): Promise<boolean> {
  try {
    await readSuperblock(device);
    return false;
  } catch (error) {
    if (!hasCode(error, 'SUPERBLOCK_DAMAGED', 'DEVICE_NOT_DOZO')) throw error;
    const copy = await findSuperblockCopy(device);
    if (copy === undefined) throw error;
    await device.write(0, [encodeSuperblock(copy)]);
    await device.flush();
    return true;
  }
}

function checkSize(device: Device, superblock: Superblock): Superblock {
  const needed = neededBytes(superblock.geometry);
  if (device.sizeBytes >= needed) return superblock;
  throw new EngineError(
    `Opening ${device.path}: it has ${device.sizeBytes} bytes, its superblock says ` +
      `${superblock.geometry.deviceBytes}, and its segments need ${needed}. It was cut short or is ` +
      'an incomplete copy. Give it back its size if what was cut off is still there; otherwise ' +
      'recover from a replica or a backup.',
    {
      code: 'DEVICE_CUT_SHORT',
      path: device.path,
      sizeBytes: device.sizeBytes,
      neededBytes: needed,
    },
  );
}

async function damaged(device: Device, reason: string): Promise<EngineError> {
  const copyIntact = (await findSuperblockCopy(device)) !== undefined;
  return new EngineError(
    `Opening ${device.path}: its superblock is damaged: ${reason}. ` +
      (copyIntact
        ? `The copy is intact: \`dozo device restore-superblock ${device.path}\` puts it back.`
        : 'Its copy is damaged too. Recover this device from its replicas or a backup.'),
    { code: 'SUPERBLOCK_DAMAGED', path: device.path, reason, copyIntact },
  );
}

async function refuseForeign(device: Device): Promise<never> {
  if ((await findSuperblockCopy(device)) !== undefined) {
    const found = recogniseContent(await readUpTo(device, 0, RECOGNISED_BYTES)) ?? 'only zeros';
    throw await damaged(device, `at its start is ${found}`);
  }
  const found = recogniseContent(await readUpTo(device, 0, RECOGNISED_BYTES)) ?? 'only zeros';
  throw new EngineError(
    `Opening ${device.path}: it is not a Dozo device; at its start is ${found}. If what is there ` +
      `may be destroyed, \`dozo device format ${device.path}\` makes it one.`,
    { code: 'DEVICE_NOT_DOZO', path: device.path, found },
  );
}

async function readUpTo(device: Device, offset: number, sizeBytes: number): Promise<Uint8Array> {
  const available = Math.min(sizeBytes, device.sizeBytes - offset);
  assert(available >= 0, 'reading past the end of the device');
  const bytes = new Uint8Array(sizeBytes);
  const isWhole = offset % BLOCK_BYTES === 0 && available % BLOCK_BYTES === 0;
  const into = bytes.subarray(0, available);
  if (available > 0)
    await (isWhole ? device.readUncached(offset, into) : device.read(offset, into));
  return bytes;
}
