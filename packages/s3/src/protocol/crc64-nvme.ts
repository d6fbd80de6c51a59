/**
 * CRC-64/NVME, the checksum that current AWS SDKs may choose for uploads.
 *
 * Polynomial 0xAD93D23594C93659, reflected 0x9A6C9329AC4BC9B5, initial value and final xor all ones.
 * Slicing by 8, the 64 bits in two 32-bit halves, since JavaScript has no fast 64-bit integer.
 *
 * Source: NVM Command Set Specification, "64b CRC"; decision 0030.
 */

const POLYNOMIAL_HIGH = 0x9a6c9329;
const POLYNOMIAL_LOW = 0xac4bc9b5;

/** 8 tables of 256, upper and lower halves: table k advances a byte by k more zero bytes. */
const [HIGH, LOW] = makeTables();

/** A CRC-64/NVME that grows with each {@link Crc64Nvme.update}. */
export class Crc64Nvme {
  #high = -1;
  #low = -1;

  /** Takes the next bytes. */
  update(bytes: Uint8Array): void {
    const high = HIGH;
    const low = LOW;
    let h = this.#high;
    let l = this.#low;
    let index = 0;
    for (const end = bytes.length - 7; index < end; index += 8) {
      l ^= word(bytes, index);
      h ^= word(bytes, index + 4);
      const a = 1792 + (l & 255);
      const b = 1536 + ((l >>> 8) & 255);
      const c = 1280 + ((l >>> 16) & 255);
      const d = 1024 + (l >>> 24);
      const e = 768 + (h & 255);
      const f = 512 + ((h >>> 8) & 255);
      const g = 256 + ((h >>> 16) & 255);
      const i = h >>> 24;
      l =
        (low[a] as number) ^
        (low[b] as number) ^
        (low[c] as number) ^
        (low[d] as number) ^
        (low[e] as number) ^
        (low[f] as number) ^
        (low[g] as number) ^
        (low[i] as number);
      h =
        (high[a] as number) ^
        (high[b] as number) ^
        (high[c] as number) ^
        (high[d] as number) ^
        (high[e] as number) ^
        (high[f] as number) ^
        (high[g] as number) ^
        (high[i] as number);
    }
    for (; index < bytes.length; index++) {
      const entry = (l ^ (bytes[index] as number)) & 255;
      l = ((l >>> 8) | (h << 24)) ^ (low[entry] as number);
      h = (h >>> 8) ^ (high[entry] as number);
    }
    this.#high = h;
    this.#low = l;
  }

  /** The CRC of all bytes so far: 8 bytes, most significant first. */
  digest(): Buffer {
    const digest = Buffer.allocUnsafe(8);
    digest.writeInt32BE(~this.#high, 0);
    digest.writeInt32BE(~this.#low, 4);
    return digest;
  }
}

function word(bytes: Uint8Array, index: number): number {
  return (
    (bytes[index] as number) |
    ((bytes[index + 1] as number) << 8) |
    ((bytes[index + 2] as number) << 16) |
    ((bytes[index + 3] as number) << 24)
  );
}

function makeTables(): [Int32Array, Int32Array] {
  const highs = new Int32Array(8 * 256);
  const lows = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let high = 0;
    let low = byte;
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry === 1) {
        low ^= POLYNOMIAL_LOW;
        high ^= POLYNOMIAL_HIGH;
      }
    }
    highs[byte] = high;
    lows[byte] = low;
  }
  for (let index = 256; index < highs.length; index++) {
    const high = highs[index - 256] as number;
    const low = lows[index - 256] as number;
    lows[index] = ((low >>> 8) | (high << 24)) ^ (lows[low & 255] as number);
    highs[index] = (high >>> 8) ^ (highs[low & 255] as number);
  }
  return [highs, lows];
}
