/** What a device says of itself: superblock and ring, read without a lock and without a claim. */
import type { Device } from '@dozo/base';
import type { Ring, Slot } from '@dozo/claim';
import { limitsOf } from './geometry.ts';
import type { EngineLimits } from './geometry.ts';
import { openRing } from './open-engine.ts';
import { readSuperblock } from './read-superblock.ts';
import { usableBytesOf } from './space.ts';
import type { Superblock } from './superblock.ts';

/** A device, seen from outside. */
export interface DeviceInspection {
  readonly superblock: Superblock;
  readonly limits: EngineLimits;
  readonly usableBytes: number;
  readonly ring: Ring;
  /** The claim with the highest incarnation: who holds the device, or held it last. */
  readonly newestClaim: Slot | undefined;
  /** All claims that the ring remembers, newest first. */
  readonly claims: readonly Slot[];
  /** Slots that cannot be read although they were written. */
  readonly lostSlots: readonly number[];
}

/**
 * Reads superblock and ring. Also for a device that somebody else holds: this is how a refused opener
 * learns who. Rejects as reading the superblock does.
 */
export async function inspectDevice(device: Device): Promise<DeviceInspection> {
  const superblock = await readSuperblock(device);
  const { ring } = await openRing(device, superblock);
  const claims = ring.slots.flatMap(({ slot }) => (slot === undefined ? [] : [slot]));
  claims.sort((left, right) => right.identity.incarnation - left.identity.incarnation);
  return {
    superblock,
    limits: limitsOf(superblock.geometry),
    usableBytes: usableBytesOf(superblock.geometry),
    ring,
    newestClaim: ring.newest,
    claims,
    lostSlots: ring.lostSlots,
  };
}
