/**
 * Buffers of one chunk each, used again and again: a fresh 4 MiB buffer costs a thousand page faults
 * and a garbage collection.
 */

/** See the file comment. */
export class ChunkBuffers {
  readonly #chunkBytes: number;
  readonly #keptMax: number;
  readonly #kept: Buffer[] = [];

  /** @param keptMax how many unused ones are kept at most. */
  constructor(chunkBytes: number, keptMax: number) {
    this.#chunkBytes = chunkBytes;
    this.#keptMax = keptMax;
  }

  /** A buffer of at least `sizeBytes`, with any content; whole chunks are kept buffers. */
  take(sizeBytes: number): Buffer {
    if (sizeBytes < this.#chunkBytes) return Buffer.allocUnsafeSlow(sizeBytes);
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.#chunkBytes);
  }

  /** Gives a buffer back; nobody may use it any more. */
  give(buffer: Buffer): void {
    if (buffer.length === this.#chunkBytes && this.#kept.length < this.#keptMax) {
      this.#kept.push(buffer);
    }
  }
}
