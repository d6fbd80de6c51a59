/**
 * The Compute port on worker threads.
 *
 * A worker is started for the first task that needs one, and gets a second task while it runs the
 * first, so that it never waits for this thread. A worker that ends by itself fails what it had under
 * way, is reported and, for the next task, replaced; one that ends again and again before it has done
 * anything is not. An idle worker does not keep the process alive; a task under way does.
 *
 * Source: nodejs.org/api/worker_threads.html; docs/decisions/0073-computing-on-worker-threads.md.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { assert, AssertionError, ComputeError, computeClosed, taskFailed } from '@dozo/base';
import type { Compute, ComputeTask } from '@dozo/base';

import type { TaskRequest, TaskResponse, TaskThrown } from './compute-protocol.ts';
import {
  COMPUTE_QUEUE_MAX,
  COMPUTE_WORKERS_MAX,
  WORKER_HEAP_MIB_MAX,
  WORKER_LOSSES_MAX,
  WORKER_TASKS_MAX,
  WORKER_YOUNG_HEAP_MIB_MAX,
} from './limits.ts';

export interface WorkerComputeOptions {
  /** Threads, `[1, COMPUTE_WORKERS_MAX]`. Default 1. */
  readonly workerCount?: number;
  /** Heap of each thread in MiB. Default {@link WORKER_HEAP_MIB_MAX}. */
  readonly heapMibMax?: number;
  /** Told when a thread has ended by itself. What it had under way rejects besides. */
  readonly onWorkerLost?: (reason: string) => void;
}

/** A task that waits or is under way. */
interface PendingTask {
  readonly request: TaskRequest;
  readonly buffers: readonly ArrayBuffer[];
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** See the file comment. */
export class WorkerCompute implements Compute {
  readonly isApart = true;
  readonly #options: WorkerComputeOptions;
  readonly #workers: (ComputeWorker | undefined)[];
  readonly #queue: PendingTask[] = [];
  #nextId = 0;
  /** Workers that ended by themselves since one of them has answered. */
  #lossCount = 0;
  #lossReason = '';
  #closed: Promise<void> | undefined;

  constructor(options: WorkerComputeOptions = {}) {
    const { workerCount = 1 } = options;
    assert(
      Number.isInteger(workerCount) && workerCount >= 1 && workerCount <= COMPUTE_WORKERS_MAX,
      'a number of threads out of range',
    );
    this.#options = options;
    this.#workers = Array.from({ length: workerCount }, () => undefined);
  }

  run<Input, Output>(task: ComputeTask<Input, Output>, input: Input): Promise<Output> {
    const { module, name } = task;
    if (this.#closed !== undefined) return Promise.reject(computeClosed(name));
    if (this.#queue.length >= COMPUTE_QUEUE_MAX) return Promise.reject(queueFull(name));
    if (this.#lossCount >= WORKER_LOSSES_MAX) {
      return Promise.reject(workerLost(name, this.#lossReason));
    }
    let buffers: readonly ArrayBuffer[];
    try {
      buffers = [...new Set(task.inputBuffers?.(input))];
    } catch (thrown) {
      return Promise.reject(taskFailed(name, thrown));
    }
    return new Promise<Output>((resolve, reject) => {
      const request = { id: this.#nextId++, module, name, input };
      // What comes back is what the task's own `run` gave, in the other thread.
      this.#queue.push({ request, buffers, resolve: resolve as (output: unknown) => void, reject });
      this.#dispatch();
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const waiting = this.#queue.splice(0);
    for (const { request, reject } of waiting) reject(computeClosed(request.name));
    for (const worker of this.#workers) await worker?.close();
  }

  /** Hands waiting tasks to the least busy workers, as many as they take. */
  #dispatch(): void {
    while (this.#queue.length > 0) {
      const worker = this.#freeWorker();
      if (worker === undefined) return;
      worker.start(this.#queue.shift() as PendingTask);
    }
  }

  #freeWorker(): ComputeWorker | undefined {
    let slot = 0;
    for (let index = 1; index < this.#workers.length; index++) {
      if (loadOf(this.#workers[index]) < loadOf(this.#workers[slot])) slot = index;
    }
    const worker = (this.#workers[slot] ??= this.#newWorker(slot));
    return worker.taskCount < WORKER_TASKS_MAX ? worker : undefined;
  }

  #newWorker(slot: number): ComputeWorker {
    return new ComputeWorker(this.#options.heapMibMax ?? WORKER_HEAP_MIB_MAX, {
      onAnswer: () => {
        this.#lossCount = 0;
        this.#dispatch();
      },
      onLost: (reason) => {
        this.#workers[slot] = undefined;
        this.#lossCount++;
        this.#lossReason = reason;
        this.#options.onWorkerLost?.(reason);
        if (this.#lossCount >= WORKER_LOSSES_MAX) {
          const waiting = this.#queue.splice(0);
          for (const { request, reject } of waiting) reject(workerLost(request.name, reason));
        }
        this.#dispatch();
      },
    });
  }
}

interface WorkerEvents {
  /** A task has been answered: there is room for another one. */
  readonly onAnswer: () => void;
  /** The thread has ended by itself; what it had under way has been rejected. */
  readonly onLost: (reason: string) => void;
}

/** One thread and what it has under way. */
class ComputeWorker {
  readonly #worker: Worker;
  readonly #events: WorkerEvents;
  readonly #pending = new Map<number, PendingTask>();
  #reason: string | undefined;
  #isClosing = false;

  constructor(heapMibMax: number, events: WorkerEvents) {
    this.#events = events;
    // The extension of this very file: a checkout runs TypeScript, a published package JavaScript.
    const entry = `./compute-worker${extname(import.meta.filename)}`;
    this.#worker = new Worker(new URL(entry, import.meta.url), {
      name: 'dozo-compute',
      resourceLimits: {
        maxOldGenerationSizeMb: heapMibMax,
        maxYoungGenerationSizeMb: WORKER_YOUNG_HEAP_MIB_MAX,
      },
    });
    this.#worker.on('message', (response: TaskResponse) => {
      this.#settle(response);
    });
    this.#worker.on('error', (error) => {
      this.#reason ??= error instanceof Error ? error.message : String(error);
    });
    this.#worker.on('messageerror', (error) => {
      this.#reason ??= error.message;
      void this.#worker.terminate();
    });
    this.#worker.on('exit', (status) => {
      this.#ended(this.#reason ?? `it ended with status ${status}`);
    });
    this.#worker.unref();
  }

  get taskCount(): number {
    return this.#pending.size;
  }

  start(task: PendingTask): void {
    const { request, buffers, reject } = task;
    try {
      this.#worker.postMessage(request, buffers);
    } catch (error) {
      reject(taskFailed(request.name, error));
      return;
    }
    if (this.#pending.size === 0) this.#worker.ref();
    this.#pending.set(request.id, task);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const { request, reject } of this.#pending.values()) reject(computeClosed(request.name));
    this.#pending.clear();
    await this.#worker.terminate();
  }

  #settle(response: TaskResponse): void {
    const task = this.#pending.get(response.id);
    if (task === undefined) return;
    this.#pending.delete(response.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if ('thrown' in response) task.reject(rebuilt(task.request.name, response.thrown));
    else task.resolve(response.output);
    this.#events.onAnswer();
  }

  #ended(reason: string): void {
    if (this.#isClosing) return;
    for (const { request, reject } of this.#pending.values()) {
      reject(workerLost(request.name, reason));
    }
    this.#pending.clear();
    this.#events.onLost(reason);
  }
}

function loadOf(worker: ComputeWorker | undefined): number {
  return worker?.taskCount ?? 0;
}

/** The error that a task threw in its thread, as if it had been thrown here. */
function rebuilt(task: string, { isAssertion, message, stack }: TaskThrown): Error {
  const thrown = isAssertion ? new AssertionError(message) : new Error(message);
  if (stack !== undefined) thrown.stack = stack;
  return taskFailed(task, thrown);
}

function workerLost(task: string, reason: string): ComputeError {
  return new ComputeError(
    `Running the task ${task}: the thread that computes has ended: ${reason}. Nothing came of it. ` +
      'It can be tried again with new buffers; if that goes on, look at the memory of this machine.',
    { code: 'COMPUTE_WORKER_LOST', task, reason },
  );
}

function queueFull(task: string): ComputeError {
  return new ComputeError(
    `Running the task ${task}: ${COMPUTE_QUEUE_MAX} tasks wait already. Nothing was taken; ask ` +
      'again when one of them has ended.',
    { code: 'COMPUTE_QUEUE_FULL', task, limitCount: COMPUTE_QUEUE_MAX },
  );
}
