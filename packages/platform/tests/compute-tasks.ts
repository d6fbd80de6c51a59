/** Tasks that try a worker thread to its limits; a worker imports this module too. */
import { threadId } from 'node:worker_threads';
import type { ComputeTask } from '@dozo/base';

const module = import.meta.url;

/** Blocks its thread for so many ms, and says which thread it was. */
export const waitTask: ComputeTask<number, number> = {
  module,
  name: 'waitTask',
  run: (durationMs) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
    return threadId;
  },
};

/** Ends its thread, or has it ended for lack of heap. */
export const endTask: ComputeTask<'exit' | 'heap', never> = {
  module,
  name: 'endTask',
  run: (how) => {
    // In a worker this ends the thread alone.
    if (how === 'exit') process.exit(7);
    const all: unknown[] = [];
    for (;;) all.push({ all: all.length, more: [all.length] });
  },
};

/** Gives back what no thread can be given. */
export const functionTask: ComputeTask<undefined, () => void> = {
  module,
  name: 'functionTask',
  run: () => () => undefined,
};

/** Both buffers are moved; says how many bytes it was given. */
export const moveTask: ComputeTask<Uint8Array<ArrayBuffer>, number> = {
  module,
  name: 'moveTask',
  run: (bytes) => bytes.length,
  // Twice the same buffer, as sources that share one name it.
  inputBuffers: (bytes) => [bytes.buffer, bytes.buffer],
};
