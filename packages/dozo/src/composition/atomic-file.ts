/**
 * Files that are whole or absent, whatever kills the process, and durable when the call returns.
 *
 * The bytes go to a temporary name in the same directory, are flushed, and take their real name in
 * one step: by `rename` where the newer one wins, by `link` where the first one must stay.
 */
import { link, open, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { causeName } from '../errors.ts';

export interface NewFile {
  readonly path: string;
  readonly content: string;
  /** Permission bits, for example `0o600`. */
  readonly mode: number;
}

/** A name beside `path` that no other process uses. */
function temporaryPath(path: string, unique: string): string {
  return join(dirname(path), `.${basename(path)}.${unique}.new`);
}

/** Writes a file, replacing what is there. `unique` keeps concurrent writers apart. */
export async function replaceFile(file: NewFile, unique: string): Promise<void> {
  const temporary = temporaryPath(file.path, unique);
  try {
    await writeFlushed({ ...file, path: temporary });
    await rename(temporary, file.path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await flushDirectory(dirname(file.path));
}

/**
 * Writes a file unless there is one.
 *
 * @returns false if there was one already, which is left as it is.
 */
export async function createFileOnce(file: NewFile, unique: string): Promise<boolean> {
  const temporary = temporaryPath(file.path, unique);
  try {
    await writeFlushed({ ...file, path: temporary });
    return await publish(temporary, file.path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Gives a finished file its real name, durably, unless that name is taken.
 *
 * @returns false if the name was taken; `temporary` then still has its own.
 */
async function publish(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
  } catch (error) {
    const name = causeName(error);
    if (name === 'EEXIST') return false;
    if (name !== 'EPERM' && name !== 'EOPNOTSUPP' && name !== 'ENOSYS') throw error;
    // A file system without links (FAT, some network file systems); only there two may race.
    if (await exists(path)) return false;
    await rename(temporary, path);
    await flushDirectory(dirname(path));
    return true;
  }
  await unlink(temporary);
  await flushDirectory(dirname(path));
  return true;
}

/** Makes the names in a directory durable. */
async function flushDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (causeName(error) === 'ENOENT') return false;
    throw error;
  }
}

async function writeFlushed(file: NewFile): Promise<void> {
  const handle = await open(file.path, 'wx', file.mode);
  try {
    await handle.writeFile(file.content);
    // The umask may have taken bits away; nothing may have added any.
    await handle.chmod(file.mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
