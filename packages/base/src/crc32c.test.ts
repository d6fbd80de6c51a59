import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { crc32c, portableCrc32c } from './crc32c.ts';

const ascending = Uint8Array.from({ length: 32 }, (_, index) => index);

/** The definition, bit by bit. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  return ~crc >>> 0;
}

function pattern(sizeBytes: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, index) => ((index + seed) * 2654435761) >>> 11);
}

describe('crc32c', () => {
  it('gives the values of RFC 3720, appendix B.4', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa);
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8_ab43);
    expect(crc32c(ascending)).toBe(0x46dd_794e);
    expect(crc32c(ascending.toReversed())).toBe(0x113f_db5c);
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe306_9283);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });

  it('is the definition at every length around the places where the way changes', () => {
    const bytes = pattern(70_000);
    const lengths = [0, 1, 7, 8, 9, 15, 16, 17, 2040, 2047, 2048, 2049, 4095, 4096, 4097];
    for (const length of [...lengths, 16_383, 16_384, 16_385, 18_432, 65_536, 69_999]) {
      const part = bytes.subarray(1, 1 + length);
      expect([length, crc32c(part)]).toEqual([length, slowCrc32c(part)]);
      expect([length, portableCrc32c(part)]).toEqual([length, slowCrc32c(part)]);
    }
  });

  it('composes: the seed is the CRC of what comes before', () => {
    fc.assert(
      fc.property(fc.nat({ max: 20_000 }), fc.nat({ max: 20_000 }), fc.nat(), (cut, end, seed) => {
        const bytes = pattern(Math.max(cut, end), seed);
        const first = bytes.subarray(0, Math.min(cut, end));
        const second = bytes.subarray(first.length);
        expect(crc32c(second, crc32c(first))).toBe(crc32c(bytes));
        expect(portableCrc32c(second, portableCrc32c(first))).toBe(crc32c(bytes));
      }),
      { numRuns: 50 },
    );
  });

  it('notices any single flipped bit', () => {
    const bytes = pattern(5000);
    const right = crc32c(bytes);
    for (let bit = 0; bit < bytes.length * 8; bit += 37) {
      const byte = bit >>> 3;
      const before = bytes[byte] ?? 0;
      bytes[byte] = before ^ (1 << (bit & 7));
      expect(crc32c(bytes)).not.toBe(right);
      bytes[byte] = before;
    }
  });
});
