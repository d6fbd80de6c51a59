import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crc64Nvme } from './crc64-nvme.ts';

/** Bit by bit, from the definition. */
function slowCrc(bytes: Uint8Array): bigint {
  let crc = 0xffffffffffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc >> 1n) ^ ((crc & 1n) === 1n ? 0x9a6c9329ac4bc9b5n : 0n);
    }
  }
  return crc ^ 0xffffffffffffffffn;
}

function crc(bytes: Uint8Array): bigint {
  const running = new Crc64Nvme();
  running.update(bytes);
  return running.digest().readBigUInt64BE();
}

describe('Crc64Nvme', () => {
  /** Source: NVM Command Set Specification, "64b CRC Test Cases". */
  it.each([
    ['4 KiB of zeros', Buffer.alloc(4096), 0x6482d367eb22b64en],
    ['4 KiB of ones', Buffer.alloc(4096, 0xff), 0xc0ddba7302eca3acn],
    [
      '4 KiB that count up',
      Buffer.from(Array.from({ length: 4096 }, (_, index) => index & 255)),
      0x3e729f5f6750449cn,
    ],
  ])('gives the value of the specification for %s', (_, bytes, expected) => {
    expect(crc(bytes)).toBe(expected);
  });

  it('equals the definition for any bytes at any alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(8), (bytes, skip) => {
        expect(crc(bytes.subarray(skip))).toBe(slowCrc(bytes.subarray(skip)));
      }),
    );
  });
});
