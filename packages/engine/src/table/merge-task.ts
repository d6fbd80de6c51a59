/** A merge step as a task that may run on another thread. */
import type { ComputeTask } from '@dozo/base';
import { mergeStep } from './merge-step.ts';
import type { MergeDamage, MergeInput, MergeStep } from './merge-step.ts';

/** See {@link mergeStep}. The blocks that come and go are moved. */
export const mergeTask: ComputeTask<MergeInput, MergeStep | MergeDamage> = {
  module: import.meta.url,
  name: 'mergeTask',
  run: mergeStep,
  inputBuffers: ({ sources }) =>
    sources.flatMap(({ blocks }) => (blocks.length === 0 ? [] : [blocks.buffer as ArrayBuffer])),
  outputBuffers: (output) => (output.isDamaged ? [] : [output.run.blocks.buffer as ArrayBuffer]),
};
