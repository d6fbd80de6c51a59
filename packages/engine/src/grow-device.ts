/**
 * Growing: a file or block device that was made larger is used whole.
 *
 * Nothing moves. More segments follow those that there are, so only the count of segments and the size
 * in the superblock change, first in its copy, then in the one that counts. A crash between the two leaves
 * either of them valid and right: what the new one names besides is free.
 *
 * Superblocks lie in no reservation, so the claim alone keeps two from writing them, and that ends with a
 * lease. One who was growing the device when it was stopped could wake up later and put an older count
 * back, below segments that are in use by then. Such a claim has reserved nothing, which no holder that
 * has served can say; while there is one that is not proved dead, growing is refused. A holder that serves
 * on the older count beside a late writer is not harmed: what is written only ever names more.
 */
import { hasCode } from '@dozo/base';
import type { Clock, Device, Random } from '@dozo/base';
import { acquireClaim, describeClaim } from '@dozo/claim';
import type { AcquireOptions, Claim, Holder } from '@dozo/claim';
import { EngineError } from './errors.ts';
import { giveBack } from './farewell.ts';
import { grownGeometry } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import { ringPlaceOf } from './open-engine.ts';
import { isSameSuperblock, readBothSuperblocks, readSuperblock } from './read-superblock.ts';
import { usableBytesOf } from './space.ts';
import { encodeSuperblock } from './superblock.ts';
import type { Superblock } from './superblock.ts';

export interface GrowOptions extends Pick<AcquireOptions, 'onProgress' | 'signal'> {
  /** Opened alone, with its new size. Stays the caller's. */
  readonly device: Device;
  readonly clock: Clock;
  readonly random: Random;
  readonly holder: Holder;
}

/** What growing has done. Sizes in bytes. */
export interface Growth {
  /** False: there was nothing to do, and nothing but a claim was written. */
  readonly isChanged: boolean;
  readonly before: Geometry;
  readonly after: Geometry;
  /** How much more data the device takes than before. */
  readonly wonBytes: number;
}

/**
 * Makes a device use all of its size. The next start does; nobody may hold it now.
 *
 * Durable when it resolves. May be repeated at any time, and finishes one that was cut off. Rejects as
 * `readSuperblock` and `acquireClaim` do, with `HOLDERS_IN_DOUBT` (nothing but a claim was written),
 * `CLAIM_FENCED`, `CLAIM_LOST` and the device's errors.
 */
export async function growDevice(options: GrowOptions): Promise<Growth> {
  const { device, clock, random, holder, onProgress, signal } = options;
  const seen = await readSuperblock(device);
  const { beatIntervalMs, leaseMs, isLocal } = seen;
  const claim = await acquireClaim({
    device,
    place: ringPlaceOf(seen),
    settings: { beatIntervalMs, leaseMs, isLocal },
    clock,
    random,
    holder,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    refuseDoubt(device, claim);
    const growth = await growClaimed(device, claim);
    await claim.release();
    return growth;
  } catch (error) {
    // After a write that failed nobody knows what is still on its way: then the slot says nothing.
    if (!hasCode(error, 'DEVICE_WRITE_FAILED', 'DEVICE_FLUSH_FAILED')) await giveBack(claim, false);
    throw error;
  } finally {
    claim.abandon();
  }
}

async function growClaimed(device: Device, claim: Claim): Promise<Growth> {
  // Only now nobody else changes it.
  const superblock = await readSuperblock(device);
  const { geometry: before } = superblock;
  const planned = grownGeometry(before, device.sizeBytes);
  // A rest that is smaller than a segment is not worth a write.
  const after = planned.segmentCount === before.segmentCount ? before : planned;
  const grown: Superblock = { ...superblock, geometry: after };
  const wonBytes = usableBytesOf(after) - usableBytesOf(before);
  const isChanged = !(await standsEverywhere(device, grown));
  if (isChanged) {
    const block = encodeSuperblock(grown);
    for (const offset of [after.superblockCopyOffset, 0]) {
      await claim.checkLease();
      await device.writeUncached(offset, [block]);
    }
    await claim.checkLease();
  }
  return { isChanged, before, after, wonBytes };
}

async function standsEverywhere(device: Device, superblock: Superblock): Promise<boolean> {
  const found = await readBothSuperblocks(device, superblock);
  return found.every(
    ({ reading }) => reading.kind === 'valid' && isSameSuperblock(reading.superblock, superblock),
  );
}

function refuseDoubt(device: Device, claim: Claim): void {
  const doubtful = claim.quarantined.filter(({ reservation }) => reservation.length === 0);
  const [first] = doubtful;
  if (first === undefined) return;
  throw new EngineError(
    `Growing ${device.path}: ${describeClaim(first)} is not proved dead, and may have been growing this ` +
      'device when it was cut off; if it goes on, it undoes what is done now. Nothing was changed. Once it ' +
      `is certain that it is dead: \`dozo device release-quarantine ${device.path}\`, then grow again.`,
    { code: 'HOLDERS_IN_DOUBT', path: device.path, claimCount: doubtful.length },
  );
}
