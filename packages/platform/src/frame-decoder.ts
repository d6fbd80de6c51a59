/**
 * Cuts a stream of bytes into frames: a little-endian uint32 length, then so many bytes.
 *
 * What is held of an unfinished frame is what has arrived of it: a peer that announces a large frame
 * and sends nothing takes no memory. Small pieces are copied together, because an array of its own
 * takes hundreds of bytes for each. A frame inside one chunk is handed on as a view of that chunk.
 */
import { concatBytes, readUint32 } from '@dozo/base';

import { HELD_PIECE_BYTES_MIN } from './limits.ts';

/** Bytes of a frame's length. */
export const FRAME_HEADER_BYTES = 4;

/** One direction of one connection. */
export class FrameDecoder {
  readonly #frameBytesMax: number;
  readonly #onFrame: (frame: Uint8Array) => void;
  /** What has arrived of an unfinished frame, header included. */
  #parts: Uint8Array[] = [];
  #partsBytes = 0;
  /** Header and body of the unfinished frame; only the header while the length is unknown. */
  #neededBytes = FRAME_HEADER_BYTES;

  constructor(frameBytesMax: number, onFrame: (frame: Uint8Array) => void) {
    this.#frameBytesMax = frameBytesMax;
    this.#onFrame = onFrame;
  }

  /** Arrays that hold what has arrived of the unfinished frame. */
  get heldPieceCount(): number {
    return this.#parts.length;
  }

  /** Whether a frame has begun and not ended. */
  get isInsideFrame(): boolean {
    return this.#partsBytes > 0;
  }

  /**
   * Takes the next bytes of the stream, which belong to the decoder from then on.
   *
   * @returns false when a frame is announced that is larger than allowed: the stream is lost.
   */
  push(chunk: Uint8Array): boolean {
    let rest = chunk;
    while (this.#partsBytes + rest.length >= this.#neededBytes) {
      if (this.#neededBytes === FRAME_HEADER_BYTES) {
        const length = this.#peekLength(rest);
        if (length > this.#frameBytesMax) return false;
        this.#neededBytes += length;
        // An empty frame ends with its header.
        if (length > 0) continue;
      }
      const missing = this.#neededBytes - this.#partsBytes;
      const frame = this.#join(rest.subarray(0, missing));
      rest = rest.subarray(missing);
      this.#onFrame(frame.subarray(FRAME_HEADER_BYTES));
    }
    if (rest.length > 0) this.#hold(rest);
    return true;
  }

  #hold(piece: Uint8Array): void {
    this.#partsBytes += piece.length;
    const last = this.#parts.at(-1);
    if (last !== undefined && last.length + piece.length <= HELD_PIECE_BYTES_MIN) {
      this.#parts[this.#parts.length - 1] = concatBytes([last, piece]);
    } else this.#parts.push(piece);
  }

  #peekLength(rest: Uint8Array): number {
    const [first] = this.#parts;
    if (first === undefined) return readUint32(rest, 0);
    if (first.length >= FRAME_HEADER_BYTES) return readUint32(first, 0);
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    let filled = 0;
    for (const part of [...this.#parts, rest]) {
      const piece = part.subarray(0, FRAME_HEADER_BYTES - filled);
      header.set(piece, filled);
      filled += piece.length;
    }
    return readUint32(header, 0);
  }

  /** The whole frame, header included, whose last bytes are `last`; forgets what was held. */
  #join(last: Uint8Array): Uint8Array {
    const size = this.#neededBytes;
    this.#neededBytes = FRAME_HEADER_BYTES;
    if (this.#partsBytes === 0) return last;
    const whole = new Uint8Array(size);
    let offset = 0;
    for (const part of this.#parts) {
      whole.set(part, offset);
      offset += part.length;
    }
    whole.set(last, offset);
    this.#parts = [];
    this.#partsBytes = 0;
    return whole;
  }
}
