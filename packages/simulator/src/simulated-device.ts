/**
 * A handle on a simulated disk: the Device port with faults.
 *
 * Operations complete in the seeded order of the {@link SimulatedClock}. A hook sees each operation
 * when it begins and when it ends, so that a test can fork the medium or cut the power exactly there.
 * After {@link SimulatedDevice.halt} (the process died) no operation of this handle ever settles, and
 * none changes the medium unless it was asked to land. While its process is paused, operations under
 * way reach the disk and settle later, and new ones begin later.
 *
 * A write's buffers are compared at its end with what they were at its beginning: changing them while
 * the device works on them is a bug that real devices punish rarely, and this one always.
 */
import {
  assert,
  CACHED_READ_BYTES_MAX,
  concatBytes,
  DeviceError,
  equalBytes,
  SeededRandom,
  UNCACHED_BLOCK_BYTES,
} from '@dozo/base';
import type { Device, LockIdentity } from '@dozo/base';

import type {
  Fault,
  OperationKind,
  SimulatedDeviceCounts,
  SimulatedDeviceOptions,
} from './simulated-device-types.ts';
import type { SimulatedMedium, UnflushedWrite } from './simulated-medium.ts';
import type { InFlight } from './simulated-process.ts';

/** A simulated disk as a process has it open. */
export class SimulatedDevice implements Device {
  readonly path: string;
  readonly sizeBytes: number;
  readonly lockIdentity: LockIdentity;
  readonly #medium: SimulatedMedium;
  readonly #options: SimulatedDeviceOptions;
  readonly #random: SeededRandom;
  /** Of its own: what is read at once changes nothing else of a run. */
  readonly #cachedRandom: SeededRandom;
  readonly #faults: { fault: Fault; left: number }[] = [];
  readonly #counts = { read: 0, write: 0, flush: 0, discard: 0, bytesRead: 0, bytesWritten: 0 };
  readonly #uncachedCounts = { read: 0, write: 0 };
  #cachedReadCount = 0;
  /** The cause of a failure that the next flush to end is told of. */
  #untoldCause: string | undefined;
  #operationCount = 0;
  /** Calls of the process that have not settled. */
  #runningCount = 0;
  /** Operations that have begun and not yet taken effect. */
  #atDiskCount = 0;
  #whenIdle: (() => void)[] = [];
  #state: 'open' | 'closing' | 'closed' | 'halted' = 'open';
  /** What a halt has made of the operations under way. */
  #inFlight: InFlight = 'lost';

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
    this.#cachedRandom = new SeededRandom(options.seed).derive('cached reads');
    const isLocked = (options.access ?? 'exclusive') === 'exclusive';
    if (isLocked) medium.lock(this, this.path, options.cache);
    const { kind, name } = medium.lockIdentity;
    this.lockIdentity = isLocked
      ? { kind, name: options.cache?.lockName ?? name }
      : { kind: 'none', name: '' };
    assert(
      options.process === undefined || options.process.clock === options.clock,
      'a device and its process live in the same time',
    );
    options.process?.onKill((inFlight) => {
      this.halt(inFlight);
    });
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
      uncachedReads: this.#uncachedCounts.read,
      uncachedWrites: this.#uncachedCounts.write,
      cachedReads: this.#cachedReadCount,
      bytesRead,
      bytesWritten,
    };
  }

  /** Arms a fault. Faults of one kind count independently of each other. */
  inject(fault: Fault): void {
    this.#faults.push({ fault, left: fault.after });
  }

  /**
   * The process dies: from now on nothing of this handle settles. What is under way is `lost` (default):
   * it does not change the medium, and its lock is free; follow with {@link SimulatedMedium.crash} to
   * see what it left behind. Or it `lands`: each operation still takes effect in its time, and the
   * lock is free after the last.
   */
  halt(inFlight: InFlight = 'lost'): void {
    if (this.#state === 'halted') return;
    this.#state = 'halted';
    this.#inFlight = inFlight;
    if (inFlight === 'lost' || this.#atDiskCount === 0) this.#medium.unlock(this);
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#read(offset, into, false);
  }

  /**
   * As often as {@link SimulatedDeviceOptions.cachedReadShare} says. Counted, watched and corrupted as a read;
   * what is due to fail or to take longer is left to `read`.
   */
  readCached(offset: number, into: Uint8Array): boolean {
    const { cachedReadShare = 0, alignmentBytes = 1, process } = this.#options;
    if (cachedReadShare === 0 || this.#state !== 'open' || process?.state === 'paused')
      return false;
    if (into.length > CACHED_READ_BYTES_MAX || !this.#cachedRandom.chance(cachedReadShare))
      return false;
    const isAligned = offset % alignmentBytes === 0 && into.length % alignmentBytes === 0;
    if (!isAligned || offset < 0 || offset + into.length > this.sizeBytes) return false;
    const isLeft = this.#faults.some(
      ({ fault, left }) => fault.kind === 'read' && left === 0 && fault.effect !== 'corrupt',
    );
    if (isLeft) return false;
    const event = { kind: 'read', offset, sizeBytes: into.length, isUncached: false } as const;
    const index = this.#operationCount++;
    this.#counts.read++;
    const fault = this.#takeFault('read');
    this.#options.onOperation?.({ index, ...event, phase: 'begin' });
    if (this.#isHalted()) return false;
    this.#readNow(offset, into, false, fault);
    this.#cachedReadCount++;
    this.#options.onOperation?.({ index, ...event, phase: 'end' });
    return !this.#isHalted();
  }

  /** Counted, watched and made to fail as a read. */
  async readUncached(offset: number, into: Uint8Array): Promise<void> {
    assertWholeBlocks(offset, [into]);
    await this.#read(offset, into, true);
  }

  #read(offset: number, into: Uint8Array, isUncached: boolean): Promise<void> {
    const operation = { kind: 'read', offset, sizeBytes: into.length, isUncached } as const;
    return this.#run(operation, (fault) => {
      if (offset < 0 || offset + into.length > this.sizeBytes) {
        throw this.#failure('read', offset, 'past the end of the device');
      }
      return () => {
        if (fault?.effect === 'fail') throw this.#failure('read', offset, fault.cause ?? 'EIO');
        this.#readNow(offset, into, isUncached, fault);
      };
    });
  }

  #readNow(offset: number, into: Uint8Array, isUncached: boolean, fault: Fault | undefined): void {
    this.#fill(offset, into, isUncached);
    this.#counts.bytesRead += into.length;
    if (fault?.effect === 'corrupt' && into.length > 0) {
      const index = this.#random.below(into.length);
      into[index] = (into[index] as number) ^ (1 << this.#random.below(8));
    }
  }

  #fill(offset: number, into: Uint8Array, isUncached: boolean): void {
    const { cache } = this.#options;
    if (isUncached) this.#medium.readDiskInto(offset, into);
    else if (cache === undefined) this.#medium.readInto(offset, into);
    else {
      cache.read(offset, into, this.sizeBytes, (pageOffset, page) => {
        this.#medium.readDiskInto(pageOffset, page);
      });
    }
  }

  write(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    return this.#write(offset, buffers, {});
  }

  /** Counted, watched and made to fail as a write and then a flush, which covers nothing else. */
  writeDurably(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    return this.#writeAndFlush(offset, buffers, false);
  }

  /** Counted, watched and made to fail as a write and then a flush, which covers nothing else. */
  async writeUncached(offset: number, buffers: readonly Uint8Array[]): Promise<void> {
    assertWholeBlocks(offset, buffers);
    await this.#writeAndFlush(offset, buffers, true);
  }

  async #writeAndFlush(
    offset: number,
    buffers: readonly Uint8Array[],
    isUncached: boolean,
  ): Promise<void> {
    const own: { write?: UnflushedWrite } = {};
    // The step in between is the kernel's: it does not wait for a process that is paused.
    const onResolved = (write: UnflushedWrite): void => {
      own.write = write;
    };
    // Closing waits for both.
    this.#runningCount++;
    try {
      await this.#write(offset, buffers, { onResolved, isUncached, isKernels: true });
      await this.#flush((write) => write === own.write, 'kernel');
    } finally {
      this.#endRunning();
    }
  }

  /** No operation of the device: neither counted nor watched. */
  async dropCache(): Promise<void> {
    if (this.#state === 'halted') await new Promise(() => undefined);
    if (this.#state !== 'open') throw this.#closedError('drop the cache');
    this.#options.cache?.drop();
  }

  #write(
    offset: number,
    buffers: readonly Uint8Array[],
    how: {
      readonly onResolved?: (write: UnflushedWrite) => void;
      readonly isUncached?: boolean;
      readonly isKernels?: boolean;
    },
  ): Promise<void> {
    assert(this.#options.access !== 'read-only', 'writing to a device that is open for reading');
    const bytes = concatBytes(buffers);
    const { onResolved, isUncached = false, isKernels = false } = how;
    const sizeBytes = bytes.length;
    const operation = { kind: 'write', offset, sizeBytes, isUncached, bytes } as const;
    const begin = (fault: Fault | undefined): (() => void) => {
      if (offset < 0 || offset + bytes.length > this.sizeBytes) {
        throw this.#failure('write', offset, 'past the end of the device');
      }
      const shift = fault?.effect === 'misdirect' ? fault.byBytes : 0;
      const write = this.#medium.beginWrite(this.#landing(offset + shift, bytes.length), bytes);
      return () => {
        assert(equalBytes(concatBytes(buffers), bytes), 'buffers changed during a write');
        if (fault?.effect === 'fail') {
          // It stays listed as never resolved: a crash may keep any part of it.
          throw this.#failure('write', offset, fault.cause ?? 'EIO');
        }
        this.#counts.bytesWritten += bytes.length;
        if (fault?.effect === 'lose') this.#medium.forgetWrite(write);
        else this.#medium.resolveWrite(write);
        // The host believes that it was written where it was told to.
        if (isUncached) this.#options.cache?.forget(offset, bytes.length);
        else this.#options.cache?.update(offset, bytes);
        onResolved?.(write);
      };
    };
    return this.#run(operation, begin, isKernels ? 'first' : 'whole');
  }

  /** Where a write lands: what is misdirected past one end of the disk comes in at the other. */
  #landing(offset: number, sizeBytes: number): number {
    const inside = ((offset % this.sizeBytes) + this.sizeBytes) % this.sizeBytes;
    return Math.min(inside, this.sizeBytes - sizeBytes);
  }

  flush(): Promise<void> {
    return this.#flush(() => true, 'process');
  }

  #flush(covers: (write: UnflushedWrite) => boolean, by: 'process' | 'kernel'): Promise<void> {
    const operation = { kind: 'flush', offset: 0, sizeBytes: 0, isUncached: false } as const;
    const begin = (fault: Fault | undefined): (() => void) => {
      const covered = this.#medium.coveredByFlush().filter(covers);
      const isTold = fault?.effect === 'tell-another';
      if (isTold) this.#untoldCause = fault.cause ?? 'EIO';
      return () => {
        if (fault?.effect === 'fail' || isTold) this.#medium.loseSome(covered, this.#random);
        else if (fault?.effect !== 'lose') this.#medium.makeDurable(covered);
        const cause = fault?.effect === 'fail' ? (fault.cause ?? 'EIO') : this.#untoldCause;
        this.#untoldCause = undefined;
        if (cause !== undefined) throw this.#failure('flush', 0, cause);
      };
    };
    return this.#run(operation, begin, by === 'kernel' ? 'last' : 'whole');
  }

  async discard(offset: number, sizeBytes: number): Promise<boolean> {
    assert(this.#options.access !== 'read-only', 'discarding on a device that is open for reading');
    const operation = { kind: 'discard', offset, sizeBytes, isUncached: false } as const;
    await this.#run(operation, () => {
      // What a discarded range reads as is up to the device: its old bytes, zeros or anything.
      const choice = this.#random.below(3);
      if (choice === 0) return () => undefined;
      const bytes = choice === 1 ? new Uint8Array(sizeBytes) : this.#random.bytes(sizeBytes);
      const write = this.#medium.beginWrite(offset, bytes);
      return () => {
        this.#medium.resolveWrite(write);
        this.#options.cache?.forget(offset, sizeBytes);
      };
    });
    return true;
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

  /**
   * Runs `begin` now and the effect that it returns when the operation completes.
   *
   * @param part of what the process asked for: `first` and `last` are two steps of one call, between
   *   which the kernel does not come back to the process.
   */
  #run(
    operation: Operation,
    begin: (fault: Fault | undefined) => () => void,
    part: 'whole' | 'first' | 'last' = 'whole',
  ): Promise<void> {
    const { kind, offset, sizeBytes } = operation;
    const { alignmentBytes = 1, process } = this.#options;
    assert(
      offset % alignmentBytes === 0 && sizeBytes % alignmentBytes === 0,
      `a ${kind} of ${String(sizeBytes)} bytes at ${String(offset)} is not aligned`,
    );
    if (this.#state === 'halted') return new Promise(() => undefined);
    // The second step of a call belongs to the first.
    if (this.#state !== 'open' && !(this.#state === 'closing' && part === 'last')) {
      return Promise.reject(this.#closedError(kind));
    }
    if (part === 'last' || process?.state !== 'paused') {
      return this.#start(operation, begin, part);
    }
    // The process was stopped just before the call.
    this.#runningCount++;
    return new Promise((resolve, reject) => {
      process.deliver(() => {
        this.#runningCount--;
        if (!this.#isHalted()) this.#start(operation, begin, part).then(resolve, reject);
      });
    });
  }

  #start(
    operation: Operation,
    begin: (fault: Fault | undefined) => () => void,
    part: 'whole' | 'first' | 'last',
  ): Promise<void> {
    const { clock, latencyMsMax = 2, process } = this.#options;
    const { kind } = operation;
    const index = this.#operationCount++;
    this.#counts[kind]++;
    if (operation.isUncached && (kind === 'read' || kind === 'write')) this.#uncachedCounts[kind]++;
    return new Promise((resolve, reject) => {
      const fault = this.#takeFault(kind);
      const effect = begin(fault);
      this.#options.onOperation?.({ index, ...operation, phase: 'begin' });
      // Halted in the hook: what was listed stays at stake, and nothing settles.
      if (this.#isHalted()) return;
      this.#runningCount++;
      this.#atDiskCount++;
      const completed = (): void => {
        const settle = this.#complete(index, operation, effect, { resolve, reject });
        // The first step of a call comes back to the kernel, not to the process.
        if (process === undefined || part === 'first') settle();
        else process.deliver(settle);
      };
      const isLate = fault?.effect === 'delay' || fault?.effect === 'tell-another';
      clock.complete(latencyMsMax, completed, isLate ? (fault.byMs ?? 0) : 0);
    });
  }

  /** Takes effect on the medium; returns what tells the process of it. */
  #complete(
    index: number,
    operation: Operation,
    effect: () => void,
    { resolve, reject }: { resolve: () => void; reject: (error: unknown) => void },
  ): () => void {
    if (this.#isHalted() && this.#inFlight === 'lost') return () => undefined;
    let tell = resolve;
    try {
      effect();
      this.#options.onOperation?.({ index, ...operation, phase: 'end' });
    } catch (error) {
      tell = () => {
        reject(error);
      };
    }
    this.#atDiskCount--;
    if (this.#isHalted() && this.#atDiskCount === 0) this.#medium.unlock(this);
    return () => {
      // Halted in the hook or since: it took effect, and the process never learned of it.
      if (!this.#isHalted()) tell();
      this.#endRunning();
    };
  }

  #endRunning(): void {
    this.#runningCount--;
    this.#wakeIdle();
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

interface Operation {
  readonly kind: OperationKind;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly isUncached: boolean;
  readonly bytes?: Uint8Array;
}

function assertWholeBlocks(offset: number, buffers: readonly Uint8Array[]): void {
  const areWhole = buffers.every(({ length }) => length % UNCACHED_BLOCK_BYTES === 0);
  assert(areWhole && offset % UNCACHED_BLOCK_BYTES === 0, 'an uncached transfer is whole blocks');
}
