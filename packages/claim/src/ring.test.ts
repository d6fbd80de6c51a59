import type { Device } from '@dozo/base';
import { describe, expect, test } from 'vitest';
import { SLOT_BLOCK_BYTES, SLOT_BYTES } from './limits.ts';
import { RingReader } from './ring.ts';
import { encodeSlot } from './slot.ts';
import type { Slot } from './slot.ts';

const DEVICE_ID = new Uint8Array(16).fill(9);

/** The first (2) or second (3) block of the second slot. */
function blockOf(writeCounter: number, blockNumber = 2): Uint8Array {
  const slot: Slot = {
    deviceId: DEVICE_ID,
    identity: { incarnation: 1, nonce: new Uint8Array(16) },
    writeCounter,
    state: 'held',
    holder: { host: '', bootId: '', processId: 1, softwareVersion: '' },
    lockIdentity: { kind: 'none', name: '' },
    beatCounter: 1,
    beatIntervalMs: 1000,
    sinceWallMs: 0,
    lastWallMs: 0,
    reservation: [writeCounter],
  };
  return encodeSlot(slot, blockNumber);
}

const TORN = new Uint8Array(SLOT_BLOCK_BYTES).fill(7);

/** A disk whose ring of two slots shows the next of these pairs of blocks at each read. */
function diskShowing(reads: readonly (readonly [Uint8Array, Uint8Array])[]): {
  readonly reader: RingReader;
  readonly readCount: () => number;
} {
  let count = 0;
  const device = {
    readUncached: (_offset: number, into: Uint8Array) => {
      const [first, second] = reads[Math.min(count++, reads.length - 1)] ?? [TORN, TORN];
      into.fill(0);
      into.set(first, SLOT_BYTES);
      into.set(second, SLOT_BYTES + SLOT_BLOCK_BYTES);
      return Promise.resolve();
    },
  } as unknown as Device;
  const place = { offset: 0, slotCount: 2, deviceId: DEVICE_ID };
  return { reader: new RingReader(device, place), readCount: () => count };
}

describe('reading a ring that is being written', () => {
  test('a block that is damaged is looked at again, for the other one may be older than it seems', async () => {
    // Write 4 was durable before; write 5 landed after the first block was read, and write 6 is on its way.
    const { reader } = diskShowing([
      [blockOf(3), TORN],
      [blockOf(5), TORN],
    ]);
    const ring = await reader.read();
    expect(ring.newest?.writeCounter).toBe(5);
  });

  test('a tear that was there before the read began is not looked at again', async () => {
    const { reader, readCount } = diskShowing([[blockOf(3), TORN]]);
    await reader.read();
    expect(readCount()).toBe(2);
    await reader.read();
    expect(readCount()).toBe(3);
  });

  test('a new tear in the same slot is looked at again', async () => {
    const other = new Uint8Array(SLOT_BLOCK_BYTES).fill(8);
    const { reader, readCount } = diskShowing([
      [blockOf(3), TORN],
      [blockOf(3), TORN],
      [blockOf(5), other],
      [blockOf(7), blockOf(6, 3)],
    ]);
    await reader.read();
    const ring = await reader.read();
    expect(readCount()).toBe(4);
    expect(ring.newest?.writeCounter).toBe(7);
  });

  test('a block that was written for another place does not count, however new it is', async () => {
    const { reader } = diskShowing([[blockOf(3), blockOf(5, 2)]]);
    const ring = await reader.read();
    expect(ring.newest?.writeCounter).toBe(3);
    expect(ring.slots).toMatchObject([{ index: 1, blocks: ['valid', 'damaged'] }]);
  });

  test('a slot of which neither block can be read is lost', async () => {
    const { reader, readCount } = diskShowing([[TORN, TORN]]);
    expect((await reader.read()).lostSlots).toEqual([1]);
    expect(readCount()).toBe(2);
  });
});
