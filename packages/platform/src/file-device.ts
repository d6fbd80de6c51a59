/**
 * The Device port on a descriptor of a regular file or a block device.
 *
 * Reads and writes go through the page cache. A short read of what is in the cache is answered at
 * once (1.5 us, where the thread pool takes 6 to 18 us of CPU); everything else runs on the thread
 * pool, so that a disk that hangs does not hang the process. A write is one `pwritev`; only when the kernel takes
 * less than all of it, or there are more buffers than it allows, do more calls follow, in order. A
 * flush is one `fdatasync`. A durable write goes through another description of the same file that
 * was opened `O_DSYNC`, alone while it runs (`durable-file.ts`): one job of the thread pool and one turn of the
 * event loop instead of two. What goes past the page cache has one more (`direct-file.ts`). Nothing is ever retried after an error: the kernel may have dropped dirty
 * pages and would report success the next time (fsyncgate, PostgreSQL wiki, 2018).
 */
import { assert, CACHED_READ_BYTES_MAX, DeviceError, UNCACHED_BLOCK_BYTES } from '@dozo/base';
import type { Device, LockIdentity } from '@dozo/base';

import { DirectFile } from './direct-file.ts';
import { DurableFile } from './durable-file.ts';
import { kernelErrorName } from './errors.ts';
import { closeFile, readAt, syncData } from './file-calls.ts';
import type { Kernel } from './kernel.ts';
import { CACHED_READS_PER_TURN_MAX } from './limits.ts';
import { writeAll } from './write-all.ts';

/** What {@link FileDevice} is made of; it owns the descriptor from then on. */
export interface FileDeviceParts {
  readonly path: string;
  readonly descriptor: number;
  /** Where durable writes go; owned as well. Absent: all through the descriptor, each with a sync. */
  readonly durable?: DurableFile | undefined;
  /** The same file opened `O_DIRECT | O_DSYNC`, where that was possible. Owned as well. */
  readonly directDescriptor?: number | undefined;
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
  readonly #durable: DurableFile;
  readonly #direct: DirectFile | undefined;
  #runningCount = 0;
  #cachedReadsOfTurn = 0;
  /** Resolves when {@link #cachedReadsOfTurn} begins anew. */
  #nextTurn: Promise<void> | undefined;
  #whenIdle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(parts: FileDeviceParts) {
    this.path = parts.path;
    this.sizeBytes = parts.sizeBytes;
    this.lockIdentity = parts.lockIdentity;
    this.#parts = parts;
    const { directDescriptor } = parts;
    this.#durable = parts.durable ?? new DurableFile(parts.descriptor, undefined);
    this.#direct = directDescriptor === undefined ? undefined : new DirectFile(directDescriptor);
  }

  /**
   * The number of the descriptor that holds the kernel's lock. Given to a child process (an entry of
   * `stdio` of `spawn`), the child holds the lock too, until it and its heirs have ended or closed it,
   * even if this device is closed. Nobody else may close it or read and write through it.
   */
  get descriptor(): number {
    return this.#parts.descriptor;
  }

  /** Whether it is a block device and not a regular file. */
  get isBlockDevice(): boolean {
    return this.#parts.kind === 'block';
  }

  /**
   * Whether uncached reads and writes really go past the page cache. False where the file system
   * refuses them, or without `/proc`. It may turn false with the first one.
   */
  get isDirect(): boolean {
    return this.#direct !== undefined && !this.#direct.isRefused;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#begin('read');
    try {
      this.#checkRange('read', offset, into.length);
      const isDone = this.#readCached(offset, into);
      if (typeof isDone === 'boolean' ? isDone : await isDone) return;
      await this.#readAll(offset, into);
    } catch (error) {
      throw this.#failure('read', offset, error);
    } finally {
      this.#end();
    }
  }

  readCached(offset: number, into: Uint8Array): boolean {
    if (this.#closed !== undefined || !this.#isInside(offset, into.length)) return false;
    if (!isShort(into) || !this.#hasShare) return false;
    const isRead = this.#readCachedNow(offset, into);
    // The read that follows asks again, and has its share then.
    if (!isRead) this.#cachedReadsOfTurn--;
    return isRead;
  }

  async readUncached(offset: number, into: Uint8Array): Promise<void> {
    assertWholeBlocks(offset, [into]);
    this.#begin('read');
    try {
      this.#checkRange('read', offset, into.length);
      if (into.length === 0) return;
      const outcome = (await this.#direct?.read(offset, into)) ?? 'refused';
      if (outcome === 'short') throw this.#failure('read', offset, 'the device ends before it');
      if (outcome === 'done') return;
      // The pool thread's read comes after the pages were dropped, and never from `readCached`.
      await this.#parts.kernel.dropCached(this.#parts.descriptor, offset, into.length);
      await this.#readAll(offset, into);
    } catch (error) {
      throw this.#failure('read', offset, error);
    } finally {
      this.#end();
    }
  }

  async #readAll(offset: number, into: Uint8Array): Promise<void> {
    let done = 0;
    while (done < into.length) {
      const count = await readAt(this.#parts.descriptor, into, done, offset + done);
      if (count === 0) throw this.#failure('read', offset, 'the device ends before it');
      done += count;
    }
  }

  async write(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    this.#begin('write');
    try {
      await this.#write(this.#parts.descriptor, offset, buffers);
    } finally {
      this.#end();
    }
  }

  async writeDurably(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    this.#begin('write');
    try {
      await this.#durable.write((descriptor) => this.#write(descriptor, offset, buffers));
    } catch (error) {
      // A write's own error comes with all that is to be said of it.
      throw this.#failure('flush', 0, error);
    } finally {
      this.#end();
    }
  }

  async writeUncached(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    assertWholeBlocks(offset, buffers);
    if (!this.isDirect || !(await this.#writeDirectly(offset, buffers))) {
      await this.writeDurably(offset, buffers);
    }
  }

  /** False when the file system refuses it; nothing is written then. */
  async #writeDirectly(offset: number, buffers: readonly Uint8Array[]): Promise<boolean> {
    assert(!this.#parts.isReadOnly, 'writing to a device that is open for reading');
    this.#begin('write');
    try {
      const sizeBytes = sizeOf(buffers);
      this.#checkRange('write', offset, sizeBytes);
      const outcome = (await this.#direct?.write(offset, buffers)) ?? 'refused';
      if (outcome === 'short') throw this.#failure('write', offset, 'the kernel took no bytes');
      return outcome === 'done';
    } catch (error) {
      throw this.#failure('write', offset, error);
    } finally {
      this.#end();
    }
  }

  async dropCache(): Promise<void> {
    this.#begin('drop the cache');
    try {
      await this.#parts.kernel.dropCached(this.#parts.descriptor, 0, 0);
    } finally {
      this.#end();
    }
  }

  async #write(descriptor: number, offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    assert(!this.#parts.isReadOnly, 'writing to a device that is open for reading');
    try {
      const sizeBytes = sizeOf(buffers);
      this.#checkRange('write', offset, sizeBytes);
      const done = await writeAll(descriptor, offset, buffers, sizeBytes);
      if (done < sizeBytes) {
        throw this.#failure('write', offset + done, 'the kernel took no bytes');
      }
    } catch (error) {
      throw this.#failure('write', offset, error);
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

  async discard(offset: number, sizeBytes: number): Promise<boolean> {
    const { kernel, kind, descriptor, isReadOnly, punchesHoles } = this.#parts;
    assert(!isReadOnly, 'discarding on a device that is open for reading');
    assert(offset >= 0 && offset + sizeBytes <= this.sizeBytes, 'discarding outside the device');
    this.#begin('discard');
    try {
      // It is a hint: whatever the kernel answers, the range may hold any bytes now.
      if (kind === 'block') {
        return (await kernel.discardBlocks(descriptor, offset, sizeBytes)) === undefined;
      }
      return punchesHoles && (await kernel.punchHole(descriptor, offset, sizeBytes)) === undefined;
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
    await this.#durable.close();
    const { directDescriptor } = this.#parts;
    if (directDescriptor !== undefined) await closeFile(directDescriptor);
    // The kernel's lock belongs to this open file description and goes with it.
    await closeFile(this.#parts.descriptor);
  }

  /** At once, or in the next turn where this one has had its share: that is cheaper than a pool thread. */
  #readCached(offset: number, into: Uint8Array): boolean | Promise<boolean> {
    if (!isShort(into)) return false;
    return this.#hasShare ? this.#readCachedNow(offset, into) : this.#readInTurn(offset, into);
  }

  async #readInTurn(offset: number, into: Uint8Array): Promise<boolean> {
    await this.#nextTurn;
    // Others may have been faster: then a pool thread reads, and nobody waits for ever.
    return this.#hasShare && this.#readCachedNow(offset, into);
  }

  /** Whether this turn has not had its share. */
  get #hasShare(): boolean {
    return this.#cachedReadsOfTurn < CACHED_READS_PER_TURN_MAX;
  }

  #readCachedNow(offset: number, into: Uint8Array): boolean {
    this.#nextTurn ??= this.#turn();
    this.#cachedReadsOfTurn++;
    return this.#parts.kernel.readCached(this.#parts.descriptor, offset, into);
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#cachedReadsOfTurn = 0;
        this.#nextTurn = undefined;
        resolve();
      });
    });
  }

  /**
   * A regular file would grow; and -1, NaN or a fraction mean "where the last call ended" to Node or
   * to the kernel.
   */
  #checkRange(operation: 'read' | 'write', offset: number, sizeBytes: number): void {
    if (this.#isInside(offset, sizeBytes)) return;
    throw this.#failure(operation, offset, 'it is not inside the device');
  }

  #isInside(offset: number, sizeBytes: number): boolean {
    return Number.isInteger(offset) && offset >= 0 && offset + sizeBytes <= this.sizeBytes;
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
    const advice =
      cause === 'ENOSPC' || cause === 'EDQUOT'
        ? 'The file system is full: free some room in it, or make it larger.'
        : 'See the kernel log (dmesg) and the health of the disk.';
    return new DeviceError(
      `Cannot ${operation} on ${this.path}${place}: ${cause}. ${advice}`,
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

function isShort({ length }: Uint8Array): boolean {
  return length > 0 && length <= CACHED_READ_BYTES_MAX;
}

function sizeOf(buffers: readonly Uint8Array[]): number {
  let sizeBytes = 0;
  for (const buffer of buffers) sizeBytes += buffer.length;
  return sizeBytes;
}

function assertWholeBlocks(offset: number, buffers: readonly Uint8Array[]): void {
  const areWhole = buffers.every(({ length }) => length % UNCACHED_BLOCK_BYTES === 0);
  assert(areWhole && offset % UNCACHED_BLOCK_BYTES === 0, 'an uncached transfer is whole blocks');
}
