/**
 * The ring: a fixed run of slots that is the history of who held the device.
 *
 * Claim n lies in slot n modulo the number of slots. Reading takes the valid block with the higher
 * write counter of each slot. One damaged block beside a valid one is what a torn write leaves, and
 * harmless: every fact that recovery needs stands in both blocks of a slot before the claim serves.
 * Two damaged blocks cannot come from a torn write and are reported.
 */
import type { Device } from '@dozo/base';
import { SLOT_BLOCK_BYTES, SLOT_BYTES } from './limits.ts';
import { decodeSlot } from './slot.ts';
import type { Slot } from './slot.ts';

/** Where a ring lies. */
export interface RingPlace {
  /** Byte offset on the device, a multiple of 4,096. */
  readonly offset: number;
  readonly slotCount: number;
  readonly deviceId: Uint8Array;
}

/** A slot as it was read. */
export interface RingSlot {
  readonly index: number;
  /** Absent when the slot was never written, or neither block is valid. */
  readonly slot?: Slot;
  /** Which of the two blocks holds it. */
  readonly validBlock?: 0 | 1;
  readonly blocks: readonly ['empty' | 'damaged' | 'valid', 'empty' | 'damaged' | 'valid'];
}

/** The whole ring at one moment. */
export interface Ring {
  /** In order of index; those that were never written are left out. */
  readonly slots: readonly RingSlot[];
  /** The claim with the highest incarnation. */
  readonly newest?: Slot;
  /** The newest claim that has written a manifest: where recovery starts. */
  readonly newestWithCheckpoint?: Slot;
  /** Slots of which neither block is readable although they were written. */
  readonly lostSlots: readonly number[];
}

/** Reads the ring. Takes no lock and writes nothing. Rejects with `DEVICE_READ_FAILED`. */
export async function readRing(device: Device, place: RingPlace): Promise<Ring> {
  const bytes = new Uint8Array(place.slotCount * SLOT_BYTES);
  await device.read(place.offset, bytes);
  const slots: RingSlot[] = [];
  for (let index = 0; index < place.slotCount; index++) {
    const ringSlot = readRingSlot(bytes, index, place.deviceId);
    if (ringSlot !== undefined) slots.push(ringSlot);
  }
  const newestFirst = slots
    .flatMap((ringSlot) => (ringSlot.slot === undefined ? [] : [ringSlot.slot]))
    .sort((left, right) => right.identity.incarnation - left.identity.incarnation);
  const newest = newestFirst[0];
  const newestWithCheckpoint = newestFirst.find((slot) => slot.checkpoint !== undefined);
  return {
    slots,
    ...(newest === undefined ? {} : { newest }),
    ...(newestWithCheckpoint === undefined ? {} : { newestWithCheckpoint }),
    lostSlots: slots
      .filter(({ blocks }) => blocks[0] === 'damaged' && blocks[1] === 'damaged')
      .map(({ index }) => index),
  };
}

function readRingSlot(
  bytes: Uint8Array,
  index: number,
  deviceId: Uint8Array,
): RingSlot | undefined {
  const start = index * SLOT_BYTES;
  const first = decodeSlot(bytes.subarray(start, start + SLOT_BLOCK_BYTES), deviceId);
  const second = decodeSlot(bytes.subarray(start + SLOT_BLOCK_BYTES, start + SLOT_BYTES), deviceId);
  if (first.kind === 'empty' && second.kind === 'empty') return undefined;
  const blocks = [first.kind, second.kind] as const;
  const firstCounter = first.kind === 'valid' ? first.slot.writeCounter : -1;
  const secondCounter = second.kind === 'valid' ? second.slot.writeCounter : -1;
  if (first.kind === 'valid' && firstCounter > secondCounter) {
    return { index, slot: first.slot, validBlock: 0, blocks };
  }
  if (second.kind === 'valid') return { index, slot: second.slot, validBlock: 1, blocks };
  return { index, blocks };
}
