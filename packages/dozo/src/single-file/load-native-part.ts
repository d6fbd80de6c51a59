/**
 * Loads a shared library that is carried in memory, and leaves no file behind.
 *
 * The kernel's loader wants a file on a file system that is not mounted `noexec`. It gets one without a
 * name where the file system has such (`O_TMPFILE`), else one with a random name that is deleted as soon
 * as it is loaded; nobody else may read or write either. The first directory that will do is taken.
 *
 * Source: open(2), "O_TMPFILE"; dlopen(3).
 */
import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export interface NativePart {
  /** The library. */
  readonly bytes: Uint8Array;
  /** Where it may be put, in order of preference. */
  readonly directories: readonly string[];
  /** A name that nobody else can guess. */
  readonly name: string;
  /** Loads the file of this path; throws what the loader says. */
  readonly load: (path: string) => void;
  /** For tests: as where the file system has no files without a name. */
  readonly hasUnnamedFiles?: boolean;
}

/** `__O_TMPFILE` of `asm-generic/fcntl.h`, which Node does not know. */
const O_TMPFILE = 0o20_000_000 | constants.O_DIRECTORY;
const MODE = 0o700;

/** Loads it. Throws an error that says of each directory why it will not do. */
export function loadNativePart(part: NativePart): void {
  const refusals: string[] = [];
  for (const directory of new Set(part.directories)) {
    const refusal = tryDirectory(part, directory);
    if (refusal === undefined) return;
    refusals.push(`${directory}: ${refusal}`);
  }
  throw new Error(
    'no directory is there in which a file can be written and executed, which the native part of this ' +
      `program needs for a moment (${refusals.join('; ')}). Mount a writable directory without noexec ` +
      '(1.2 MB of a tmpfs will do; an emptyDir in Kubernetes) and name it in TMPDIR',
  );
}

function tryDirectory(part: NativePart, directory: string): string | undefined {
  const { bytes, load, hasUnnamedFiles = true } = part;
  let file: OpenFile | undefined;
  try {
    file = hasUnnamedFiles ? openUnnamed(directory) : undefined;
    file ??= openNamed(join(directory, part.name));
    for (let done = 0; done < bytes.length;) done += writeSync(file.descriptor, bytes, done);
    load(file.path);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  } finally {
    file?.remove();
  }
}

interface OpenFile {
  readonly descriptor: number;
  readonly path: string;
  readonly remove: () => void;
}

function openUnnamed(directory: string): OpenFile | undefined {
  try {
    const descriptor = openSync(directory, O_TMPFILE | constants.O_RDWR, MODE);
    const path = `/proc/self/fd/${descriptor}`;
    return { descriptor, path, remove: () => closeSync(descriptor) };
  } catch {
    // Older kernels and network file systems have none, each with an error of its own. What is really
    // wrong with the directory is wrong with a named file too.
    return undefined;
  }
}

function openNamed(path: string): OpenFile {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const descriptor = openSync(path, flags, MODE);
  const remove = (): void => {
    closeSync(descriptor);
    unlinkSync(path);
  };
  return { descriptor, path, remove };
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'ERR_DLOPEN_FAILED') return code ?? message;
  // The loader has no word of its own for what a mount does not let it execute.
  return message.includes('failed to map segment') ? 'noexec' : message;
}
