/**
 * One run of the model test in which device, threads and clock answer from the event loop.
 *
 * It has a thread of its own: an engine that leaves the event loop no turn is ended with it, and the test that
 * awaits the run fails instead of hanging.
 */
import { Worker } from 'node:worker_threads';
import type { ModelRunOptions } from './model-run.ts';

/** Runs one seed; resolves with the first violation, or the livelock, in words. Rejects when the thread fails. */
export function runFromEventLoop(
  options: Omit<ModelRunOptions, 'nextTurn'>,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let problem: string | undefined = 'the thread has ended without a result';
    const thread = new Worker(new URL('./event-loop-thread.ts', import.meta.url), {
      workerData: options,
    });
    thread.on('message', (found: string | undefined) => {
      problem = found;
    });
    thread.on('error', reject);
    thread.on('exit', () => {
      resolve(problem);
    });
  });
}
