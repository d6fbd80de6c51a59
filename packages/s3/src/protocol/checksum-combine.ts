/**
 * The checksum of an object from the checksums of its parts.
 *
 * COMPOSITE: the checksum of the parts' checksums in a row, a hyphen, the number of parts.
 * FULL_OBJECT: the CRC of all bytes, without reading them again. A CRC is a remainder of
 * polynomials over GF(2): crc(A then B) = crc(A) * x^(8 * length of B) + crc(B), modulo P.
 *
 * Source: zlib, crc32.c, crc32_combine(); S3 User Guide, "Checking object integrity".
 */
import { AssertionError } from '@dozo/base';
import { computeChecksum } from './checksum.ts';
import type { ObjectChecksum, UploadChecksum } from './checksum.ts';

/** A part as it goes into the checksum of the whole. */
export interface ChecksummedPart {
  readonly sizeBytes: number;
  /** Base64. */
  readonly value: string;
}

/** Polynomials in reflected form, as two 32-bit halves; of 32 bits: in the lower half. */
type Polynomial = readonly [high: number, low: number];

const POLYNOMIALS: Readonly<Record<'CRC32' | 'CRC32C' | 'CRC64NVME', Polynomial>> = {
  CRC32: [0, 0xedb88320],
  CRC32C: [0, 0x82f63b78],
  CRC64NVME: [0x9a6c9329, 0xac4bc9b5],
};

/**
 * Combines the checksums of parts, in their order.
 *
 * `upload` is one that `parseUploadChecksum` lets pass: FULL_OBJECT of a CRC only.
 */
export function combineChecksums(
  upload: UploadChecksum,
  parts: readonly ChecksummedPart[],
): ObjectChecksum {
  const { algorithm, type } = upload;
  const values = parts.map((part) => Buffer.from(part.value, 'base64'));
  if (type === 'COMPOSITE') {
    const value = computeChecksum(algorithm, Buffer.concat(values)).toString('base64');
    return { algorithm, type, value: `${value}-${parts.length}` };
  }
  if (algorithm === 'SHA1' || algorithm === 'SHA256') {
    throw new AssertionError(`${algorithm} of a whole object does not follow from its parts`);
  }
  const combiner = new CrcCombiner(POLYNOMIALS[algorithm], algorithm === 'CRC64NVME' ? 64 : 32);
  parts.forEach((part, index) => {
    combiner.append(values[index] as Buffer, part.sizeBytes);
  });
  return { algorithm, type, value: combiner.value().toString('base64') };
}

/** Appends runs of bytes that are known by CRC and length. */
class CrcCombiner {
  readonly #polynomial: Polynomial;
  readonly #bits: 32 | 64;
  /** x^(8 * 2^k) for k = 0, 1, ...; grows as longer parts come. */
  readonly #powers: Polynomial[];
  #value: Polynomial = [0, 0];
  /** Parts mostly have one size: its power is kept. */
  #lastSizeBytes = 0;
  #lastPower: Polynomial;

  constructor(polynomial: Polynomial, bits: 32 | 64) {
    this.#polynomial = polynomial;
    this.#bits = bits;
    // Reflected: the coefficient of x^0 is the highest bit, that of x^8 is 8 below it.
    const xToThe8: Polynomial = bits === 64 ? [0x00800000, 0] : [0, 0x00800000];
    this.#powers = [xToThe8];
    this.#lastPower = bits === 64 ? [0x80000000, 0] : [0, 0x80000000];
  }

  append(crc: Buffer, sizeBytes: number): void {
    const next: Polynomial =
      this.#bits === 64 ? [crc.readUInt32BE(0), crc.readUInt32BE(4)] : [0, crc.readUInt32BE(0)];
    const moved = this.#multiply(this.#powerOf(sizeBytes), this.#value);
    this.#value = [moved[0] ^ next[0], moved[1] ^ next[1]];
  }

  value(): Buffer {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeInt32BE(this.#value[0] | 0, 0);
    bytes.writeInt32BE(this.#value[1] | 0, 4);
    return this.#bits === 64 ? bytes : bytes.subarray(4);
  }

  /** x^(8 * sizeBytes). */
  #powerOf(sizeBytes: number): Polynomial {
    if (sizeBytes === this.#lastSizeBytes) return this.#lastPower;
    let power: Polynomial = this.#bits === 64 ? [0x80000000, 0] : [0, 0x80000000];
    for (let rest = sizeBytes, k = 0; rest > 0; rest = Math.floor(rest / 2), k++) {
      const last = this.#powers[this.#powers.length - 1] as Polynomial;
      if (k === this.#powers.length) this.#powers.push(this.#multiply(last, last));
      if (rest % 2 === 1) power = this.#multiply(this.#powers[k] as Polynomial, power);
    }
    this.#lastSizeBytes = sizeBytes;
    this.#lastPower = power;
    return power;
  }

  /** a * b modulo the polynomial, bit by bit from the coefficient of x^0 of `a`. */
  #multiply(a: Polynomial, b: Polynomial): Polynomial {
    const [polynomialHigh, polynomialLow] = this.#polynomial;
    let [high, low] = b;
    let productHigh = 0;
    let productLow = 0;
    for (let bit = this.#bits - 1; bit >= 0; bit--) {
      const word = bit >= 32 ? a[0] : a[1];
      if (((word >>> (bit & 31)) & 1) === 1) {
        productHigh ^= high;
        productLow ^= low;
      }
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry === 1) {
        high ^= polynomialHigh;
        low ^= polynomialLow;
      }
    }
    return [productHigh, productLow];
  }
}
