/**
 * Commands wait for time, and timers of the Clock port do not keep a process alive. Nothing else may be
 * open while a guard waits for a lock, or for the last process of a program that was killed.
 */
import { MessageChannel } from 'node:worker_threads';

/** From now on the process ends only by `process.exit`. */
export function keepProcessAlive(): void {
  // A port that somebody listens to counts as work, and nobody will ever post to this one.
  const { port1 } = new MessageChannel();
  port1.on('message', () => undefined);
}
