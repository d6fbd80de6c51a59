/**
 * Reads what a device or a claim file shows of its holders. Takes no lock, writes nothing, and goes on
 * past what cannot be read.
 *
 * All of it is read past the page cache: others may be writing through another path. The device may be
 * in use; then the manifest can move under our eyes, so the ring is read again until it leads to one
 * that is there. The ring is read a last time a beat or two after the first: whose slot has changed by
 * then is alive.
 */
import { hasCode, sleep } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import { SLOT_BYTES, compareIdentities, isSameClaim, readRing, ringOf } from '@dozo/claim';
import type { ClaimFileHeader, Ring, RingPlace, RingSlot, Slot } from '@dozo/claim';
import { readManifestOf, rescueSuperblock, scanZombie } from '@dozo/engine';
import type { Manifest, Superblock } from '@dozo/engine';

import {
  FORENSIC_BEATS_WATCHED,
  FORENSIC_WATCH_MS_MAX,
  FORENSIC_WATCH_MS_MIN,
  MANIFEST_TRIES_MAX,
} from '../limits.ts';
import type { DeviceEvidence, Evidence, Gap, ScannedClaim } from './evidence.ts';

/** What is read, and what with. */
export interface GatherOptions {
  readonly device: Device;
  readonly clock: Clock;
  /** What people call it. */
  readonly path: string;
  /** Told before segments are read through, which is the long part. */
  readonly onScan?: (bytes: number) => void;
}

/**
 * Gathers from a device. Rejects as opening does with `DEVICE_NOT_DOZO`, `DEVICE_VERSION_UNKNOWN`, and
 * `SUPERBLOCK_DAMAGED` where the copy is damaged too.
 */
export async function gatherFromDevice(options: GatherOptions): Promise<Evidence> {
  const { device, clock, path } = options;
  const gaps: Gap[] = [];
  const { superblock, reason } = await rescueSuperblock(device);
  if (reason !== undefined) gaps.push({ what: 'the superblock as it should be', reason });
  const { geometry, deviceId, beatIntervalMs, leaseMs, isLocal, createdWallMs } = superblock;
  const place = { offset: geometry.ringOffset, slotCount: geometry.ringSlotCount, deviceId };
  const startMs = clock.monotonicMs();
  const { ring, manifest } = await readRingAndManifest(device, superblock, place, gaps);
  const scanned = await scanFenced(options, superblock, manifest, gaps);
  const deviceEvidence: DeviceEvidence = {
    segmentCount: geometry.segmentCount,
    segmentBytes: geometry.segmentStrideBytes,
    ...(manifest === undefined ? {} : { history: manifest.history }),
    parts: manifest?.parts ?? [],
    scanned,
  };
  return {
    path,
    id: deviceId,
    sizeBytes: device.sizeBytes,
    createdWallMs,
    settings: { beatIntervalMs, leaseMs, isLocal },
    readWallMs: clock.wallMs(),
    slotCount: place.slotCount,
    ring,
    moving: await watchSlots({ device, clock, place, ring, beatIntervalMs, startMs }),
    device: deviceEvidence,
    gaps,
  };
}

/** Gathers from a claim file whose header was read. */
export async function gatherFromClaimFile(
  options: GatherOptions,
  { place, settings, createdWallMs }: ClaimFileHeader,
): Promise<Evidence> {
  const { device, clock, path } = options;
  const gaps: Gap[] = [];
  const startMs = clock.monotonicMs();
  const ring = await readRingAsFarAsPossible(device, place, gaps);
  const { beatIntervalMs } = settings;
  return {
    path,
    id: place.deviceId,
    sizeBytes: device.sizeBytes,
    createdWallMs,
    settings,
    readWallMs: clock.wallMs(),
    slotCount: place.slotCount,
    ring,
    moving: await watchSlots({ device, clock, place, ring, beatIntervalMs, startMs }),
    gaps,
  };
}

/** The newest manifest that can be read, and the ring that led to it. */
async function readRingAndManifest(
  device: Device,
  superblock: Superblock,
  place: RingPlace,
  gaps: Gap[],
): Promise<{ readonly ring: Ring; readonly manifest: Manifest | undefined }> {
  for (let tries = 1; ; tries++) {
    const ringGaps: Gap[] = [];
    const ring = await readRingAsFarAsPossible(device, place, ringGaps);
    const slot = ring.newestWithCheckpoint;
    const manifest = slot === undefined ? undefined : await manifestOf(device, superblock, slot);
    const isThere = slot === undefined || manifest !== undefined;
    if (!isThere && tries < MANIFEST_TRIES_MAX && ringGaps.length === 0) continue;
    gaps.push(...ringGaps);
    if (isThere) return { ring, manifest };
    gaps.push({
      what: `the manifest of claim ${slot.identity.incarnation}, with the newest fences and notes`,
      reason: 'it is damaged or cannot be read',
    });
    return { ring, manifest: await olderManifest(device, superblock, ring) };
  }
}

/** Better an old memory than none: the manifests of claims before the newest, while they last. */
async function olderManifest(
  device: Device,
  superblock: Superblock,
  ring: Ring,
): Promise<Manifest | undefined> {
  const older = slotsOf(ring)
    .filter((slot) => slot.checkpoint !== undefined && slot !== ring.newestWithCheckpoint)
    .sort((left, right) => compareIdentities(right.identity, left.identity))
    .slice(0, MANIFEST_TRIES_MAX);
  for (const slot of older) {
    const manifest = await manifestOf(device, superblock, slot);
    if (manifest !== undefined) return manifest;
  }
  return undefined;
}

async function manifestOf(
  device: Device,
  superblock: Superblock,
  slot: Slot,
): Promise<Manifest | undefined> {
  try {
    return await readManifestOf(device, superblock, slot);
  } catch (error) {
    if (hasCode(error, 'DEVICE_READ_FAILED')) return undefined;
    throw error;
  }
}

/** What the claims that have a fence wrote past it. */
async function scanFenced(
  { device, onScan }: GatherOptions,
  superblock: Superblock,
  manifest: Manifest | undefined,
  gaps: Gap[],
): Promise<readonly ScannedClaim[]> {
  const fences = manifest?.history.fences ?? [];
  const scanned: ScannedClaim[] = [];
  const segmentCount = fences.reduce((count, { segments }) => count + segments.length, 0);
  if (segmentCount > 0) onScan?.(segmentCount * superblock.geometry.segmentStrideBytes);
  for (const fence of fences) {
    try {
      const findings = await scanZombie({ device, superblock, fence });
      scanned.push({ identity: fence.identity, findings });
    } catch (error) {
      const what = `what claim ${fence.identity.incarnation} wrote past its fence`;
      gaps.push({ what, reason: inWords(error) });
    }
  }
  return scanned;
}

/** The ring; where the device refuses a part of it, slot by slot. */
async function readRingAsFarAsPossible(
  device: Device,
  place: RingPlace,
  gaps: Gap[],
): Promise<Ring> {
  let ring: Ring;
  try {
    ring = await readRing(device, place);
  } catch (error) {
    if (!hasCode(error, 'DEVICE_READ_FAILED')) throw error;
    ring = await readSlotBySlot(device, place, gaps);
  }
  for (const index of ring.lostSlots) {
    const reason = 'both of its blocks are damaged';
    gaps.push({ what: `slot ${index} of the claim ring`, reason });
  }
  return ring;
}

async function readSlotBySlot(device: Device, place: RingPlace, gaps: Gap[]): Promise<Ring> {
  const slots: RingSlot[] = [];
  const unreadable: number[] = [];
  const { deviceId } = place;
  for (let index = 0; index < place.slotCount; index++) {
    const offset = place.offset + index * SLOT_BYTES;
    try {
      const one = await readRing(device, { offset, slotCount: 1, deviceId, firstSlot: index });
      slots.push(...one.slots.map((slot) => ({ ...slot, index })));
    } catch (error) {
      if (!hasCode(error, 'DEVICE_READ_FAILED')) throw error;
      unreadable.push(index);
    }
  }
  const many = unreadable.length === 1 ? 'slot' : 'slots';
  gaps.push({
    what: `${many} ${unreadable.join(', ')} of the claim ring`,
    reason: 'the device cannot be read there',
  });
  return ringOf(slots);
}

/** Whose slot is written again a beat after the first look. */
async function watchSlots(of: {
  readonly device: Device;
  readonly clock: Clock;
  readonly place: RingPlace;
  readonly ring: Ring;
  readonly beatIntervalMs: number;
  readonly startMs: number;
}): Promise<readonly Slot[]> {
  const { device, clock, place, ring, beatIntervalMs, startMs } = of;
  const mayLive = slotsOf(ring).filter(({ state }) => state === 'held' || state === 'claiming');
  if (mayLive.length === 0) return [];
  const wantedMs = Math.max(FORENSIC_BEATS_WATCHED * beatIntervalMs, FORENSIC_WATCH_MS_MIN);
  const watchMs = Math.min(wantedMs, FORENSIC_WATCH_MS_MAX);
  const leftMs = startMs + watchMs - clock.monotonicMs();
  if (leftMs > 0) await sleep(clock, leftMs);
  const after = slotsOf(await readRingAsFarAsPossible(device, place, []));
  return mayLive.filter((slot) =>
    after.some(
      ({ identity, writeCounter }) =>
        isSameClaim(identity, slot.identity) && writeCounter !== slot.writeCounter,
    ),
  );
}

function slotsOf(ring: Ring): readonly Slot[] {
  return ring.slots.flatMap(({ slot }) => (slot === undefined ? [] : [slot]));
}

function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
