/** Tasks that the contract of Compute runs; a worker imports this module too. */
import { assert } from '../assert.ts';
import type { ComputeTask } from '../compute.ts';

const module = import.meta.url;

/** Numbers to be added up, with a note that comes back. */
export interface SumInput {
  readonly numbers: readonly number[];
  readonly note: string | undefined;
}

/** The sum of all numbers, and the note. */
export const sumTask: ComputeTask<SumInput, { readonly sum: number; readonly note?: string }> = {
  module,
  name: 'sumTask',
  run: ({ numbers, note }) => {
    const sum = numbers.reduce((total, number) => total + number, 0);
    return note === undefined ? { sum } : { sum, note };
  },
};

/** A copy of some bytes with each increased by one; both buffers are moved. */
export const incrementTask: ComputeTask<{ readonly bytes: Uint8Array<ArrayBuffer> }, Uint8Array> = {
  module,
  name: 'incrementTask',
  run: ({ bytes }) => bytes.map((byte) => byte + 1),
  inputBuffers: ({ bytes }) => [bytes.buffer],
  outputBuffers: (bytes) => [bytes.buffer as ArrayBuffer],
};

/** Throws what it is told. */
export const throwTask: ComputeTask<{ readonly kind: 'error' | 'assertion' | 'text' }, never> = {
  module,
  name: 'throwTask',
  run: ({ kind }) => {
    assert(kind !== 'assertion', 'the task asserts');
    // A text is what badly behaved code throws.
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    throw kind === 'error' ? new RangeError('the task throws') : 'the task throws';
  },
};
