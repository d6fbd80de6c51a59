/**
 * A merge step as a task of the Compute port.
 *
 * The blocks of the sources are moved to where the step runs and come back with its result: a step
 * seldom needs all of them, and the next one takes up those that are left without a copy. Should the
 * thread be lost, they are lost with it, and the caller reads them again.
 */
import type { ComputeTask } from '@dozo/base';
import { mergeStep } from './merge-step.ts';
import type { MergeDamage, MergeInput, MergeStep } from './merge-step.ts';

/** What a step made of its input, and the blocks of its sources, in their order. */
export interface MergeTaskOutput {
  readonly result: MergeStep | MergeDamage;
  /** In place of `blocks` of each source, which the caller has no more. */
  readonly blocks: readonly Uint8Array[];
}

/** See the file comment. */
export const mergeTask: ComputeTask<MergeInput, MergeTaskOutput> = {
  module: import.meta.url,
  name: 'mergeTask',
  run: (input) => ({
    result: mergeStep(input),
    blocks: input.sources.map(({ blocks }) => blocks),
  }),
  inputBuffers: ({ sources }) => buffersOf(sources.map(({ blocks }) => blocks)),
  outputBuffers: ({ result, blocks }) => {
    if (result.isDamaged) return buffersOf(blocks);
    const { run } = result;
    return buffersOf([...blocks, run.blocks, run.blockEnds, run.fences, run.fenceEnds, run.hashes]);
  },
};

/** What is empty is not moved: its buffer may be one that many share. */
function buffersOf(arrays: readonly (Uint8Array | Uint32Array | Int32Array)[]): ArrayBuffer[] {
  return arrays
    .filter(({ byteLength }) => byteLength > 0)
    .map(({ buffer }) => buffer as ArrayBuffer);
}
