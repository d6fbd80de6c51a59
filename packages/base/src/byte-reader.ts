/**
 * Reads a sequence of little-endian fields from bytes that may be damaged.
 *
 * Whatever does not fit throws a `CodecError` that says what was read, where, and what is wrong: it
 * reads disks and sockets, so bad input is never an assertion. Lengths are checked against what is
 * left before anything is allocated.
 */
import { readUint16, readUint32, readUint64, isExactInteger } from './bytes.ts';
import { CodecError } from './codec-error.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The counterpart of `ByteWriter`. Every method throws {@link CodecError}. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset: number;
  readonly #end: number;

  /**
   * @param bytes read in place, never changed.
   * @param what names the structure in errors, such as `superblock`.
   */
  constructor(bytes: Uint8Array, what: string, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#what = what;
    this.#offset = start;
    this.#end = Math.min(end, bytes.length);
  }

  /** Offset of the next field in the array that was given. */
  get offset(): number {
    return this.#offset;
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#end - this.#offset;
  }

  uint8(): number {
    return this.#bytes[this.#take(1, 'a uint8')] as number;
  }

  uint16(): number {
    return readUint16(this.#bytes, this.#take(2, 'a uint16'));
  }

  uint32(): number {
    return readUint32(this.#bytes, this.#take(4, 'a uint32'));
  }

  /** A 64-bit integer, which must be below 2^53. */
  uint64(): number {
    const offset = this.#take(8, 'a uint64');
    const value = readUint64(this.#bytes, offset);
    if (!isExactInteger(value)) throw this.#invalid(offset, 'a uint64 is 2^53 or more');
    return value;
  }

  /** Any 64-bit integer. */
  bigUint64(): bigint {
    const offset = this.#take(8, 'a uint64');
    const high = BigInt(readUint32(this.#bytes, offset + 4));
    return (high << 32n) | BigInt(readUint32(this.#bytes, offset));
  }

  /** A byte that must be 0 or 1. */
  boolean(): boolean {
    const offset = this.#take(1, 'a boolean');
    const value = this.#bytes[offset];
    if (value === 0 || value === 1) return value === 1;
    throw this.#invalid(offset, 'a boolean is neither 0 nor 1');
  }

  /** So many bytes, copied. */
  bytes(sizeBytes: number): Uint8Array {
    const offset = this.#take(sizeBytes, 'bytes');
    // `slice` of a Node Buffer would be a view.
    return Uint8Array.prototype.slice.call(this.#bytes, offset, offset + sizeBytes);
  }

  /** So many bytes, as a view of the array that was given. */
  view(sizeBytes: number): Uint8Array {
    const offset = this.#take(sizeBytes, 'bytes');
    return this.#bytes.subarray(offset, offset + sizeBytes);
  }

  /** A uint32 length, at most `sizeBytesMax`, then so many bytes, copied. */
  sizedBytes(sizeBytesMax: number): Uint8Array {
    return this.bytes(this.#size(sizeBytesMax));
  }

  /** A uint32 length in bytes, at most `sizeBytesMax`, then valid UTF-8. */
  text(sizeBytesMax: number): string {
    const sizeBytes = this.#size(sizeBytesMax);
    const offset = this.#offset;
    const encoded = this.view(sizeBytes);
    try {
      return decoder.decode(encoded);
    } catch {
      throw this.#invalid(offset, 'a text is not valid UTF-8');
    }
  }

  /** Passes over so many bytes. */
  skip(sizeBytes: number): void {
    this.#take(sizeBytes, 'bytes');
  }

  /** Throws unless everything has been read. */
  expectEnd(): void {
    if (this.remaining !== 0) {
      throw this.#invalid(this.#offset, `${String(this.remaining)} bytes are left over`);
    }
  }

  /** The error for a field that has been read and makes no sense; the caller throws it. */
  invalid(reason: string): CodecError {
    return this.#invalid(this.#offset, reason);
  }

  #size(sizeBytesMax: number): number {
    const offset = this.#offset;
    const sizeBytes = this.uint32();
    if (sizeBytes > sizeBytesMax) {
      const reason = `a length is ${String(sizeBytes)} bytes, at most ${String(sizeBytesMax)} fit`;
      throw this.#invalid(offset, reason);
    }
    return sizeBytes;
  }

  #take(sizeBytes: number, field: string): number {
    const offset = this.#offset;
    if (!(sizeBytes >= 0 && offset + sizeBytes <= this.#end)) {
      throw new CodecError(
        `Reading ${this.#what}: ${field} of ${String(sizeBytes)} bytes is needed at offset ` +
          `${String(offset)}, only ${String(this.remaining)} bytes are left.`,
        { code: 'CODEC_TOO_SHORT', what: this.#what, offset },
      );
    }
    this.#offset = offset + sizeBytes;
    return offset;
  }

  #invalid(offset: number, reason: string): CodecError {
    return new CodecError(`Reading ${this.#what} at offset ${String(offset)}: ${reason}.`, {
      code: 'CODEC_INVALID',
      what: this.#what,
      offset,
    });
  }
}
