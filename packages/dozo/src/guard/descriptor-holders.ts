/**
 * Which processes hold a claim file's lock with us: they have inherited or been handed its descriptor.
 * Others may have the file open too, to look at it or to wait for it.
 *
 * Only what `/proc` shows us: processes of this pid namespace, and of other users only to root.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

import { CLAIM_FILE_NAME } from '@dozo/platform';

/** So many are named; a database has hundreds. */
const NAMED_MAX = 8;

/** Processes other than this one that hold its lock, for a message. Source: proc_pid_fdinfo(5). */
export function holdersOfFile(
  file: { readonly dev: bigint; readonly ino: bigint },
  ownPid: number = process.pid,
  directory = '/proc',
): string[] {
  return readdirSync(directory)
    .filter((name) => /^\d+$/.test(name) && Number(name) !== ownPid)
    .filter((name) => holdsLock(`${directory}/${name}`, file))
    .map((name) => `process ${name}`);
}

/**
 * A sentence that says which processes of this machine keep the lock of the file at `path`, with a space
 * before it; empty where none is seen. The guard that the ring names may be gone, and only what it
 * had started be left.
 */
export function lockersInWords(path: string): string {
  let holders: readonly string[];
  try {
    holders = holdersOfFile(statSync(path, { bigint: true }));
  } catch {
    return '';
  }
  if (holders.length === 0) return '';
  const more = holders.length > NAMED_MAX ? ` and ${holders.length - NAMED_MAX} more` : '';
  return ` On this machine its lock is kept by ${holders.slice(0, NAMED_MAX).join(', ')}${more}.`;
}

function holdsLock(process: string, file: { readonly dev: bigint; readonly ino: bigint }): boolean {
  try {
    return readdirSync(`${process}/fd`).some(
      (name) =>
        leadsTo(`${process}/fd/${name}`, file) &&
        readFileSync(`${process}/fdinfo/${name}`, 'latin1').includes('FLOCK'),
    );
  } catch {
    return false;
  }
}

function leadsTo(link: string, file: { readonly dev: bigint; readonly ino: bigint }): boolean {
  try {
    // Looking at what is no plain file could wait: a pipe, a socket, a dead mount.
    if (!readlinkSync(link).includes(CLAIM_FILE_NAME)) return false;
    const { dev, ino } = statSync(link, { bigint: true });
    return dev === file.dev && ino === file.ino;
  } catch {
    return false;
  }
}
