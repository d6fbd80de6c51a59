import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  DEATHS_MAX,
  QUARANTINED_CLAIMS_MAX,
  RESERVATION_SEGMENTS_MAX,
  SLOT_BLOCK_BYTES,
} from './limits.ts';
import { decodeSlot, encodeSlot } from './slot.ts';
import type { Slot } from './slot.ts';

const natural = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const number32 = fc.nat({ max: 0xffff_ffff });
const identity = fc.record({ incarnation: natural, nonce: bytes16 });

const anySlot: fc.Arbitrary<Slot> = fc.record(
  {
    deviceId: bytes16,
    identity,
    writeCounter: natural,
    state: fc.constantFrom('claiming', 'held', 'released', 'stopped'),
    holder: fc.record(
      {
        host: text,
        bootId: text,
        processId: number32,
        machineId: text,
        name: text,
        podName: text,
        podUid: text,
        softwareVersion: text,
      },
      { requiredKeys: ['host', 'bootId', 'processId', 'softwareVersion'] },
    ),
    lockIdentity: fc.record({ kind: fc.constantFrom('block', 'file', 'none'), name: text }),
    beatCounter: natural,
    beatIntervalMs: number32,
    sinceWallMs: natural,
    lastWallMs: natural,
    checkpoint: fc.record({ segment: number32, segmentOrdinal: natural, groupOffset: natural }),
    logEnd: fc.record({ segment: number32, segmentOrdinal: natural, offset: natural }),
    failedFlush: fc.record({ wallMs: natural, cause: text }),
    account: fc.record({
      quarantined: fc.array(identity, { maxLength: QUARANTINED_CLAIMS_MAX }),
      deaths: fc.array(
        fc.record({
          identity,
          proof: fc.constantFrom('released', 'stopped', 'kernel', 'rebooted', 'operator'),
        }),
        { maxLength: DEATHS_MAX },
      ),
    }),
    reservation: fc.array(number32, { maxLength: RESERVATION_SEGMENTS_MAX }),
  },
  {
    requiredKeys: [
      'deviceId',
      'identity',
      'writeCounter',
      'state',
      'holder',
      'lockIdentity',
      'beatCounter',
      'beatIntervalMs',
      'sinceWallMs',
      'lastWallMs',
      'reservation',
    ],
  },
);

test('what is encoded as a slot decodes to the same slot', () => {
  fc.assert(
    fc.property(anySlot, number32, (slot, blockNumber) => {
      const block = encodeSlot(slot, blockNumber);
      expect(block.length).toBe(SLOT_BLOCK_BYTES);
      expect(decodeSlot(block, slot.deviceId, blockNumber)).toEqual({ kind: 'valid', slot });
    }),
  );
});

test('a flipped bit anywhere makes a slot damaged', () => {
  fc.assert(
    fc.property(anySlot, fc.nat({ max: SLOT_BLOCK_BYTES * 8 - 1 }), (slot, bit) => {
      const block = encodeSlot(slot, 3);
      block[bit >> 3] = (block[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decodeSlot(block, slot.deviceId, 3).kind).toBe('damaged');
    }),
  );
});

test('a slot of another device is damaged, a block of zeros is empty', () => {
  const [slot] = fc.sample(anySlot, { numRuns: 1, seed: 7 }) as [Slot];
  const other = slot.deviceId.map((byte) => byte ^ 1);
  expect(decodeSlot(encodeSlot(slot, 3), other, 3)).toMatchObject({ kind: 'damaged' });
  expect(decodeSlot(new Uint8Array(SLOT_BLOCK_BYTES), other, 3)).toEqual({ kind: 'empty' });
});

test('a slot that lies in the place of another block is damaged', () => {
  const [slot] = fc.sample(anySlot, { numRuns: 1, seed: 9 }) as [Slot];
  const block = encodeSlot(slot, 6);
  expect(decodeSlot(block, slot.deviceId, 6).kind).toBe('valid');
  expect(decodeSlot(block, slot.deviceId, 7)).toEqual({
    kind: 'damaged',
    reason: 'it was written for block 6 of the ring',
  });
});

test('texts that are too long are cut at a character', () => {
  const [slot] = fc.sample(anySlot, { numRuns: 1, seed: 8 }) as [Slot];
  const long = { ...slot, holder: { ...slot.holder, host: '蔵'.repeat(500) } };
  const decoded = decodeSlot(encodeSlot(long, 3), slot.deviceId, 3);
  expect(decoded.kind === 'valid' && decoded.slot.holder.host).toBe('蔵'.repeat(42));
});
