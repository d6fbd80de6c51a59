/**
 * The Compute port in virtual time: a task runs inline, and ends in the seeded order of the clock.
 *
 * As between threads, input and output are copied and the buffers that the task names are moved, so that
 * a caller that goes on using one fails here as it would there. A task computes at its end: it depends
 * on its input alone, so that nobody can tell. Its process may pause (the result is delivered later) or
 * be killed (nothing settles any more).
 */
import { assert, ComputeError, computeClosed, SeededRandom, taskFailed } from '@dozo/base';
import type { Compute, ComputeTask } from '@dozo/base';

import type { SimulatedClock } from './simulated-clock.ts';
import type { SimulatedProcess } from './simulated-process.ts';

/** How long a task takes at most unless told otherwise; a merge step takes some ms. */
const TASK_MS_MAX_DEFAULT = 5;

export interface SimulatedComputeOptions {
  readonly clock: SimulatedClock;
  readonly seed: string | number;
  /** Whose thread it is; lives in the same time. */
  readonly process?: SimulatedProcess;
  /** A task takes `[0, taskMsMax)` of virtual time. Default 5. */
  readonly taskMsMax?: number;
  /** The part of tasks whose thread is lost, in `[0, 1]`: `COMPUTE_WORKER_LOST`. Default 0. */
  readonly lostShare?: number;
}

/** See the file comment. */
export class SimulatedCompute implements Compute {
  /** Seeded: callers that make tasks longer for its sake are to be seen both ways. */
  readonly isApart: boolean;
  readonly #options: SimulatedComputeOptions;
  readonly #random: SeededRandom;
  /** What rejects each task that has not ended. */
  readonly #running = new Map<number, (error: ComputeError) => void>();
  #taskCount = 0;
  #lostCount = 0;
  #state: 'open' | 'closed' | 'halted' = 'open';

  constructor(options: SimulatedComputeOptions) {
    const { process, clock, seed } = options;
    assert(process === undefined || process.clock === clock, 'it lives in the time of its process');
    this.#options = options;
    this.#random = new SeededRandom(seed).derive('compute');
    this.isApart = this.#random.derive('apart').fraction() < 0.5;
    process?.onKill(() => {
      this.#state = 'halted';
    });
  }

  /** How many tasks have been taken. */
  get taskCount(): number {
    return this.#taskCount;
  }

  /** How many of them were rejected because their thread was lost. */
  get lostCount(): number {
    return this.#lostCount;
  }

  run<Input, Output>(task: ComputeTask<Input, Output>, input: Input): Promise<Output> {
    const { clock, process, taskMsMax = TASK_MS_MAX_DEFAULT, lostShare = 0 } = this.#options;
    if (this.#state === 'closed') return Promise.reject(computeClosed(task.name));
    const id = this.#taskCount++;
    const isLost = this.#random.fraction() < lostShare;
    return new Promise<Output>((resolve, reject) => {
      let moved: Input;
      try {
        moved = moveAll(input, task.inputBuffers?.(input));
      } catch (thrown) {
        reject(taskFailed(task.name, thrown));
        return;
      }
      this.#running.set(id, reject);
      const settle = (): void => {
        if (this.#state !== 'open' || !this.#running.delete(id)) return;
        if (isLost) {
          this.#lostCount++;
          reject(workerLost(task.name));
          return;
        }
        try {
          const output = task.run(moved);
          resolve(moveAll(output, task.outputBuffers?.(output)));
        } catch (thrown) {
          reject(taskFailed(task.name, thrown));
        }
      };
      clock.complete(taskMsMax, () => {
        if (process === undefined) settle();
        else process.deliver(settle);
      });
    });
  }

  close(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closed';
      for (const reject of this.#running.values()) reject(computeClosed('under way'));
      this.#running.clear();
    }
    return Promise.resolve();
  }
}

function moveAll<Value>(value: Value, buffers: readonly ArrayBuffer[] = []): Value {
  return structuredClone(value, { transfer: [...new Set(buffers)] });
}

function workerLost(task: string): ComputeError {
  const reason = 'the simulation has ended its thread';
  return new ComputeError(
    `Running the task ${task}: ${reason}. Nothing came of it; it can be tried again with new buffers.`,
    { code: 'COMPUTE_WORKER_LOST', task, reason },
  );
}
