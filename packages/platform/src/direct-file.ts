/**
 * Transfers past the page cache, through a descriptor that was opened `O_DIRECT`.
 *
 * The disk reads and writes the memory itself, so the kernel wants memory that begins at a block. Other
 * memory is copied through aligned buffers, of which a device keeps a few: small ones, so that a beat
 * of the claim never waits behind a long read, and large ones.
 *
 * A file system may take the flag when the file is opened and refuse the first transfer (`EINVAL`).
 * Everything that can be wrong with ours is asserted before, so that this means: not here, ever.
 *
 * Source: open(2), "O_DIRECT"; docs/decisions/0016-past-the-page-cache.md.
 */
import { alignedBytes, isAligned, UNCACHED_BLOCK_BYTES } from '@dozo/base';

import { kernelErrorName } from './errors.ts';
import { readAt } from './file-calls.ts';
import {
  UNCACHED_BUFFERS_MAX,
  UNCACHED_PIECE_BYTES_MAX,
  UNCACHED_SMALL_BYTES_MAX,
} from './limits.ts';
import { writeAll } from './write-all.ts';

/**
 * How a transfer ended. `refused`: the file system has none such, and nothing was done. `short`: the
 * kernel moved less than all and gave no reason.
 */
export type DirectOutcome = 'done' | 'refused' | 'short';

/** A descriptor that was opened `O_DIRECT`; it belongs to whoever opened it. */
export class DirectFile {
  readonly #descriptor: number;
  readonly #small = new BufferPool(UNCACHED_SMALL_BYTES_MAX);
  readonly #large = new BufferPool(UNCACHED_PIECE_BYTES_MAX);
  #hasWorked = false;
  #isRefused = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Whether the file system has refused a transfer. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Reads whole blocks. Rejects with the kernel's error. */
  async read(offset: number, into: Uint8Array): Promise<DirectOutcome> {
    return this.#unlessRefused(async () => {
      for (let done = 0; done < into.length; done += UNCACHED_PIECE_BYTES_MAX) {
        const piece = into.subarray(done, done + UNCACHED_PIECE_BYTES_MAX);
        const isWhole = isAligned(piece)
          ? await this.#readPiece(offset + done, piece)
          : await this.#inBuffer(piece.length, async (buffer) => {
              if (!(await this.#readPiece(offset + done, buffer))) return false;
              piece.set(buffer);
              return true;
            });
        if (!isWhole) return 'short';
      }
      return 'done';
    });
  }

  /** Writes whole blocks, durable when it resolves. Rejects with the kernel's error. */
  async write(offset: number, buffers: readonly Uint8Array[]): Promise<DirectOutcome> {
    return this.#unlessRefused(async () => {
      const filled = buffers.filter(({ length }) => length > 0);
      if (filled.every(isAligned)) return this.#writePiece(offset, filled);
      const source = new Gathering(filled);
      let done = 0;
      while (source.leftBytes > 0) {
        const sizeBytes = Math.min(source.leftBytes, UNCACHED_PIECE_BYTES_MAX);
        const outcome = await this.#inBuffer(sizeBytes, (buffer) => {
          source.take(buffer);
          return this.#writePiece(offset + done, [buffer]);
        });
        if (outcome !== 'done') return outcome;
        done += sizeBytes;
      }
      return 'done';
    });
  }

  async #unlessRefused(transfer: () => Promise<DirectOutcome>): Promise<DirectOutcome> {
    if (this.#isRefused) return 'refused';
    try {
      const outcome = await transfer();
      this.#hasWorked = true;
      return outcome;
    } catch (error) {
      if (this.#hasWorked || kernelErrorName(error) !== 'EINVAL') throw error;
      this.#isRefused = true;
      return 'refused';
    }
  }

  async #readPiece(offset: number, piece: Uint8Array): Promise<boolean> {
    let done = 0;
    while (done < piece.length) {
      const count = await readAt(this.#descriptor, piece, done, offset + done);
      // A part of a block cannot be gone on from.
      const usable = count - (count % UNCACHED_BLOCK_BYTES);
      if (usable === 0) return false;
      done += usable;
    }
    return true;
  }

  async #writePiece(offset: number, buffers: readonly Uint8Array[]): Promise<DirectOutcome> {
    let sizeBytes = 0;
    for (const { length } of buffers) sizeBytes += length;
    const done = await writeAll(this.#descriptor, offset, buffers, sizeBytes);
    return done === sizeBytes ? 'done' : 'short';
  }

  async #inBuffer<Result>(
    sizeBytes: number,
    use: (buffer: Uint8Array) => Promise<Result>,
  ): Promise<Result> {
    const pool = sizeBytes <= UNCACHED_SMALL_BYTES_MAX ? this.#small : this.#large;
    const buffer = await pool.take();
    try {
      return await use(buffer.subarray(0, sizeBytes));
    } finally {
      pool.give(buffer);
    }
  }
}

/** Buffers that run one after the other, taken from the front. */
class Gathering {
  readonly #buffers: readonly Uint8Array[];
  #index = 0;
  #start = 0;
  #leftBytes = 0;

  constructor(buffers: readonly Uint8Array[]) {
    this.#buffers = buffers;
    for (const { length } of buffers) this.#leftBytes += length;
  }

  get leftBytes(): number {
    return this.#leftBytes;
  }

  /** Fills `into`, which is not larger than what is left. */
  take(into: Uint8Array): void {
    let done = 0;
    while (done < into.length) {
      const from = this.#buffers[this.#index] as Uint8Array;
      const part = from.subarray(this.#start, this.#start + into.length - done);
      into.set(part, done);
      done += part.length;
      this.#start += part.length;
      if (this.#start === from.length) {
        this.#index++;
        this.#start = 0;
      }
    }
    this.#leftBytes -= done;
  }
}

/** At most {@link UNCACHED_BUFFERS_MAX} aligned buffers of one size, made when first needed. */
class BufferPool {
  readonly #sizeBytes: number;
  readonly #free: Uint8Array[] = [];
  readonly #waiting: ((buffer: Uint8Array) => void)[] = [];
  #madeCount = 0;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** Each waiter is an operation of the device that its caller has begun, and is bounded there. */
  async take(): Promise<Uint8Array> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#madeCount < UNCACHED_BUFFERS_MAX) {
      const buffer = alignedBytes(this.#sizeBytes);
      this.#madeCount++;
      return buffer;
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  give(buffer: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }
}
