/**
 * The thread of `event-loop-run.ts`: runs one seed under guard and posts the result.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { guardAgainstLivelock } from './livelock-guard.ts';
import { runModel } from './model-run.ts';
import type { ModelRunOptions } from './model-run.ts';

const nextTurn = guardAgainstLivelock((problem) => {
  parentPort?.postMessage(problem);
  process.exit(1);
});
const { violation } = await runModel({ ...(workerData as ModelRunOptions), nextTurn });
parentPort?.postMessage(violation);
