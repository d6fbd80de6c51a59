/**
 * What a simulated disk holds, and what a crash leaves of it.
 *
 * The medium keeps three versions of its content: *current*, what reads see, with every resolved
 * write; *disk*, what reads past the page cache see; and *durable*, what a crash can no longer take.
 * Writes in between are listed. A flush moves those
 * that had resolved before it began to the durable version. A crash starts from the durable version
 * and keeps each listed write whole, in part or not at all, independently, which covers reordering: a
 * later one may survive an earlier one.
 *
 * A failed flush is modelled on Linux: the pages count as clean afterwards, so reads go on showing
 * the writes, and no later flush will write them. Code that retries a flush loses data here as there.
 * Only there current and disk differ: the kernel writes dirty pages out before it reads past them.
 *
 * `fork` and `crash` make media of their own and cost no copy of the content, so that a test can try
 * a crash at every operation of one run.
 */
import { assert, DeviceError } from '@dozo/base';
import type { LockIdentity, SeededRandom } from '@dozo/base';

import { drawSurvivors } from './crash-survival.ts';
import type { Tearing } from './crash-survival.ts';
import { PageStore } from './page-store.ts';

/** A write that a crash may still take. Belongs to the medium and its device handles. */
export interface UnflushedWrite {
  readonly offset: number;
  /** Never changes. */
  readonly bytes: Uint8Array;
  /** Whether it has resolved; only then does a flush cover it and a read see it. */
  isResolved: boolean;
}

export interface CrashOptions {
  /**
   * `power`: everything unflushed is at stake. `process`: only the process died; what has resolved
   * stays in the page cache, what was under way is at stake. Default `power`.
   */
  readonly kind?: 'power' | 'process';
  /** Default `sector`. */
  readonly tearing?: Tearing;
}

/** One simulated disk. A `SimulatedDevice` is a handle on it. */
export class SimulatedMedium {
  readonly sizeBytes: number;
  readonly lockIdentity: LockIdentity;
  #current = new PageStore();
  #disk = new PageStore();
  #durable = new PageStore();
  #unflushed = new Set<UnflushedWrite>();
  /** Who has locked it, for each kernel and path by which it is reached. */
  readonly #lockHolders = new Map<object | undefined, object>();

  /**
   * @param name tells this disk from the others of one test, in its lock identity. It is written to
   *   disks, so it must follow from the seed.
   */
  constructor(sizeBytes: number, name = 'simulated') {
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0, 'a medium has a size');
    this.sizeBytes = sizeBytes;
    this.lockIdentity = { kind: 'file', name };
  }

  /** How many writes a crash could take now. */
  get unflushedWriteCount(): number {
    return this.#unflushed.size;
  }

  /** A medium of its own in the same state, writes under way included; nobody has it open. */
  fork(): SimulatedMedium {
    const other = this.#sibling();
    other.#current = this.#current.fork();
    other.#disk = this.#disk.fork();
    other.#durable = this.#durable.fork();
    for (const write of this.#unflushed) other.#unflushed.add({ ...write });
    return other;
  }

  /**
   * What is found after a crash at this moment: a medium of its own, which nobody has open, with the
   * lock identity of this one, for it is the same disk. This one is not changed and may go on.
   */
  crash(random: SeededRandom, options: CrashOptions = {}): SimulatedMedium {
    const { kind = 'power', tearing = 'sector' } = options;
    const after = this.#sibling();
    // Some crashes keep nearly everything, some nearly nothing, most are mixed.
    const keepProbability = random.pick([0, 0.5, 0.5, 0.9, 1]);
    if (kind === 'process') {
      after.#current = this.#current.fork();
      after.#disk = this.#disk.fork();
      after.#durable = this.#durable.fork();
    } else {
      after.#current = this.#durable.fork();
      after.#disk = this.#durable.fork();
    }
    for (const write of this.#unflushed) {
      if (kind === 'process' && write.isResolved) {
        after.#unflushed.add({ ...write });
        continue;
      }
      const size = { offset: write.offset, sizeBytes: write.bytes.length };
      for (const range of drawSurvivors(random, tearing, size, keepProbability)) {
        const bytes = write.bytes.subarray(range.start, range.end);
        const offset = write.offset + range.start;
        after.#current.write(offset, bytes);
        after.#disk.write(offset, bytes);
        if (kind === 'process') after.#unflushed.add({ offset, bytes, isResolved: true });
      }
    }
    if (kind === 'power') after.#durable = after.#current.fork();
    return after;
  }

  /** Flips bits of the byte at `offset`, as rot does, in what reads see and in what a crash leaves. */
  corrupt(offset: number, mask = 1): void {
    assert(mask > 0 && mask < 256, 'a mask flips at least one bit of a byte');
    for (const store of [this.#current, this.#disk, this.#durable]) {
      const byte = new Uint8Array(1);
      store.read(offset, byte);
      store.write(
        offset,
        byte.map((value) => value ^ mask),
      );
    }
  }

  /** Bytes as reads see them now, without an operation. */
  peek(offset: number, sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    this.readInto(offset, bytes);
    return bytes;
  }

  /** Puts durable bytes there, without an operation: for tests that damage or prepare a medium. */
  poke(offset: number, bytes: Uint8Array): void {
    this.#checkRange(offset, bytes.length);
    // `slice` of a Node Buffer would be a view.
    const copy = Uint8Array.prototype.slice.call(bytes);
    for (const store of [this.#current, this.#disk, this.#durable]) store.write(offset, copy);
  }

  /** For `SimulatedDevice`: fills `into` with what reads see now. */
  readInto(offset: number, into: Uint8Array): void {
    this.#checkRange(offset, into.length);
    this.#current.read(offset, into);
  }

  /** For `SimulatedDevice`: fills `into` with what reads past the page cache see now. */
  readDiskInto(offset: number, into: Uint8Array): void {
    this.#checkRange(offset, into.length);
    this.#disk.read(offset, into);
  }

  /**
   * For `SimulatedDevice`: takes the lock for `holder` or throws `DEVICE_BUSY`. It excludes those who
   * reach the disk by the same kernel and path, which `by` stands for.
   */
  lock(holder: object, path: string, by: object | undefined): void {
    if (this.#lockHolders.has(by)) {
      throw new DeviceError(
        `Cannot open ${path}: another process has it open. Stop that one first.`,
        {
          code: 'DEVICE_BUSY',
          path,
        },
      );
    }
    this.#lockHolders.set(by, holder);
  }

  /** For `SimulatedDevice`: gives the lock back if `holder` has it. */
  unlock(holder: object): void {
    for (const [by, other] of this.#lockHolders) {
      if (other === holder) this.#lockHolders.delete(by);
    }
  }

  /**
   * For `SimulatedDevice`: lists a write that has begun; a crash may keep parts of it from now on. The
   * bytes belong to the medium and must never change.
   */
  beginWrite(offset: number, bytes: Uint8Array): UnflushedWrite {
    this.#checkRange(offset, bytes.length);
    const write = { offset, bytes, isResolved: false };
    this.#unflushed.add(write);
    return write;
  }

  /** For `SimulatedDevice`: the write resolves; reads see it from now on. */
  resolveWrite(write: UnflushedWrite): void {
    write.isResolved = true;
    // Listed in the order of resolving, which is the order that reads see.
    this.#unflushed.delete(write);
    this.#unflushed.add(write);
    this.#current.write(write.offset, write.bytes);
    this.#disk.write(write.offset, write.bytes);
  }

  /** For `SimulatedDevice`: the writes that a flush which begins now covers. */
  coveredByFlush(): readonly UnflushedWrite[] {
    return [...this.#unflushed].filter((write) => write.isResolved);
  }

  /** For `SimulatedDevice`: makes writes durable, those that are still listed. */
  makeDurable(writes: readonly UnflushedWrite[]): void {
    for (const write of writes) {
      if (this.#unflushed.delete(write)) this.#durable.write(write.offset, write.bytes);
    }
  }

  /** For `SimulatedDevice`: a failed flush keeps some of the writes and forgets the others. */
  loseSome(writes: readonly UnflushedWrite[], random: SeededRandom): void {
    for (const write of writes) {
      if (!this.#unflushed.delete(write)) continue;
      if (random.chance(0.5)) this.#durable.write(write.offset, write.bytes);
      else this.#takeFromDisk(write);
    }
  }

  /** The pages count as clean and were never written: past the cache there is what was before. */
  #takeFromDisk({ offset, bytes }: UnflushedWrite): void {
    const before = new Uint8Array(bytes.length);
    this.#durable.read(offset, before);
    this.#disk.write(offset, before);
    for (const other of this.#unflushed) {
      const start = Math.max(offset, other.offset);
      const end = Math.min(offset + bytes.length, other.offset + other.bytes.length);
      if (!other.isResolved || start >= end) continue;
      this.#disk.write(start, other.bytes.subarray(start - other.offset, end - other.offset));
    }
  }

  /** For `SimulatedDevice`: forgets a write that never reached the medium. */
  forgetWrite(write: UnflushedWrite): void {
    this.#unflushed.delete(write);
  }

  #sibling(): SimulatedMedium {
    return new SimulatedMedium(this.sizeBytes, this.lockIdentity.name);
  }

  #checkRange(offset: number, sizeBytes: number): void {
    assert(
      Number.isSafeInteger(offset) && offset >= 0 && offset + sizeBytes <= this.sizeBytes,
      `range [${String(offset)}, ${String(offset + sizeBytes)}) is outside the device`,
    );
  }
}
