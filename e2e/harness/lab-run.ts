/** A run of `dozo lab double-start`: how it is started, and what it may have left behind. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from './run-command.ts';

const LEFTOVER_MS = 10_000;

/** The command of this checkout. */
export const dozo = join(import.meta.dirname, '..', '..', 'packages', 'dozo', 'bin', 'dozo.js');

/** The arguments of a run in a directory of its own. */
export function labArguments(directory: string, ...more: readonly string[]): string[] {
  return [dozo, 'lab', 'double-start', '--directory', directory, ...more];
}

/** Processes of the lab among those that the story has named. */
function livingDaemons(story: string): string[] {
  const pids = [...story.matchAll(/\bpid (\d+):/g)].map((match) => match[1] ?? '');
  return pids.filter((pid) => {
    const path = `/proc/${pid}/cmdline`;
    return existsSync(path) && readFileSync(path, 'utf8').includes('/lab/');
  });
}

/** Loop devices on files of a run, and mounts in its directory. */
export async function kernelLeftovers(directory: string): Promise<string[]> {
  const loops = (await runCommand('losetup', ['--all'])).split('\n');
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return [...loops, ...mounts].filter((line) => line.includes(directory));
}

/**
 * What is left of a run that is over: its processes, loop devices and mounts. The kernel takes a loop
 * device away a moment after its last user has gone; what is there after that moment stays.
 */
export async function leftBehind(directory: string, story: string): Promise<string[]> {
  const deadlineMs = Date.now() + LEFTOVER_MS;
  for (;;) {
    const left = [...livingDaemons(story), ...(await kernelLeftovers(directory))];
    if (left.length === 0 || Date.now() > deadlineMs) return left;
    await sleep(20);
  }
}
