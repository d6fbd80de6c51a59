/**
 * The Compute port without a thread: a task runs at once, inside the call.
 *
 * Nothing is copied or moved. It is right where tasks are short, and where one thread is all there is;
 * the event loop waits for each task, so who runs many lets others in between them.
 */
import { computeClosed, taskFailed } from './compute.ts';
import type { Compute, ComputeTask } from './compute.ts';

/** See the file comment. */
export class InlineCompute implements Compute {
  readonly isApart = false;
  #isClosed = false;

  run<Input, Output>(task: ComputeTask<Input, Output>, input: Input): Promise<Output> {
    if (this.#isClosed) return Promise.reject(computeClosed(task.name));
    try {
      return Promise.resolve(task.run(input));
    } catch (thrown) {
      return Promise.reject(taskFailed(task.name, thrown));
    }
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }
}
