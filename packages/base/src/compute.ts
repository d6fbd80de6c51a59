/**
 * The Compute port: long computations that must not hold the event loop.
 *
 * A task is a pure, synchronous function that stands as an export in a module of its own. It is handed
 * over by the address of that module and not by value, because a thread shares no functions with
 * another: who computes elsewhere imports the same module there. So nothing is registered anywhere, and
 * what works in a checkout (`src/*.ts`) works in a published package (`dist/*.js`).
 *
 * Input and output are data: what the structured clone algorithm copies whole (plain objects, arrays,
 * typed arrays, strings, numbers; of an instance of a class only its fields arrive). Large buffers are
 * moved instead of copied where the task says so.
 */
import { AssertionError } from './assert.ts';
import { DozoError } from './errors.ts';

/**
 * A function that may run elsewhere.
 *
 * ```ts
 * export const sumTask: ComputeTask<Uint8Array, number> = {
 *   module: import.meta.url,
 *   name: 'sumTask',
 *   run: sumOf,
 *   inputBuffers: (bytes) => [bytes.buffer],
 * };
 * ```
 */
export interface ComputeTask<Input, Output> {
  /** `import.meta.url` of the module that exports the task. */
  readonly module: string;
  /** The name of that export. */
  readonly name: string;
  /** Depends on its input alone. What it throws is a bug: expected outcomes are part of `Output`. */
  readonly run: (input: Input) => Output;
  /** Buffers of the input that are moved: after the call the caller must not use them. */
  readonly inputBuffers?: (input: Input) => readonly ArrayBuffer[];
  /** Buffers of the output that are moved: the task keeps no hold on them. */
  readonly outputBuffers?: (output: Output) => readonly ArrayBuffer[];
}

/**
 * Why a task has no result.
 *
 * - `COMPUTE_TASK_FAILED`: it threw, could not be found, or its data could not be handed over; `reason`
 *   says which. Doing it again gives the same.
 * - `COMPUTE_WORKER_LOST`: the thread that did it has ended, for lack of memory for example. Doing it
 *   again, with new buffers, may go well.
 * - `COMPUTE_QUEUE_FULL`: too many tasks wait. Nothing was taken: buffers are still the caller's.
 * - `COMPUTE_CLOSED`: closed, before or during the task.
 */
export type ComputeErrorDetail =
  | {
      readonly code: 'COMPUTE_TASK_FAILED' | 'COMPUTE_WORKER_LOST';
      readonly task: string;
      readonly reason: string;
    }
  | { readonly code: 'COMPUTE_QUEUE_FULL'; readonly task: string; readonly limitCount: number }
  | { readonly code: 'COMPUTE_CLOSED'; readonly task: string };

/** The error that {@link Compute.run} rejects with. */
export class ComputeError extends DozoError<ComputeErrorDetail> {}

/** Runs tasks, elsewhere if it can. */
export interface Compute {
  /** Tasks run beside the thread of the caller. Else it waits for each, and they should be short. */
  readonly isApart: boolean;

  /**
   * Runs a task once. Several may be under way; they end in any order.
   *
   * Rejects with {@link ComputeError}; with an `AssertionError` where the task threw one, which is a
   * bug on whatever thread.
   */
  run<Input, Output>(task: ComputeTask<Input, Output>, input: Input): Promise<Output>;

  /** Ends it: what has not run by then rejects with `COMPUTE_CLOSED`. Idempotent. */
  close(): Promise<void>;
}

/** What a failed task rejects with, made from what it threw. */
export function taskFailed(task: string, thrown: unknown): ComputeError | AssertionError {
  if (thrown instanceof AssertionError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new ComputeError(
    `Running the task ${task}: ${reason}. It will not go better again; this is a bug of the task or ` +
      'an incomplete installation.',
    { code: 'COMPUTE_TASK_FAILED', task, reason },
    { cause: thrown },
  );
}

/** What every task rejects with once a Compute is closed. */
export function computeClosed(task: string): ComputeError {
  return new ComputeError(
    `Running the task ${task}: computing has been closed. Nothing came of it.`,
    { code: 'COMPUTE_CLOSED', task },
  );
}
