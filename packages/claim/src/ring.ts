/**
 * The ring: a fixed run of slots that is the history of who held the device.
 *
 * A claim lies in a slot that nobody needed any more when it was taken. Reading takes the valid block with
 * the higher write counter of each slot. One damaged block beside a valid one is what a torn write leaves, and
 * harmless: every fact that recovery needs stands in both blocks of a slot before the claim serves.
 * Two damaged blocks cannot come from a torn write and are reported.
 */
import { alignedBytes, assert, crc32c } from '@dozo/base';
import type { Device } from '@dozo/base';
import { compareIdentities } from './identity.ts';
import { SLOT_BLOCK_BYTES, SLOT_BYTES } from './limits.ts';
import { decodeSlot } from './slot.ts';
import type { Slot, SlotBlock } from './slot.ts';

/** Where a ring lies. */
export interface RingPlace {
  /** Byte offset on the device, a multiple of 4,096. */
  readonly offset: number;
  readonly slotCount: number;
  readonly deviceId: Uint8Array;
  /** Number of the slot that lies at `offset`, where only a part of a ring is read. Default 0. */
  readonly firstSlot?: number;
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
  /** The highest claim. */
  readonly newest?: Slot;
  /** The highest claim that has written a checkpoint: where recovery starts. */
  readonly newestWithCheckpoint?: Slot;
  /** Slots of which neither block is readable although they were written. */
  readonly lostSlots: readonly number[];
}

/**
 * Reads a ring again and again, past every cache. A holder does so once a second for as long as it
 * lives, so what has not changed is not decoded again: a block whose magic and checksum field are as
 * they were is what it was. (What rots in memory that long is not what this ring is for; a reader that
 * begins anew decodes everything.)
 */
export class RingReader {
  readonly #device: Device;
  readonly #place: RingPlace;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  /** Magic and checksum of each block as it was decoded. */
  readonly #known: Uint32Array;
  readonly #blocks: (SlotBlock | undefined)[];
  /** What the slots with a damaged block held, as the read before showed them: a checksum of each. */
  #tears: ReadonlyMap<number, number> = new Map();
  #ring: Ring | undefined;
  #isReading = false;

  constructor(device: Device, place: RingPlace) {
    this.#device = device;
    this.#place = place;
    this.#bytes = alignedBytes(place.slotCount * SLOT_BYTES);
    const { buffer, byteOffset, length } = this.#bytes;
    this.#words = new Uint32Array(buffer, byteOffset, length / 4);
    this.#known = new Uint32Array(4 * place.slotCount);
    this.#blocks = new Array<SlotBlock | undefined>(2 * place.slotCount).fill(EMPTY);
  }

  /**
   * Reads the ring as it is on the disk. One call at a time. Rejects with `DEVICE_READ_FAILED`.
   *
   * A slot that has to be looked at twice ({@link isDoubtful}) is, unless its damage was there already
   * when the read before this one ended.
   */
  async read(): Promise<Ring> {
    const before = this.#tears;
    const ring = await this.#readOnce();
    const isSettled = ring.slots.every(
      (slot) => !isDoubtful(slot) || before.get(slot.index) === this.#tears.get(slot.index),
    );
    return isSettled ? ring : this.#readOnce();
  }

  async #readOnce(): Promise<Ring> {
    assert(!this.#isReading, 'two reads of a ring overlap');
    this.#isReading = true;
    try {
      await this.#device.readUncached(this.#place.offset, this.#bytes);
    } finally {
      this.#isReading = false;
    }
    const hasChanged = this.#decode();
    if (this.#ring === undefined || hasChanged) this.#ring = this.#assemble();
    this.#tears = new Map(
      this.#ring.slots
        .filter(isDoubtful)
        .map(({ index }) => [index, crc32c(this.#slotBytes(index))]),
    );
    return this.#ring;
  }

  #decode(): boolean {
    let hasChanged = false;
    const [words, known] = [this.#words, this.#known];
    for (let block = 0; block < this.#blocks.length; block++) {
      const at = block * BLOCK_WORDS;
      const magic = words[at] as number;
      const checksum = words[at + CHECKSUM_WORD] as number;
      if (magic === known[2 * block] && checksum === known[2 * block + 1]) continue;
      hasChanged = true;
      known[2 * block] = magic;
      known[2 * block + 1] = checksum;
      const { deviceId, firstSlot = 0 } = this.#place;
      const decoded = decodeSlot(this.#blockBytes(block), deviceId, 2 * firstSlot + block);
      this.#blocks[block] = decoded;
      // Torn in the middle of being written: its end may come without a change of these words.
      if (decoded.kind === 'damaged') known[2 * block] = ~magic;
    }
    return hasChanged;
  }

  #blockBytes(block: number): Uint8Array {
    const start = block * SLOT_BLOCK_BYTES;
    return this.#bytes.subarray(start, start + SLOT_BLOCK_BYTES);
  }

  #slotBytes(index: number): Uint8Array {
    return this.#bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES);
  }

  #assemble(): Ring {
    const slots: RingSlot[] = [];
    for (let index = 0; index < this.#place.slotCount; index++) {
      const first = this.#blocks[2 * index] ?? EMPTY;
      const second = this.#blocks[2 * index + 1] ?? EMPTY;
      const ringSlot = ringSlotOf(index, first, second);
      if (ringSlot !== undefined) slots.push(ringSlot);
    }
    return ringOf(slots);
  }
}

/** Reads a ring once. Takes no lock and writes nothing. Rejects with `DEVICE_READ_FAILED`. */
export function readRing(device: Device, place: RingPlace): Promise<Ring> {
  return new RingReader(device, place).read();
}

/** A ring of these slots, in order of index. */
export function ringOf(slots: readonly RingSlot[]): Ring {
  const newestFirst = slots
    .flatMap((ringSlot) => (ringSlot.slot === undefined ? [] : [ringSlot.slot]))
    .sort((left, right) => compareIdentities(right.identity, left.identity));
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

/**
 * Whether a slot has to be looked at once more: one of its blocks is damaged. The other one may then be
 * older than what was durable when the read began: read before it was written again, while the damaged
 * one was on its way a moment later. A read that begins now shows at least what was durable then.
 */
export function isDoubtful({ blocks }: RingSlot): boolean {
  return blocks.includes('damaged');
}

/** What the two blocks of a slot come to; `undefined` when it was never written. */
export function ringSlotOf(
  index: number,
  first: SlotBlock,
  second: SlotBlock,
): RingSlot | undefined {
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

const EMPTY: SlotBlock = { kind: 'empty' };
const BLOCK_WORDS = SLOT_BLOCK_BYTES / 4;
/** The checksum lies at byte 12 of a block. */
const CHECKSUM_WORD = 3;
