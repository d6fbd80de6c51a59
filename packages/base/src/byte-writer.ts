/**
 * Writes a sequence of fields, little endian, into a buffer that grows.
 *
 * For structures that are not on a hot path: superblocks, slots, manifests, messages. Passing a value
 * that does not fit its field is a bug of the caller and asserts.
 */
import { assert } from './assert.ts';
import { writeUint16, writeUint32, writeUint64 } from './bytes.ts';

const encoder = new TextEncoder();

/** The counterpart of `ByteReader`. Methods return the writer, so that calls can be chained. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  /** @param capacityBytes room to begin with; the buffer doubles when it is used up. */
  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(Math.max(capacityBytes, 16));
  }

  /** How many bytes have been written. */
  get length(): number {
    return this.#length;
  }

  /** One byte; `value` is in `[0, 256)`. */
  uint8(value: number): this {
    assert(Number.isInteger(value) && value >= 0 && value < 256, 'uint8 out of range');
    const offset = this.#reserve(1);
    this.#bytes[offset] = value;
    return this;
  }

  /** Two bytes; `value` is in `[0, 2^16)`. */
  uint16(value: number): this {
    assert(Number.isInteger(value), 'uint16 is not an integer');
    const offset = this.#reserve(2);
    writeUint16(this.#bytes, offset, value);
    return this;
  }

  /** Four bytes; `value` is in `[0, 2^32)`. */
  uint32(value: number): this {
    assert(Number.isInteger(value), 'uint32 is not an integer');
    const offset = this.#reserve(4);
    writeUint32(this.#bytes, offset, value);
    return this;
  }

  /** Eight bytes; `value` is in `[0, 2^53)`. */
  uint64(value: number): this {
    assert(Number.isInteger(value), 'uint64 is not an integer');
    const offset = this.#reserve(8);
    writeUint64(this.#bytes, offset, value);
    return this;
  }

  /** Eight bytes; `value` is in `[0, 2^64)`. */
  bigUint64(value: bigint): this {
    assert(value >= 0n && value < 1n << 64n, 'uint64 out of range');
    const offset = this.#reserve(8);
    writeUint32(this.#bytes, offset, Number(value & 0xffff_ffffn));
    writeUint32(this.#bytes, offset + 4, Number(value >> 32n));
    return this;
  }

  /** One byte, 0 or 1. */
  boolean(value: boolean): this {
    return this.uint8(value ? 1 : 0);
  }

  /** The bytes as they are; a reader must know how many. */
  bytes(value: Uint8Array): this {
    const offset = this.#reserve(value.length);
    this.#bytes.set(value, offset);
    return this;
  }

  /** A uint32 length, then the bytes. */
  sizedBytes(value: Uint8Array): this {
    return this.uint32(value.length).bytes(value);
  }

  /** A uint32 length in bytes, then the text as UTF-8; `text` has no lone surrogates. */
  text(value: string): this {
    assert(value.isWellFormed(), 'text has a lone surrogate');
    return this.sizedBytes(encoder.encode(value));
  }

  /** So many zero bytes. */
  zeros(sizeBytes: number): this {
    // A fresh buffer is zero, and what was written is never taken back.
    this.#reserve(sizeBytes);
    return this;
  }

  /** Zero bytes up to the next multiple of `alignmentBytes`. */
  align(alignmentBytes: number): this {
    const excess = this.#length % alignmentBytes;
    return excess === 0 ? this : this.zeros(alignmentBytes - excess);
  }

  /** What was written, as a view of the writer's buffer: valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, as an array of its own. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(sizeBytes: number): number {
    assert(Number.isInteger(sizeBytes) && sizeBytes >= 0, 'size is not a natural number');
    const offset = this.#length;
    const end = offset + sizeBytes;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#length = end;
    return offset;
  }
}
