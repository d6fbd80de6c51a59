/**
 * The Device port: a flat run of blocks, a regular file or a raw block device.
 *
 * What a device promises, and nothing more: a write is durable only after a flush that began after
 * the write had resolved has itself resolved. Until then a crash may keep the write, lose it, keep
 * some of its blocks, or keep it while it loses an earlier one. Reads see all resolved writes of this
 * machine and path.
 *
 * Two paths to one disk (two machines, two loop devices on one file) do not share a page cache: a read
 * through one may show what was there before the other wrote. The *uncached* methods go past it.
 */
import { DozoError } from './errors.ts';

/** Where a file or disk really is, so that two openers can tell that they mean the same one. */
export interface LockIdentity {
  /** `block`: a block device, by device number. `file`: by filesystem and inode. `none`: no lock. */
  readonly kind: 'block' | 'file' | 'none';
  /** For example `8:16` for a block device, `254:0/131` for a file; empty for `none`. */
  readonly name: string;
}

/**
 * Why a device did not do what it was told.
 *
 * - `DEVICE_NOT_FOUND`: nothing at that path.
 * - `DEVICE_BUSY`: another process holds the kernel's lock on it.
 * - `DEVICE_ACCESS_DENIED`: the kernel does not let this user open it.
 * - `DEVICE_NOT_USABLE`: neither a regular file nor a block device, or not a usable size.
 * - `DEVICE_READ_FAILED`, `DEVICE_WRITE_FAILED`, `DEVICE_FLUSH_FAILED`: the kernel said so. A
 *   failed write or flush is final: what is on the device is unknown, and nothing retries it.
 * - `DEVICE_CLOSED`: used after `close`.
 */
export type DeviceErrorDetail =
  | {
      readonly code:
        | 'DEVICE_NOT_FOUND'
        | 'DEVICE_BUSY'
        | 'DEVICE_ACCESS_DENIED'
        | 'DEVICE_NOT_USABLE'
        | 'DEVICE_CLOSED';
      readonly path: string;
    }
  | {
      readonly code: 'DEVICE_READ_FAILED' | 'DEVICE_WRITE_FAILED' | 'DEVICE_FLUSH_FAILED';
      readonly path: string;
      /** Byte offset on the device; 0 for a flush. */
      readonly offset: number;
      /** The kernel's name of the error, such as `EIO`. */
      readonly cause: string;
    };

/** The error that every method of a {@link Device} rejects with. */
export class DeviceError extends DozoError<DeviceErrorDetail> {}

/** Any {@link DeviceError}, also of another copy of this package. */
export type AnyDeviceError = DozoError<DeviceErrorDetail>;

/** The most that {@link Device.readCached} reads, in bytes: a copy of it costs 5 us. */
export const CACHED_READ_BYTES_MAX = 65_536;

/** An open device. Offsets and lengths are bytes. Every method may be called while others run. */
export interface Device {
  /** What people call it: the path it was opened by. */
  readonly path: string;
  /** Usable size in bytes, fixed while it is open. */
  readonly sizeBytes: number;
  /** What was locked when it was opened. */
  readonly lockIdentity: LockIdentity;

  /**
   * Reads exactly `into.length` bytes at `offset` into `into`, which belongs to the device until the
   * promise settles. A range that is not inside the device is `DEVICE_READ_FAILED`.
   */
  read(offset: number, into: Uint8Array): Promise<void>;

  /**
   * Reads like {@link read}, within the call, if all of it is in memory and this turn of the event loop
   * has not had its share of such reads; at most {@link CACHED_READ_BYTES_MAX}. Never waits for the disk.
   *
   * @returns false when it did not read, for whatever reason: `read` tells. `into` has any bytes then.
   */
  readCached(offset: number, into: Uint8Array): boolean;

  /**
   * Writes the buffers one after the other at `offset`, as one vectored write. They must not change
   * until the promise settles. Not durable before a later {@link flush}. A range that is not inside
   * the device is `DEVICE_WRITE_FAILED`, and nothing is written.
   */
  write(offset: number, buffers: readonly Uint8Array[]): Promise<void>;

  /**
   * Writes like {@link write}; durable when it resolves. It is one operation of the device where a
   * write and a flush would be two, and says nothing about any other write; and what becomes of its
   * bytes is told to its caller, whoever else writes at the same time. A failure is final, as that of either: `DEVICE_WRITE_FAILED` or `DEVICE_FLUSH_FAILED`.
   */
  writeDurably(offset: number, buffers: readonly Uint8Array[]): Promise<void>;

  /**
   * Reads like {@link read}, but what the disk holds, past every page cache: also what was written to
   * it through another path, and never what a failed flush left in memory alone. Offset and length are
   * multiples of `UNCACHED_BLOCK_BYTES` (asserted). Any memory will do; into that of `alignedBytes`
   * there is no copy. A long read is made of several of at most 4 MiB, front to back.
   *
   * Where a file system has no such reads (some network and memory ones), cached pages are dropped as
   * far as the kernel does it, and the read is an ordinary one.
   */
  readUncached(offset: number, into: Uint8Array): Promise<void>;

  /**
   * Writes like {@link writeDurably}, past the page cache; {@link read} sees it. Offset and the length
   * of every buffer are multiples of `UNCACHED_BLOCK_BYTES` (asserted). More than 4 MiB, or more
   * buffers than the kernel takes, are several writes, front to back. Where a file system has no such
   * writes it is {@link writeDurably}.
   */
  writeUncached(offset: number, buffers: readonly Uint8Array[]): Promise<void>;

  /**
   * Forgets cached pages of the device that are not waiting to be written, so that a {@link read} asks
   * the disk. A hint: pages that are in use may stay. What must not be stale is read uncached.
   */
  dropCache(): Promise<void>;

  /** Makes all writes that had resolved before this call durable. */
  flush(): Promise<void>;

  /**
   * Tells the device that a range is not needed any more. A hint: reading it afterwards gives any
   * bytes.
   *
   * @returns false where the device does not take such hints: there is no point in another one.
   */
  discard(offset: number, sizeBytes: number): Promise<boolean>;

  /** Waits for what runs, releases the kernel lock, closes. Idempotent. Does not flush. */
  close(): Promise<void>;
}
