/**
 * Promises around the callback functions of `node:fs`.
 *
 * `fs.promises` allocates a handle object and several promises for each call and costs three to four
 * times the CPU; these cost one promise each.
 */
import {
  close,
  constants,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  open,
  read,
  write,
  writev,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';

type Done<Result> = (error: NodeJS.ErrnoException | null, result: Result) => void;

function promised<Result>(start: (done: Done<Result>) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error instanceof Error) reject(error);
      else resolve(result);
    });
  });
}

/** `open(2)`; the descriptor is close-on-exec, as Node always does it. */
export const openFile = (path: string, flags: number, mode: number): Promise<number> =>
  promised((done) => open(path, flags, mode, done));

export const closeFile = (descriptor: number): Promise<void> =>
  promised<undefined>((done) =>
    close(descriptor, done as (error: Error | null | undefined) => void),
  );

export const statDescriptor = (descriptor: number): Promise<BigIntStats> =>
  promised((done) => fstat(descriptor, { bigint: true }, done));

/** `pread(2)`: how many bytes were read, 0 at the end. */
export const readAt = (
  descriptor: number,
  into: Uint8Array,
  start: number,
  offset: number,
): Promise<number> =>
  promised((done) => read(descriptor, into, start, into.length - start, offset, done));

/** `pwritev(2)`: how many bytes were written, which may be fewer than there are. */
export const writeAllAt = (
  descriptor: number,
  buffers: readonly Uint8Array[],
  offset: number,
): Promise<number> => {
  const [only] = buffers;
  if (only !== undefined && buffers.length === 1) {
    return promised((done) => write(descriptor, only, 0, only.length, offset, done));
  }
  return promised((done) => writev(descriptor, buffers as Uint8Array[], offset, done));
};

export const syncData = (descriptor: number): Promise<void> =>
  promised<undefined>((done) => fdatasync(descriptor, done as (error: Error | null) => void));

export const syncFile = (descriptor: number): Promise<void> =>
  promised<undefined>((done) => fsync(descriptor, done as (error: Error | null) => void));

export const truncateFile = (descriptor: number, sizeBytes: number): Promise<void> =>
  promised<undefined>((done) =>
    ftruncate(descriptor, sizeBytes, done as (error: Error | null) => void),
  );

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const descriptor = await openFile(path, constants.O_RDONLY | constants.O_DIRECTORY, 0);
  try {
    await syncFile(descriptor);
  } finally {
    await closeFile(descriptor);
  }
}
