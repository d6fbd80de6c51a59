/**
 * The thread of `WorkerCompute`: imports tasks by address, runs them, answers.
 *
 * It never runs by itself: `worker-compute.ts` starts it. Whatever goes wrong with a task becomes its
 * answer; what goes wrong with the thread (no memory left) ends it, and the other side notices.
 */
import { parentPort } from 'node:worker_threads';
import { assert } from '@dozo/base';
import type { ComputeTask } from '@dozo/base';

import type { TaskRequest, TaskResponse, TaskThrown } from './compute-protocol.ts';

type AnyTask = ComputeTask<unknown, unknown>;

/** Tasks that were asked for before, by address and name: as many as the program has. */
const tasks = new Map<string, AnyTask>();

assert(parentPort !== null, 'this module runs as a worker');
const port = parentPort;

port.on('message', (request: TaskRequest) => {
  const task = tasks.get(taskKey(request));
  if (task === undefined) void importAndRun(request);
  else answer(task, request);
});

async function importAndRun(request: TaskRequest): Promise<void> {
  let task: AnyTask;
  try {
    task = await importTask(request);
  } catch (error) {
    port.postMessage({ id: request.id, thrown: describe(error) } satisfies TaskResponse);
    return;
  }
  tasks.set(taskKey(request), task);
  answer(task, request);
}

async function importTask({ module, name }: TaskRequest): Promise<AnyTask> {
  const exported = ((await import(module)) as Record<string, unknown>)[name];
  if (typeof (exported as Partial<AnyTask> | undefined)?.run === 'function') {
    return exported as AnyTask;
  }
  throw new Error(`${module} exports no task of the name ${name}`);
}

function answer(task: AnyTask, { id, input }: TaskRequest): void {
  try {
    const output = task.run(input);
    const buffers = new Set(task.outputBuffers?.(output));
    port.postMessage({ id, output } satisfies TaskResponse, [...buffers]);
  } catch (error) {
    port.postMessage({ id, thrown: describe(error) } satisfies TaskResponse);
  }
}

function describe(error: unknown): TaskThrown {
  if (!(error instanceof Error)) {
    return { isAssertion: false, message: String(error), stack: undefined };
  }
  // By name: the module of the task may have got another copy of the class than this one.
  const isAssertion = error.name === 'AssertionError';
  return { isAssertion, message: error.message, stack: error.stack };
}

function taskKey({ module, name }: TaskRequest): string {
  return `${module}#${name}`;
}
