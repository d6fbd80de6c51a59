/**
 * Taking a claim, and keeping its slot up to date.
 *
 * The kernel's lock (layer L1) was taken when the device was opened; here the claim gets its place in
 * the ring: an incarnation above all others, a random nonce, a slot of its own. The lease on the disk
 * (layer L2) is not part of this version: the slot has the fields for it, and nothing beats.
 *
 * The incarnation is the next one whose slot is not that of the claim that recovery starts from:
 * otherwise a row of claimants that all die during recovery would, after one turn of the ring,
 * overwrite the only pointer to the data.
 */
import type { Clock, Device, LockIdentity, Random } from '@dozo/base';
import { assert } from '@dozo/base';
import { ClaimError } from './errors.ts';
import { RESERVATION_SEGMENTS_MAX, SLOT_BLOCK_BYTES, SLOT_BYTES } from './limits.ts';
import type { Ring, RingPlace } from './ring.ts';
import { encodeSlot } from './slot.ts';
import type {
  CheckpointPointer,
  ClaimIdentity,
  ClaimState,
  FailedFlush,
  Holder,
  LogEnd,
  Slot,
} from './slot.ts';

/** What a claimant brings along. */
export interface ClaimOptions {
  readonly device: Device;
  readonly place: RingPlace;
  /** The ring as read after the device was locked. */
  readonly ring: Ring;
  readonly clock: Clock;
  readonly random: Random;
  readonly holder: Holder;
  readonly beatIntervalMs: number;
}

/** What a holder may change in its slot; what is left out stays as it was. */
export interface ClaimChange {
  readonly state?: ClaimState;
  readonly checkpoint?: CheckpointPointer;
  readonly logEnd?: LogEnd;
  readonly failedFlush?: FailedFlush;
  readonly reservation?: readonly number[];
}

/** A claim that was taken. Its updates must not overlap: one caller, one at a time. */
export class Claim {
  readonly identity: ClaimIdentity;
  readonly #device: Device;
  readonly #clock: Clock;
  readonly #slotOffset: number;
  #nextBlock: 0 | 1;
  #slot: Slot;
  #updating = false;

  /** For {@link takeClaim}. */
  constructor(options: ClaimOptions, slot: Slot, nextBlock: 0 | 1) {
    this.identity = slot.identity;
    this.#device = options.device;
    this.#clock = options.clock;
    const index = slot.identity.incarnation % options.place.slotCount;
    this.#slotOffset = options.place.offset + index * SLOT_BYTES;
    this.#nextBlock = nextBlock;
    this.#slot = slot;
  }

  /** The slot as it was last written. */
  get slot(): Slot {
    return this.#slot;
  }

  /** Which lock the device was opened under. */
  get lockIdentity(): LockIdentity {
    return this.#slot.lockIdentity;
  }

  /** Writes the slot with a change and flushes. After a failure the slot on the device is unknown. */
  async update(change: ClaimChange): Promise<void> {
    assert(!this.#updating, 'two updates of one claim overlap');
    assert(
      (change.reservation?.length ?? 0) <= RESERVATION_SEGMENTS_MAX,
      'the reservation is too long',
    );
    this.#updating = true;
    try {
      this.#slot = {
        ...this.#slot,
        ...change,
        lastWallMs: this.#clock.wallMs(),
        writeCounter: this.#slot.writeCounter + 1,
      };
      const offset = this.#slotOffset + this.#nextBlock * SLOT_BLOCK_BYTES;
      await this.#device.writeDurably(offset, [encodeSlot(this.#slot)]);
      // Not before: after a failure the note of it must not go over the block that is still good.
      this.#nextBlock = this.#nextBlock === 0 ? 1 : 0;
    } finally {
      this.#updating = false;
    }
  }
}

/**
 * Writes `claiming` into a slot of its own and flushes it. Rejects with `CLAIM_RING_DAMAGED` when a
 * slot is lost that might be the newest, and with the device's write errors.
 */
export async function takeClaim(options: ClaimOptions): Promise<Claim> {
  refuseLostSlots(options);
  const { ring, place } = options;
  const incarnation = nextIncarnation(ring, place.slotCount);
  const index = incarnation % place.slotCount;
  const before = ring.slots.find((ringSlot) => ringSlot.index === index);
  const wallMs = options.clock.wallMs();
  const slot: Slot = {
    deviceId: place.deviceId,
    identity: { incarnation, nonce: options.random.bytes(16) },
    writeCounter: before?.slot?.writeCounter ?? 0,
    state: 'claiming',
    holder: options.holder,
    lockIdentity: options.device.lockIdentity,
    beatCounter: 0,
    beatIntervalMs: options.beatIntervalMs,
    sinceWallMs: wallMs,
    lastWallMs: wallMs,
    reservation: [],
  };
  const claim = new Claim(options, slot, before?.validBlock === 0 ? 1 : 0);
  await claim.update({});
  return claim;
}

function nextIncarnation(ring: Ring, slotCount: number): number {
  const next = (ring.newest?.identity.incarnation ?? 0) + 1;
  const needed = ring.newestWithCheckpoint?.identity.incarnation;
  return needed !== undefined && next % slotCount === needed % slotCount ? next + 1 : next;
}

function refuseLostSlots({ ring, device }: ClaimOptions): void {
  if (ring.lostSlots.length === 0) return;
  throw new ClaimError(
    `Taking the claim of ${device.path}: both blocks of slot ${ring.lostSlots.join(', ')} of the ` +
      'claim ring are damaged, so that the newest claim is not known and data could be overlooked. ' +
      'Look at it with `dozo device show`, and recover this device from its replicas or a backup.',
    { code: 'CLAIM_RING_DAMAGED', path: device.path, damagedSlots: ring.lostSlots },
  );
}
