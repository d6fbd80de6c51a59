/** Flips bits of an aged disk, before it is opened or after, and reads everything. */
import { expect } from 'vitest';
import { SimulatedClock, SimulatedDevice } from '@dozo/simulator';
import type { SimulatedMedium } from '@dozo/simulator';
import { inspectDevice, readManifestOf } from '../src/index.ts';
import { GROUP_HEADER_BYTES } from '../src/group.ts';
import type { TestSwitches } from '../src/test-switches.ts';
import { FaultLife } from './fault-life.ts';

export const BLOCK_BYTES = 4096;

/** Where what lies on a disk. */
export interface Area {
  readonly ringOffset: number;
  readonly areaOffset: number;
  readonly strideBytes: number;
}

/** Disks that are drawn at most until one of them has what is wanted; about three of four do. */
const DISKS_MAX = 20;

/**
 * The first disk that has a group of pages which the next opening needs, of those that are made with this seed
 * and others that follow from it. Where the pages of the newest checkpoint share a group with a batch, damage
 * of them is nobody's that looks for blocks of pages.
 */
export async function drawDisk<Disk extends { readonly medium: SimulatedMedium }>(
  seed: string,
  make: (seed: string) => Promise<Disk>,
): Promise<Disk> {
  for (let draw = 0; draw < DISKS_MAX; draw++) {
    const disk = await make(draw === 0 ? seed : `${seed}/draw ${draw}`);
    if ((await livePageGroups(disk.medium)).length > 0) return disk;
  }
  throw new Error(`of ${DISKS_MAX} disks, none has a group of pages that is needed`);
}

/** Offsets of the groups that begin with a page of the newest checkpoint. */
export async function livePageGroups(medium: SimulatedMedium): Promise<number[]> {
  const clock = new SimulatedClock({ seed: 'pages' });
  const device = new SimulatedDevice(medium, { clock, seed: 'pages', access: 'read-only' });
  const { superblock, ring } = await inspectDevice(device);
  const from = ring.newestWithCheckpoint;
  const manifest = from === undefined ? undefined : await readManifestOf(device, superblock, from);
  const { segmentAreaOffset, segmentStrideBytes } = superblock.geometry;
  return (manifest?.pages ?? [])
    .map(({ segment, offset }) => segmentAreaOffset + segment * segmentStrideBytes + offset)
    .filter((offset) => offset % BLOCK_BYTES === GROUP_HEADER_BYTES)
    .map((offset) => offset - GROUP_HEADER_BYTES);
}

interface AgedLife {
  readonly life: FaultLife;
  readonly medium: SimulatedMedium;
  readonly area: Area;
}

/** A disk on which all kinds of structures are, with much that lives: see {@link drawDisk}. */
export function agedLife(seed: string, switches: TestSwitches = {}): Promise<AgedLife> {
  return drawDisk(seed, (drawn) => age(drawn, switches));
}

async function age(seed: string, switches: TestSwitches): Promise<AgedLife> {
  const life = new FaultLife({ seed, switches, keyCount: 220, segmentCount: 20, putShare: 0.9 });
  const medium = await life.format();
  const { engine, device } = await life.open(medium);
  await life.write(engine, 700);
  await engine.close();
  await device.close();
  const clock = new SimulatedClock({ seed });
  const reader = new SimulatedDevice(medium, { clock, seed, access: 'read-only' });
  const { geometry } = (await inspectDevice(reader)).superblock;
  const { ringOffset, segmentAreaOffset: areaOffset, segmentStrideBytes: strideBytes } = geometry;
  return { life, medium, area: { ringOffset, areaOffset, strideBytes } };
}

/** Offsets of the blocks in which something was written. */
export function writtenBlocks(medium: SimulatedMedium): number[] {
  const offsets: number[] = [];
  for (let offset = 0; offset + BLOCK_BYTES <= medium.sizeBytes; offset += BLOCK_BYTES) {
    if (medium.peek(offset, BLOCK_BYTES).some((byte) => byte !== 0)) offsets.push(offset);
  }
  return offsets;
}

/**
 * Flips one bit and reads everything: it was refused to open, a read told of it, only verify did, or
 * nothing that is needed was hit. Throws when something false is read.
 */
export async function flipAndRead(
  life: FaultLife,
  medium: SimulatedMedium,
  flip: { readonly offset: number; readonly mask: number; readonly isOpen: boolean },
): Promise<'refused' | 'found' | 'listed' | 'intact'> {
  const fork = medium.fork();
  if (!flip.isOpen) fork.corrupt(flip.offset, flip.mask);
  const opened = await life.openDamaged(fork);
  if (opened === undefined) return 'refused';
  const { engine, device } = opened;
  if (flip.isOpen) fork.corrupt(flip.offset, flip.mask);
  const { refusedCount } = await life.readAll(engine);
  const { damages } = await engine.verify();
  if (refusedCount > 0) expect(damages).not.toEqual([]);
  device.halt();
  if (refusedCount > 0) return 'found';
  return damages.length > 0 ? 'listed' : 'intact';
}
