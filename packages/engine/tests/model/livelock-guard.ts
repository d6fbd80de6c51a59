/**
 * Turns of the event loop for a run, and a watch over the code between them.
 *
 * Code that goes round in microtasks leaves the event loop no turn, so that no timer could tell of it and no
 * test could time out. The guard counts promise jobs with V8's hooks, which run in between: more of them than
 * {@link JOBS_MAX} without a turn are a livelock. That is a count and not a time, so a seed that fails
 * fails again, on a slow machine too. The spin itself cannot be ended but by ending its thread.
 *
 * Not seen: a loop without any promise, and one that gives the event loop its turns and comes to no end.
 */
import { promiseHooks } from 'node:v8';

/** Promise jobs between two turns; some 1,000 were the most in good runs, and a spin does millions in a second. */
const JOBS_MAX = 100_000;
/** Of the stack, so that the message shows who goes round. */
const STACK_LINES_MAX = 8;

/**
 * Begins to watch this thread, for good.
 *
 * @param onLivelock is told what was seen, once and inside the spin: it must end the thread, synchronously.
 * @returns what a run waits for the event loop with. Each of its turns begins the count anew.
 */
export function guardAgainstLivelock(onLivelock: (problem: string) => void): () => Promise<void> {
  let jobCount = 0;
  promiseHooks.onBefore(() => {
    jobCount++;
  });
  // A promise is made by the code itself, so the stack at that moment is its stack.
  promiseHooks.onInit(() => {
    if (jobCount <= JOBS_MAX) return;
    jobCount = Number.NEGATIVE_INFINITY;
    onLivelock(problemHere());
  });
  return () =>
    new Promise((resolve) => {
      setImmediate(() => {
        jobCount = 0;
        resolve();
      });
    });
}

function problemHere(): string {
  const stack = new Error().stack ?? '';
  const callers = stack
    .split('\n')
    .filter((line) => line.startsWith('    at ') && !line.includes(import.meta.url))
    .slice(0, STACK_LINES_MAX);
  return (
    `livelock: ${JOBS_MAX} promise jobs and no turn of the event loop, from which devices, threads and timers ` +
    `answer. Whoever goes round here must wait for one of them:\n${callers.join('\n')}`
  );
}
