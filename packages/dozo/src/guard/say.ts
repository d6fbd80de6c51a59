/**
 * One line of the guard's own, on standard error, and never a wait for whoever reads it.
 *
 * Past `process.stderr`: the descriptor is shared with the program, and Node would make a pipe behind
 * it non-blocking for both. A plain write would wait while the pipe is full, or the terminal stopped
 * with Ctrl-S, and who waits there neither renews a lease nor kills. So a pipe or a terminal is opened
 * a second time, non-blocking for us alone. A socket cannot be: do what is urgent first, then say it.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Says it; where nobody listens any more, or a pipe is full, it is not said. */
export function say(line: string): void {
  const text = `dozo guard: ${line}\n`;
  const own = openWithoutWaiting(2);
  if (own === undefined) {
    writeText(2, text);
    return;
  }
  try {
    writeText(own, text);
  } finally {
    closeSync(own);
  }
}

/** Writes a result to standard output. */
export function print(text: string): void {
  writeText(1, text);
}

/** What is behind a descriptor, opened again; undefined where that cannot be, or a write never waits. */
function openWithoutWaiting(descriptor: number): number | undefined {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    const stats = fstatSync(descriptor);
    // A file opened again would be written from its beginning.
    if (!stats.isFIFO() && !stats.isCharacterDevice()) return undefined;
    return openSync(`/proc/self/fd/${descriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    // Nobody reads it (ENXIO), or this user may not open it (EACCES).
    return undefined;
  }
}

function writeText(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(descriptor, bytes, done);
    }
  } catch {
    // EPIPE, EAGAIN: there is nobody to tell it to.
  }
}
