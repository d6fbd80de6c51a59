/**
 * The Device port on a descriptor of a regular file or a block device.
 *
 * Reads and writes go through the page cache. A short read of what is in the cache is answered at
 * once (1.5 us, where the thread pool takes 6 to 18 us of CPU); everything else runs on the thread
 * pool, so that a disk that hangs does not hang the process. A write is one `pwritev`; only when the kernel takes
 * less than all of it, or there are more buffers than it allows, do more calls follow, in order. A
 * flush is one `fdatasync`. A durable write goes through a second description of the same file that
 * was opened `O_DSYNC`: one job of the thread pool and one turn of the event loop instead of two. Nothing is ever retried after an error: the kernel may have dropped dirty
 * pages and would report success the next time (fsyncgate, PostgreSQL wiki, 2018).
 */
import { assert, DeviceError } from '@dozo/base';
import type { Device, LockIdentity } from '@dozo/base';

import { kernelErrorName } from './errors.ts';
import { closeFile, readAt, syncData, writeAllAt } from './file-calls.ts';
import { CACHED_READ_BYTES_MAX } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { CACHED_READS_PER_TURN_MAX, WRITE_BUFFERS_MAX, WRITE_CALL_BYTES_MAX } from './limits.ts';

/** What {@link FileDevice} is made of; it owns the descriptor from then on. */
export interface FileDeviceParts {
  readonly path: string;
  readonly descriptor: number;
  /** The same file opened `O_DSYNC`, where that was possible. Owned as well. */
  readonly durableDescriptor?: number | undefined;
  readonly kernel: Kernel;
  readonly kind: 'block' | 'file';
  readonly sizeBytes: number;
  readonly lockIdentity: LockIdentity;
  readonly isReadOnly: boolean;
  /** Whether a discard gives a file's blocks back to its file system. */
  readonly punchesHoles: boolean;
}

/** An open file or disk. Made by `openFileDevice`. */
export class FileDevice implements Device {
  readonly path: string;
  readonly sizeBytes: number;
  readonly lockIdentity: LockIdentity;
  readonly #parts: FileDeviceParts;
  #runningCount = 0;
  #cachedReadsOfTurn = 0;
  #whenIdle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(parts: FileDeviceParts) {
    this.path = parts.path;
    this.sizeBytes = parts.sizeBytes;
    this.lockIdentity = parts.lockIdentity;
    this.#parts = parts;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#begin('read');
    try {
      this.#checkRange('read', offset, into.length);
      if (this.#readCached(offset, into)) return;
      let done = 0;
      while (done < into.length) {
        const count = await readAt(this.#parts.descriptor, into, done, offset + done);
        if (count === 0) throw this.#failure('read', offset, 'the device ends before it');
        done += count;
      }
    } catch (error) {
      throw this.#failure('read', offset, error);
    } finally {
      this.#end();
    }
  }

  write(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    return this.#write(this.#parts.descriptor, offset, buffers);
  }

  async writeDurably(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    const { descriptor, durableDescriptor } = this.#parts;
    await this.#write(durableDescriptor ?? descriptor, offset, buffers);
    if (durableDescriptor === undefined) await this.flush();
  }

  async #write(descriptor: number, offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    assert(!this.#parts.isReadOnly, 'writing to a device that is open for reading');
    this.#begin('write');
    try {
      let sizeBytes = 0;
      for (const buffer of buffers) sizeBytes += buffer.length;
      this.#checkRange('write', offset, sizeBytes);
      const done = await writeAll(descriptor, offset, buffers, sizeBytes);
      if (done < sizeBytes) {
        throw this.#failure('write', offset + done, 'the kernel took no bytes');
      }
    } catch (error) {
      throw this.#failure('write', offset, error);
    } finally {
      this.#end();
    }
  }

  async flush(): Promise<void> {
    this.#begin('flush');
    try {
      await syncData(this.#parts.descriptor);
    } catch (error) {
      throw this.#failure('flush', 0, error);
    } finally {
      this.#end();
    }
  }

  async discard(offset: number, sizeBytes: number): Promise<void> {
    const { kernel, kind, descriptor, isReadOnly, punchesHoles } = this.#parts;
    assert(!isReadOnly, 'discarding on a device that is open for reading');
    assert(offset >= 0 && offset + sizeBytes <= this.sizeBytes, 'discarding outside the device');
    this.#begin('discard');
    try {
      // It is a hint: whatever the kernel answers, the range may hold any bytes now.
      if (kind === 'block') await kernel.discardBlocks(descriptor, offset, sizeBytes);
      else if (punchesHoles) await kernel.punchHole(descriptor, offset, sizeBytes);
    } finally {
      this.#end();
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#runningCount > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    const { durableDescriptor } = this.#parts;
    if (durableDescriptor !== undefined) await closeFile(durableDescriptor);
    // The kernel's lock belongs to this open file description and goes with it.
    await closeFile(this.#parts.descriptor);
  }

  #readCached(offset: number, into: Uint8Array): boolean {
    if (into.length > CACHED_READ_BYTES_MAX || into.length === 0) return false;
    if (this.#cachedReadsOfTurn >= CACHED_READS_PER_TURN_MAX) return false;
    if (this.#cachedReadsOfTurn++ === 0) {
      setImmediate(() => {
        this.#cachedReadsOfTurn = 0;
      });
    }
    return this.#parts.kernel.readCached(this.#parts.descriptor, offset, into);
  }

  /**
   * A regular file would grow; and -1, NaN or a fraction mean "where the last call ended" to Node or
   * to the kernel.
   */
  #checkRange(operation: 'read' | 'write', offset: number, sizeBytes: number): void {
    if (Number.isInteger(offset) && offset >= 0 && offset + sizeBytes <= this.sizeBytes) return;
    throw this.#failure(operation, offset, 'it is not inside the device');
  }

  #begin(operation: string): void {
    if (this.#closed !== undefined) {
      throw new DeviceError(`Cannot ${operation} on ${this.path}: it has been closed.`, {
        code: 'DEVICE_CLOSED',
        path: this.path,
      });
    }
    this.#runningCount++;
  }

  #end(): void {
    this.#runningCount--;
    if (this.#runningCount === 0) this.#whenIdle?.();
  }

  /** A {@link DeviceError}; `error` may already be one, the kernel's, or a reason in words. */
  #failure(operation: 'read' | 'write' | 'flush', offset: number, error: unknown): DeviceError {
    if (error instanceof DeviceError) return error;
    const cause = typeof error === 'string' ? error : kernelErrorName(error);
    const place = operation === 'flush' ? '' : ` at offset ${offset}`;
    return new DeviceError(
      `Cannot ${operation} on ${this.path}${place}: ${cause}. ` +
        'See the kernel log (dmesg) and the health of the disk.',
      { code: CODES[operation], path: this.path, offset, cause },
      { cause: error },
    );
  }
}

const CODES = {
  read: 'DEVICE_READ_FAILED',
  write: 'DEVICE_WRITE_FAILED',
  flush: 'DEVICE_FLUSH_FAILED',
} as const;

/** Writes until all is written or the kernel takes nothing any more; returns how much it took. */
async function writeAll(
  descriptor: number,
  offset: number,
  buffers: readonly Uint8Array[],
  sizeBytes: number,
): Promise<number> {
  let rest = buffers;
  let done = 0;
  while (done < sizeBytes) {
    const count = await writeAllAt(descriptor, oneCall(rest), offset + done);
    if (count === 0) break;
    done += count;
    if (done < sizeBytes) rest = without(rest, count);
  }
  return done;
}

/** As many of `buffers` as the kernel takes in one call; at least one. */
function oneCall(buffers: readonly Uint8Array[]): readonly Uint8Array[] {
  let sizeBytes = 0;
  let count = 0;
  for (const buffer of buffers) {
    sizeBytes += buffer.length;
    if (count === WRITE_BUFFERS_MAX || (count > 0 && sizeBytes > WRITE_CALL_BYTES_MAX)) break;
    count++;
  }
  return count === buffers.length ? buffers : buffers.slice(0, count);
}

/** What is left of `buffers` after their first `count` bytes. */
function without(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  for (const [index, buffer] of buffers.entries()) {
    if (left < buffer.length) return [buffer.subarray(left), ...buffers.slice(index + 1)];
    left -= buffer.length;
  }
  return [];
}
