import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CLAIM_FILE_HEADER_BYTES,
  CLAIM_FILE_RING_OFFSET,
  claimFileBytes,
  decodeClaimFileHeader,
  encodeClaimFileHeader,
} from './claim-file.ts';
import type { ClaimFileHeader } from './claim-file.ts';

const header: ClaimFileHeader = {
  place: {
    offset: CLAIM_FILE_RING_OFFSET,
    slotCount: 1024,
    deviceId: Uint8Array.from({ length: 16 }, (_, index) => index),
  },
  settings: { beatIntervalMs: 1000, leaseMs: 5000, isLocal: false },
  createdWallMs: 1_795_000_000_000,
};

test('what is encoded as the header of a claim file decodes to the same', () => {
  for (const isLocal of [true, false]) {
    const other = { ...header, settings: { ...header.settings, isLocal } };
    expect(decodeClaimFileHeader(encodeClaimFileHeader(other))).toEqual(other);
  }
  expect(claimFileBytes(header)).toBe(64 * 1024 + 8 * 1024 * 1024);
});

test('a flipped bit anywhere in the header is noticed', () => {
  fc.assert(
    fc.property(fc.nat({ max: CLAIM_FILE_HEADER_BYTES * 8 - 1 }), (bit) => {
      const block = encodeClaimFileHeader(header);
      block[bit >> 3] = (block[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeClaimFileHeader(block)).toThrow('claim file');
    }),
  );
});

test('a header that names impossible places or intervals is refused', () => {
  const refused =
    (change: Partial<ClaimFileHeader>): unknown =>
    () =>
      decodeClaimFileHeader(encodeClaimFileHeader({ ...header, ...change }));
  expect(refused({ place: { ...header.place, offset: 100 } })).toThrow('impossible place');
  expect(refused({ place: { ...header.place, slotCount: 1 } })).toThrow('1 slots');
  const settings = { ...header.settings, leaseMs: 1500 };
  expect(refused({ settings })).toThrow('from 3000 to 600000 ms');
});
