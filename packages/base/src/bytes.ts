/**
 * Direct helpers on `Uint8Array`: fixed-width little-endian integers, comparison, hex.
 *
 * Hot paths read and write headers with these functions instead of a codec object; each is a few
 * machine instructions once compiled (4 to 10 ns; a `DataView` is as fast, and 50 ns to make).
 */
import { assert } from './assert.ts';
import { nativeBuffer } from './native-buffer.ts';

/** Below this size clearing is cheaper than the call that leaves it out. */
const UNINITIALISED_BYTES_MIN = 16 * 1024;

/**
 * An array of its own of `sizeBytes` bytes of any content, for a read that will fill all of it.
 * Clearing 4 MiB that are overwritten at once costs a tenth of reading them from the page cache.
 */
export function uninitialisedBytes(sizeBytes: number): Uint8Array {
  if (nativeBuffer === undefined || sizeBytes < UNINITIALISED_BYTES_MIN) {
    return new Uint8Array(sizeBytes);
  }
  const { buffer, byteOffset } = nativeBuffer.allocUnsafeSlow(sizeBytes);
  return new Uint8Array(buffer, byteOffset, sizeBytes);
}

/** Copies up to this length share memory: one of 100 bytes on its own costs 440 ns and 300 bytes of heap. */
const SHARED_COPY_BYTES_MAX = 512;
/** What copies share; a part of Node's own pool, so that nobody can transfer it away. */
const SHARED_BYTES = 4000;

let shared: Uint8Array<ArrayBuffer> | undefined;
let sharedEnd = 0;

/** A copy for whoever may change it or keep it: a short one lies in memory that other copies lie in too. */
export function copyOfBytes(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (nativeBuffer === undefined || length > SHARED_COPY_BYTES_MAX) return new Uint8Array(bytes);
  if (shared === undefined || sharedEnd + length > SHARED_BYTES) {
    shared = nativeBuffer.allocUnsafe(SHARED_BYTES);
    sharedEnd = 0;
  }
  const copy = new Uint8Array(shared.buffer, shared.byteOffset + sharedEnd, length);
  sharedEnd += length;
  copy.set(bytes);
  return copy;
}

/** 2^53: integers at or above it are not exact as a `number`. */
const INTEGER_END = 2 ** 53;
const TWO_TO_32 = 2 ** 32;
/** From this length on native code compares faster, the call included (measured: 40 to 80). */
const NATIVE_COMPARE_LENGTH_MIN = 64;

/** Reads a little-endian unsigned 16-bit integer. The caller has checked that it is inside. */
export function readUint16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8);
}

/** Reads a little-endian unsigned 32-bit integer. The caller has checked that it is inside. */
export function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset] as number) |
      ((bytes[offset + 1] as number) << 8) |
      ((bytes[offset + 2] as number) << 16) |
      ((bytes[offset + 3] as number) << 24)) >>>
    0
  );
}

/**
 * Reads a little-endian unsigned 64-bit integer as a `number`. The caller has checked that it is
 * inside. A value of 2^53 or more, which can only come from damage, is returned inexactly: check it
 * with {@link isExactInteger} where no checksum covers the bytes.
 */
export function readUint64(bytes: Uint8Array, offset: number): number {
  return readUint32(bytes, offset + 4) * TWO_TO_32 + readUint32(bytes, offset);
}

/** Whether `value` is an integer in `[0, 2^53)`. */
export function isExactInteger(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Writes a little-endian unsigned 16-bit integer; `value` is in `[0, 2^16)`. */
export function writeUint16(bytes: Uint8Array, offset: number, value: number): void {
  assert(value >= 0 && value < 65536 && offset + 2 <= bytes.length, 'uint16 out of range');
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

/** Writes a little-endian unsigned 32-bit integer; `value` is in `[0, 2^32)`. */
export function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  assert(value >= 0 && value < TWO_TO_32 && offset + 4 <= bytes.length, 'uint32 out of range');
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}

/** Writes a little-endian unsigned 64-bit integer; `value` is an integer in `[0, 2^53)`. */
export function writeUint64(bytes: Uint8Array, offset: number, value: number): void {
  assert(value >= 0 && value < INTEGER_END && offset + 8 <= bytes.length, 'uint64 out of range');
  const high = Math.floor(value / TWO_TO_32);
  writeUint32(bytes, offset, value - high * TWO_TO_32);
  writeUint32(bytes, offset + 4, high);
}

/** Compares byte by byte; a prefix is less. Returns less than 0, 0 or more than 0. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length);
  if (length >= NATIVE_COMPARE_LENGTH_MIN && nativeBuffer !== undefined) {
    return nativeBuffer.compare(left, right);
  }
  return portableCompareBytes(left, right);
}

/** What {@link compareBytes} does with short arrays and where there is no native routine. */
export function portableCompareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Whether both hold the same bytes. Not for secrets: its time depends on the content. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && compareBytes(left, right) === 0;
}

/** Copies all parts, one after the other, into a new array. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let sizeBytes = 0;
  for (const part of parts) sizeBytes += part.length;
  const whole = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal, two digits per byte. */
export function hexOfBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX_OF_BYTE[byte] as string;
  return text;
}

/** Parses hexadecimal of either case; `undefined` when `text` is not an even number of digits. */
export function bytesOfHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}
