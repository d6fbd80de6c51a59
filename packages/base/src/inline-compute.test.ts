import { describe, expect, it } from 'vitest';

import type { ComputeTask } from './compute.ts';
import { computeContract } from './contracts/index.ts';
import { InlineCompute } from './inline-compute.ts';

describe('the contract of InlineCompute', () => {
  it.each(computeContract(() => new InlineCompute()))('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe('InlineCompute', () => {
  it('has run the task when the call returns, on the very input', async () => {
    const seen: unknown[] = [];
    const seeTask: ComputeTask<object, number> = {
      module: import.meta.url,
      name: 'seeTask',
      run: (input) => seen.push(input),
    };
    const input = {};
    const result = new InlineCompute().run(seeTask, input);
    expect(seen[0]).toBe(input);
    expect(await result).toBe(1);
  });
});
