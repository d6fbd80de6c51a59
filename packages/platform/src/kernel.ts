/**
 * The calls of the C library that Node does not offer: locks, allocation, ioctls, the boot clock.
 *
 * They go through koffi, which ships compiled with its package. Every call returns `undefined` or the
 * name of the error (`EAGAIN`), because each of them is expected to fail somewhere. What can
 * take long runs on a thread of the pool.
 *
 * Source: flock(2), fallocate(2), posix_fadvise(2), ioctl_list(2), clock_gettime(2), `linux/fs.h`, `linux/falloc.h`.
 */
import { CACHED_READ_BYTES_MAX } from '@dozo/base';
import type koffi from 'koffi';

import { bindForeign, importKoffi } from './foreign.ts';
import type { ImportForeign } from './foreign.ts';

// Not by `import`: for that Node evaluates all exports of the module, and one of them touches
// `process.stderr`, which makes a pipe behind it non-blocking for every process that shares it.
const { getSystemErrorName } = process.getBuiltinModule('node:util');

/** How a call ended: `undefined`, or the kernel's name of the error. */
export type KernelOutcome = string | undefined;

/** The calls. A test passes its own. */
export interface Kernel {
  /** `flock(LOCK_EX | LOCK_NB)`. `EAGAIN` when another open file description has the lock. */
  lockExclusive(descriptor: number): KernelOutcome;
  /** Allocates `[startBytes, sizeBytes)`, default from 0; the file has at least that size afterwards. */
  allocate(descriptor: number, sizeBytes: number, startBytes?: number): Promise<KernelOutcome>;
  /** Gives the blocks of a range of a regular file back to the file system. */
  punchHole(descriptor: number, offset: number, sizeBytes: number): Promise<KernelOutcome>;
  /** Discards a range of a block device. */
  discardBlocks(descriptor: number, offset: number, sizeBytes: number): Promise<KernelOutcome>;
  /** Size of a block device in bytes, or the name of the error. */
  blockDeviceSize(descriptor: number): number | string;
  /** Whether writes to a block device would fail although it could be opened for writing. */
  isBlockDeviceReadOnly(descriptor: number): boolean;
  /**
   * Reads at once, on this thread, what is wholly in the page cache: `preadv2(RWF_NOWAIT)`, which
   * never waits for a device. False when it is not there, or the file system cannot tell; then `into`
   * is unchanged. At most {@link CACHED_READ_BYTES_MAX} bytes.
   */
  readCached(descriptor: number, offset: number, into: Uint8Array): boolean;
  /**
   * Forgets cached pages of a range that are not waiting to be written; a size of 0 means to the end.
   * A hint: it says nothing of how it went.
   */
  dropCached(descriptor: number, offset: number, sizeBytes: number): Promise<void>;
  /** `CLOCK_BOOTTIME` in ms: it counts suspended time. */
  bootTimeMs(): number;
}

const LOCK_EX_NB = 2 | 4;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const BLKDISCARD = 0x1277;
const BLKGETSIZE64 = 0x80081272;
const BLKROGET = 0x125e;
const RWF_NOWAIT = 8;
const POSIX_FADV_DONTNEED = 4;
const CLOCK_BOOTTIME = 7;

let loaded: Kernel | undefined;

/**
 * The calls of this machine. Throws `KERNEL_CALLS_UNAVAILABLE`.
 *
 * Loaded on first use, so that importing this package works everywhere.
 *
 * @param importForeign for tests: where koffi comes from.
 */
export async function loadKernel(importForeign: ImportForeign = importKoffi): Promise<Kernel> {
  if (loaded !== undefined && importForeign === importKoffi) return loaded;
  loaded = await bindForeign(importForeign, 'no device can be locked', bindKernel);
  return loaded;
}

type NativeCall = (...parameters: unknown[]) => number;

function bindKernel(foreign: typeof koffi): Kernel {
  const library = foreign.load(null);
  const flock = library.func('int flock(int descriptor, int operation)');
  const fallocate = library.func(
    'int fallocate(int descriptor, int mode, int64_t at, int64_t size)',
  );
  const fadvise = library.func(
    'int posix_fadvise(int descriptor, int64_t at, int64_t size, int advice)',
  );
  const ioctl = library.func('int ioctl(int descriptor, unsigned long request, void *argument)');
  const clockGettime = library.func('int clock_gettime(int clock, void *time)') as NativeCall;
  const outcome = (result: number): KernelOutcome =>
    result === 0 ? undefined : getSystemErrorName(-foreign.errno());
  // An array among the parameters must outlive the call, and koffi does not hold it: collected before
  // its turn on the thread pool, the kernel would be given the range to discard from freed memory.
  const running = new Set<readonly unknown[]>();
  // `errno` belongs to the thread that made the call: koffi carries it over to this one.
  const inBackground = (
    call: { async: (...parameters: unknown[]) => void },
    ...parameters: unknown[]
  ): Promise<KernelOutcome> =>
    new Promise((resolve, reject) => {
      running.add(parameters);
      call.async(...parameters, (error: Error | null, result: number) => {
        running.delete(parameters);
        if (error === null) resolve(outcome(result));
        else reject(error);
      });
    });

  const preadv2 = library.func(
    'int64_t preadv2(int descriptor, void *buffers, int count, int64_t at, int flags)',
  ) as NativeCall;
  const cached = foreign.alloc('char', CACHED_READ_BYTES_MAX) as unknown;
  const cachedBytes = new Uint8Array(foreign.view(cached, CACHED_READ_BYTES_MAX));
  // One `struct iovec`: address and length.
  const vector = foreign.alloc('char', 16) as unknown;
  const vectorWords = new BigUint64Array(foreign.view(vector, 16));
  vectorWords[0] = foreign.address(cached);

  // Memory outside the heap: passing it costs half of what passing an array does.
  const time = foreign.alloc('char', 16) as unknown;
  const timeWords = new Uint32Array(foreign.view(time, 16));

  return {
    lockExclusive: (descriptor) => outcome(flock(descriptor, LOCK_EX_NB) as number),
    allocate: (file, end, start = 0) => inBackground(fallocate, file, 0, start, end - start),
    punchHole: (descriptor, offset, sizeBytes) =>
      inBackground(
        fallocate,
        descriptor,
        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        offset,
        sizeBytes,
      ),
    discardBlocks: (descriptor, offset, sizeBytes) =>
      inBackground(
        ioctl,
        descriptor,
        BLKDISCARD,
        new BigUint64Array([BigInt(offset), BigInt(sizeBytes)]),
      ),
    blockDeviceSize: (descriptor) => {
      const size = new BigUint64Array(1);
      const failure = outcome(ioctl(descriptor, BLKGETSIZE64, size) as number);
      return failure ?? Number(size[0]);
    },
    isBlockDeviceReadOnly: (descriptor) => {
      const flag = new Int32Array(1);
      ioctl(descriptor, BLKROGET, flag);
      return flag[0] !== 0;
    },
    readCached: (descriptor, offset, into) => {
      vectorWords[1] = BigInt(into.length);
      if (preadv2(descriptor, vector, 1, offset, RWF_NOWAIT) !== into.length) return false;
      into.set(cachedBytes.subarray(0, into.length));
      return true;
    },
    dropCached: async (descriptor, offset, sizeBytes) => {
      await inBackground(fadvise, descriptor, offset, sizeBytes, POSIX_FADV_DONTNEED);
    },
    bootTimeMs: () => {
      clockGettime(CLOCK_BOOTTIME, time);
      const [seconds, secondsHigh, nanoseconds] = timeWords as unknown as [number, number, number];
      return (secondsHigh * 2 ** 32 + seconds) * 1000 + nanoseconds / 1e6;
    },
  };
}
