/**
 * A handle on a simulated disk: the Device port with faults.
 *
 * Operations complete in the seeded order of the {@link SimulatedClock}. A hook sees each operation
 * when it begins and when it ends, so that a test can fork the medium or cut the power exactly there.
 * After {@link SimulatedDevice.halt} (the process died) no operation of this handle ever settles and
 * none changes the medium.
 *
 * A write's buffers are compared at its end with what they were at its beginning: changing them while
 * the device works on them is a bug that real devices punish rarely, and this one always.
 */
import {
  assert,
  concatBytes,
  DeviceError,
  equalBytes,
  SeededRandom,
  UNCACHED_BLOCK_BYTES,
} from '@dozo/base';
import type { Device, LockIdentity } from '@dozo/base';

import type { SimulatedClock } from './simulated-clock.ts';
import type { SimulatedMedium, UnflushedWrite } from './simulated-medium.ts';

/** The operations of a device that can be counted, watched and made to fail. */
export type OperationKind = 'read' | 'write' | 'flush' | 'discard';

/** An operation that begins or ends. */
export interface OperationEvent {
  /** 0 for the handle's first operation, then 1, 2, ... in order of beginning. */
  readonly index: number;
  readonly kind: OperationKind;
  readonly phase: 'begin' | 'end';
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * A fault that hits one operation.
 *
 * - `fail`: it rejects with `cause`, default `EIO`. A failed write has an unknown part of its bytes
 *   on the medium, a failed flush an unknown part of the writes.
 * - `lose`: it resolves and never happens.
 * - `misdirect`: it resolves and lands `byBytes` further on (or back).
 * - `corrupt`: one bit of what it returns is wrong; the medium is not.
 */
export type Fault = {
  /** How many of that kind pass first. */ readonly after: number;
} & (
  | {
      readonly kind: 'read' | 'write' | 'flush';
      readonly effect: 'fail';
      readonly cause?: string;
    }
  | { readonly kind: 'write' | 'flush'; readonly effect: 'lose' }
  | { readonly kind: 'write'; readonly effect: 'misdirect'; readonly byBytes: number }
  | { readonly kind: 'read'; readonly effect: 'corrupt' }
);

export interface SimulatedDeviceOptions {
  readonly clock: SimulatedClock;
  readonly seed: string | number;
  /** Default `simulated`. */
  readonly path?: string;
  /**
   * `exclusive` (default) takes the lock. `read-only` takes none and cannot write. `unlocked` writes
   * without a lock, as a zombie or a second path to the same disk does.
   */
  readonly access?: 'exclusive' | 'read-only' | 'unlocked';
  /** Each operation takes up to so much virtual time. Default 2. */
  readonly latencyMsMax?: number;
  /** Asserts that offsets and sizes of reads and writes are multiples of this. Default 1. */
  readonly alignmentBytes?: number;
  /**
   * Called when each operation has begun and when it has ended. A write that has begun is at stake: a
   * crash there keeps all, parts or nothing of it; one that has ended is what reads see.
   */
  readonly onOperation?: (event: OperationEvent) => void;
}

/** Operations and bytes since the handle was opened; operations are counted when they begin. */
export interface SimulatedDeviceCounts {
  readonly reads: number;
  readonly writes: number;
  readonly flushes: number;
  readonly discards: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** A simulated disk as a process has it open. */
export class SimulatedDevice implements Device {
  readonly path: string;
  readonly sizeBytes: number;
  readonly lockIdentity: LockIdentity;
  readonly #medium: SimulatedMedium;
  readonly #options: SimulatedDeviceOptions;
  readonly #random: SeededRandom;
  readonly #faults: { fault: Fault; left: number }[] = [];
  readonly #counts = { read: 0, write: 0, flush: 0, discard: 0, bytesRead: 0, bytesWritten: 0 };
  #operationCount = 0;
  #runningCount = 0;
  #whenIdle: (() => void)[] = [];
  #state: 'open' | 'closing' | 'closed' | 'halted' = 'open';

  /**
   * Opens `medium`. Throws `DEVICE_BUSY` while another handle holds its lock, unless `access` asks for
   * none.
   */
  constructor(medium: SimulatedMedium, options: SimulatedDeviceOptions) {
    this.path = options.path ?? 'simulated';
    this.sizeBytes = medium.sizeBytes;
    this.#medium = medium;
    this.#options = options;
    this.#random = new SeededRandom(options.seed).derive('device');
    const isLocked = (options.access ?? 'exclusive') === 'exclusive';
    if (isLocked) medium.lock(this, this.path);
    this.lockIdentity = isLocked ? medium.lockIdentity : { kind: 'none', name: '' };
  }

  /** How many operations have begun. */
  get operationCount(): number {
    return this.#operationCount;
  }

  counts(): SimulatedDeviceCounts {
    const { read, write, flush, discard, bytesRead, bytesWritten } = this.#counts;
    return {
      reads: read,
      writes: write,
      flushes: flush,
      discards: discard,
      bytesRead,
      bytesWritten,
    };
  }

  /** Arms a fault. Faults of one kind count independently of each other. */
  inject(fault: Fault): void {
    this.#faults.push({ fault, left: fault.after });
  }

  /**
   * The process dies: from now on nothing of this handle settles or changes the medium, and its lock
   * is free. Follow with {@link SimulatedMedium.crash} to see what it left behind.
   */
  halt(): void {
    this.#state = 'halted';
    this.#medium.unlock(this);
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#read(offset, into, () => {
      this.#medium.readInto(offset, into);
    });
  }

  /** Counted, watched and made to fail as a read. */
  async readUncached(offset: number, into: Uint8Array): Promise<void> {
    assertWholeBlocks(offset, [into]);
    await this.#read(offset, into, () => {
      this.#medium.readDiskInto(offset, into);
    });
  }

  #read(offset: number, into: Uint8Array, fill: () => void): Promise<void> {
    return this.#run('read', offset, into.length, (fault) => {
      if (offset < 0 || offset + into.length > this.sizeBytes) {
        throw this.#failure('read', offset, 'past the end of the device');
      }
      return () => {
        if (fault?.effect === 'fail') throw this.#failure('read', offset, fault.cause ?? 'EIO');
        fill();
        this.#counts.bytesRead += into.length;
        if (fault?.effect === 'corrupt' && into.length > 0) {
          const index = this.#random.below(into.length);
          into[index] = (into[index] as number) ^ (1 << this.#random.below(8));
        }
      };
    });
  }

  write(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    return this.#write(offset, buffers);
  }

  /** Counted, watched and made to fail as a write and then a flush, which covers nothing else. */
  async writeDurably(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    const own: { write?: UnflushedWrite } = {};
    await this.#write(offset, buffers, (write) => (own.write = write));
    await this.#flush((write) => write === own.write);
  }

  /** Counted, watched and made to fail as a write and then a flush, which covers nothing else. */
  async writeUncached(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    assertWholeBlocks(offset, buffers);
    await this.writeDurably(offset, buffers);
  }

  /** No operation of the device: neither counted nor watched. */
  async dropCache(): Promise<void> {
    if (this.#state === 'halted') await new Promise(() => undefined);
    if (this.#state !== 'open') throw this.#closedError('drop the cache');
  }

  #write(
    offset: number,
    buffers: readonly Uint8Array[],
    onResolved?: (write: UnflushedWrite) => void,
  ): Promise<void> {
    assert(this.#options.access !== 'read-only', 'writing to a device that is open for reading');
    const bytes = concatBytes(buffers);
    return this.#run('write', offset, bytes.length, (fault) => {
      if (offset < 0 || offset + bytes.length > this.sizeBytes) {
        throw this.#failure('write', offset, 'past the end of the device');
      }
      const shift = fault?.effect === 'misdirect' ? fault.byBytes : 0;
      const write = this.#medium.beginWrite(offset + shift, bytes);
      return () => {
        assert(equalBytes(concatBytes(buffers), bytes), 'buffers changed during a write');
        if (fault?.effect === 'fail') {
          // It stays listed as never resolved: a crash may keep any part of it.
          throw this.#failure('write', offset, fault.cause ?? 'EIO');
        }
        this.#counts.bytesWritten += bytes.length;
        if (fault?.effect === 'lose') this.#medium.forgetWrite(write);
        else this.#medium.resolveWrite(write);
        onResolved?.(write);
      };
    });
  }

  flush(): Promise<void> {
    return this.#flush(() => true);
  }

  #flush(covers: (write: UnflushedWrite) => boolean): Promise<void> {
    return this.#run('flush', 0, 0, (fault) => {
      const covered = this.#medium.coveredByFlush().filter(covers);
      return () => {
        if (fault?.effect === 'fail') {
          this.#medium.loseSome(covered, this.#random);
          throw this.#failure('flush', 0, fault.cause ?? 'EIO');
        }
        if (fault?.effect !== 'lose') this.#medium.makeDurable(covered);
      };
    });
  }

  discard(offset: number, sizeBytes: number): Promise<void> {
    assert(this.#options.access !== 'read-only', 'discarding on a device that is open for reading');
    return this.#run('discard', offset, sizeBytes, () => {
      // What a discarded range reads as is up to the device: its old bytes, zeros or anything.
      const choice = this.#random.below(3);
      if (choice === 0) return () => undefined;
      const bytes = choice === 1 ? new Uint8Array(sizeBytes) : this.#random.bytes(sizeBytes);
      const write = this.#medium.beginWrite(offset, bytes);
      return () => {
        this.#medium.resolveWrite(write);
      };
    });
  }

  async close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing';
    if (this.#runningCount > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle.push(resolve);
      });
    }
    if (this.#state === 'halted') return;
    this.#state = 'closed';
    this.#medium.unlock(this);
  }

  /** Runs `begin` now and the effect that it returns when the operation completes. */
  #run(
    kind: OperationKind,
    offset: number,
    sizeBytes: number,
    begin: (fault: Fault | undefined) => () => void,
  ): Promise<void> {
    const { clock, latencyMsMax = 2, alignmentBytes = 1, onOperation } = this.#options;
    assert(
      offset % alignmentBytes === 0 && sizeBytes % alignmentBytes === 0,
      `a ${kind} of ${String(sizeBytes)} bytes at ${String(offset)} is not aligned`,
    );
    if (this.#state === 'halted') return new Promise(() => undefined);
    if (this.#state !== 'open') {
      return Promise.reject(this.#closedError(kind));
    }
    const index = this.#operationCount++;
    this.#counts[kind]++;
    return new Promise((resolve, reject) => {
      const effect = begin(this.#takeFault(kind));
      onOperation?.({ index, kind, phase: 'begin', offset, sizeBytes });
      // Halted in the hook: what was listed stays at stake, and nothing settles.
      if (this.#isHalted()) return;
      this.#runningCount++;
      clock.complete(latencyMsMax, () => {
        if (this.#isHalted()) return;
        this.#runningCount--;
        try {
          effect();
          onOperation?.({ index, kind, phase: 'end', offset, sizeBytes });
          // Halted in the hook: it took effect, and the process never learned of it.
          if (!this.#isHalted()) resolve();
        } catch (error) {
          // Passed on as it is.
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
          reject(error);
        }
        this.#wakeIdle();
      });
    });
  }

  #isHalted(): boolean {
    return this.#state === 'halted';
  }

  #wakeIdle(): void {
    if (this.#runningCount > 0) return;
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const wake of waiting) wake();
  }

  #takeFault(kind: OperationKind): Fault | undefined {
    let taken: Fault | undefined;
    for (const armed of this.#faults) {
      if (armed.fault.kind === kind && armed.left-- === 0) taken = armed.fault;
    }
    return taken;
  }

  #closedError(action: string): DeviceError {
    const message = `Cannot ${action} on ${this.path}: it has been closed.`;
    return new DeviceError(message, { code: 'DEVICE_CLOSED', path: this.path });
  }

  #failure(kind: 'read' | 'write' | 'flush', offset: number, cause: string): DeviceError {
    const code = (
      {
        read: 'DEVICE_READ_FAILED',
        write: 'DEVICE_WRITE_FAILED',
        flush: 'DEVICE_FLUSH_FAILED',
      } as const
    )[kind];
    const place = kind === 'flush' ? '' : ` at offset ${String(offset)}`;
    const message = `Cannot ${kind} on ${this.path}${place}: ${cause}.`;
    return new DeviceError(message, { code, path: this.path, offset, cause });
  }
}

function assertWholeBlocks(offset: number, buffers: readonly Uint8Array[]): void {
  const areWhole = buffers.every(({ length }) => length % UNCACHED_BLOCK_BYTES === 0);
  assert(areWhole && offset % UNCACHED_BLOCK_BYTES === 0, 'an uncached transfer is whole blocks');
}
