/**
 * One line of the guard's own, on standard error.
 *
 * Written at once and past `process.stderr`: the descriptor is shared with the program, and Node would
 * make a pipe behind it non-blocking.
 */
import { writeSync } from 'node:fs';

/** Says it; where nobody listens any more, or a pipe is full, it is not said. */
export function say(line: string): void {
  writeText(2, `dozo guard: ${line}\n`);
}

/** Writes a result to standard output. */
export function print(text: string): void {
  writeText(1, text);
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
