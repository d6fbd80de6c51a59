import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { binaryStringOf, bytesOfBinaryString, portableBinaryStringOf } from './binary-string.ts';
import { writeBinaryString } from './binary-string.ts';
import {
  bytesOfHex,
  compareBytes,
  concatBytes,
  copyOfBytes,
  equalBytes,
  hexOfBytes,
  isExactInteger,
  portableCompareBytes,
  readUint16,
  readUint32,
  readUint64,
  uninitialisedBytes,
  writeUint16,
  writeUint32,
  writeUint64,
} from './bytes.ts';

const anyBytes = fc.uint8Array({ maxLength: 300 });

describe('fixed-width integers', () => {
  it('are little endian', () => {
    const bytes = new Uint8Array(16);
    writeUint16(bytes, 0, 0x1234);
    writeUint32(bytes, 2, 0x89abcdef);
    writeUint64(bytes, 6, 0x0011_2233_4455_66);
    expect(hexOfBytes(bytes)).toBe('3412efcdab8966554433221100000000');
    expect(readUint32(bytes, 2)).toBe(0x89abcdef);
  });

  it('come back as they were written', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat({ max: 8 }), (value, offset) => {
        const bytes = new Uint8Array(16);
        writeUint64(bytes, offset, value);
        expect(readUint64(bytes, offset)).toBe(value);
        writeUint32(bytes, offset, value % 2 ** 32);
        expect(readUint32(bytes, offset)).toBe(value % 2 ** 32);
        writeUint16(bytes, offset, value % 65536);
        expect(readUint16(bytes, offset)).toBe(value % 65536);
      }),
    );
  });

  it('refuse what does not fit, and do not write outside', () => {
    const bytes = new Uint8Array(8);
    expect(() => writeUint16(bytes, 0, 65536)).toThrow('out of range');
    expect(() => writeUint32(bytes, 0, 2 ** 32)).toThrow('out of range');
    expect(() => writeUint32(bytes, 0, -1)).toThrow('out of range');
    expect(() => writeUint64(bytes, 0, 2 ** 53)).toThrow('out of range');
    expect(() => writeUint64(bytes, 1, 0)).toThrow('out of range');
  });

  it('tell a 64-bit value that a number cannot hold', () => {
    expect(isExactInteger(readUint64(new Uint8Array(8).fill(255), 0))).toBe(false);
    expect(isExactInteger(2 ** 53 - 1)).toBe(true);
    expect(isExactInteger(2 ** 53)).toBe(false);
  });
});

describe('uninitialised bytes', () => {
  it.each([0, 1, 16 * 1024 - 1, 16 * 1024, 4 * 1024 * 1024])(
    'are %d bytes of memory of their own',
    (sizeBytes) => {
      const bytes = uninitialisedBytes(sizeBytes);
      expect(bytes.constructor).toBe(Uint8Array);
      expect([bytes.length, bytes.byteOffset]).toEqual([sizeBytes, 0]);
      expect(bytes.buffer.byteLength).toBe(sizeBytes);
    },
  );
});

describe('comparison', () => {
  it('orders as the characters of binary strings and as a byte loop do', () => {
    const related = fc.tuple(anyBytes, anyBytes, anyBytes);
    fc.assert(
      fc.property(related, ([prefix, one, other]) => {
        const left = concatBytes([prefix, one]);
        const right = concatBytes([prefix, other]);
        const [leftText, rightText] = [binaryStringOf(left), binaryStringOf(right)];
        const order = leftText < rightText ? -1 : leftText > rightText ? 1 : 0;
        expect(Math.sign(compareBytes(left, right))).toBe(order);
        expect(Math.sign(portableCompareBytes(left, right))).toBe(order);
        expect(equalBytes(left, right)).toBe(order === 0);
      }),
    );
  });
});

describe('hex', () => {
  it('comes back as it was written, in either case', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(bytesOfHex(hexOfBytes(bytes))).toEqual(bytes);
        expect(bytesOfHex(hexOfBytes(bytes).toUpperCase())).toEqual(bytes);
      }),
    );
  });

  it('is undefined for anything else', () => {
    for (const text of ['0', '0g', ' 00', '0x00', '00\n']) expect(bytesOfHex(text)).toBeUndefined();
  });
});

describe('binary strings', () => {
  it('hold every byte and come back, natively and portably', () => {
    fc.assert(
      fc.property(anyBytes, fc.nat({ max: 40 }), (bytes, offset) => {
        const text = binaryStringOf(bytes);
        expect(portableBinaryStringOf(bytes, 0, bytes.length)).toBe(text);
        expect(text.length).toBe(bytes.length);
        expect(bytesOfBinaryString(text)).toEqual(bytes);
        const into = new Uint8Array(offset + bytes.length + 1).fill(7);
        writeBinaryString(text, into, offset);
        expect(into.subarray(offset, offset + bytes.length)).toEqual(bytes);
        expect(into[into.length - 1]).toBe(7);
      }),
    );
  });

  it('are made of a part, also of a long one', () => {
    const bytes = Uint8Array.from({ length: 10_000 }, (_, index) => index);
    const text = binaryStringOf(bytes, 100, 9_900);
    expect(portableBinaryStringOf(bytes, 100, 9_900)).toBe(text);
    expect(text.charCodeAt(155)).toBe(255);
    expect(() => binaryStringOf(bytes, 5, 10_001)).toThrow('outside');
    expect(() => writeBinaryString(text, bytes, 9_000)).toThrow('no room');
  });
});

describe('copies', () => {
  it('are the same bytes, in no memory of another one', () => {
    const sources = Array.from({ length: 300 }, (_, at) => new Uint8Array((at * 7) % 700).fill(at));
    const copies = sources.map(copyOfBytes);
    for (const [at, copy] of copies.entries()) {
      expect(copy).toEqual(sources[at]);
      expect(Object.getPrototypeOf(copy)).toBe(Uint8Array.prototype);
    }
    for (const copy of copies) copy.fill(255);
    for (const [at, source] of sources.entries())
      expect(source.every((byte) => byte === at % 256)).toBe(true);
    for (const copy of copies) expect(copy.every((byte) => byte === 255)).toBe(true);
    for (const [at, copy] of copies.entries()) copy.fill(at);
    for (const [at, copy] of copies.entries())
      expect(copy.every((byte) => byte === at % 256)).toBe(true);
  });

  it('cannot be taken away from each other by a transfer', () => {
    const [first, second] = [
      copyOfBytes(new Uint8Array(9).fill(1)),
      copyOfBytes(new Uint8Array(9).fill(2)),
    ];
    expect(first.buffer).toBe(second.buffer);
    expect(() => structuredClone(first, { transfer: [first.buffer as ArrayBuffer] })).toThrow();
    expect(second).toEqual(new Uint8Array(9).fill(2));
  });
});
