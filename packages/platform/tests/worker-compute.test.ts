/** Threads that end, queues that fill, buffers that move: what the contract of Compute leaves open. */
import { execFile } from 'node:child_process';
import { threadId } from 'node:worker_threads';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';

import { WorkerCompute } from '../src/index.ts';
import type { WorkerComputeOptions } from '../src/index.ts';
import { COMPUTE_QUEUE_MAX, WORKER_LOSSES_MAX, WORKER_TASKS_MAX } from '../src/limits.ts';
import { endTask, functionTask, moveTask, waitTask } from './compute-tasks.ts';

const opened: WorkerCompute[] = [];

function open(options?: WorkerComputeOptions): WorkerCompute {
  const compute = new WorkerCompute(options);
  opened.push(compute);
  return compute;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((compute) => compute.close()));
});

describe('WorkerCompute', () => {
  it('computes on a thread of its own, and on as many as it was told', async () => {
    const compute = open({ workerCount: 2 });
    const threads = await Promise.all([compute.run(waitTask, 1), compute.run(waitTask, 1)]);
    expect(threads).not.toContain(threadId);
    expect(new Set(threads).size).toBe(2);
  });

  it('moves the buffers that a task names, and copies the others', async () => {
    const compute = open();
    const moved = new Uint8Array(1000);
    expect(await compute.run(moveTask, moved)).toBe(1000);
    expect(moved.length).toBe(0);
    const { inputBuffers: _, ...copyTask } = moveTask;
    const copied = new Uint8Array(1000);
    expect(await compute.run(copyTask, copied)).toBe(1000);
    expect(copied.length).toBe(1000);
  });

  it('says so when an input or an output cannot be handed over', async () => {
    const compute = open();
    const input = { toString: () => 'a function does not pass' };
    const failed = { code: 'COMPUTE_TASK_FAILED' };
    await expect(compute.run(waitTask, input as never)).rejects.toMatchObject(failed);
    await expect(compute.run(functionTask, undefined)).rejects.toMatchObject(failed);
    expect(await compute.run(moveTask, new Uint8Array(3))).toBe(3);
  });

  it('refuses a task when too many wait, and takes nothing of it', async () => {
    const compute = open();
    const waiting = Array.from({ length: COMPUTE_QUEUE_MAX + WORKER_TASKS_MAX }, () =>
      compute.run(waitTask, 0),
    );
    const bytes = new Uint8Array(10);
    await expect(compute.run(moveTask, bytes)).rejects.toMatchObject({
      code: 'COMPUTE_QUEUE_FULL',
      detail: { limitCount: COMPUTE_QUEUE_MAX },
    });
    expect(bytes.length).toBe(10);
    await Promise.all(waiting);
    expect(await compute.run(moveTask, bytes)).toBe(10);
  });

  it.each(['exit', 'heap'] as const)(
    'a thread that ends (%s) fails what it had, is reported and replaced',
    async (how) => {
      const reports: string[] = [];
      const compute = open({ heapMibMax: 16, onWorkerLost: (reason) => reports.push(reason) });
      const lost = { code: 'COMPUTE_WORKER_LOST' };
      const ending = compute.run(endTask, how);
      const behind = compute.run(waitTask, 0);
      const waiting = compute.run(waitTask, 0);
      await expect(ending).rejects.toMatchObject(lost);
      await expect(behind).rejects.toMatchObject(lost);
      expect(await waiting).toBeGreaterThan(0);
      expect(reports).toHaveLength(1);
      expect(reports[0]).toMatch(how === 'exit' ? /status 7/ : /memory/);
    },
  );

  it('starts no more threads when they end one after the other', async () => {
    const reports: string[] = [];
    const compute = open({ onWorkerLost: (reason) => reports.push(reason) });
    const lost = { code: 'COMPUTE_WORKER_LOST' };
    for (let round = 1; round < WORKER_LOSSES_MAX; round++) {
      await expect(compute.run(endTask, 'exit')).rejects.toMatchObject(lost);
    }
    expect(await compute.run(moveTask, new Uint8Array(1))).toBe(1);
    const tasks = Array.from({ length: 3 * WORKER_LOSSES_MAX }, () => compute.run(endTask, 'exit'));
    for (const task of tasks) await expect(task).rejects.toMatchObject(lost);
    await expect(compute.run(moveTask, new Uint8Array(1))).rejects.toMatchObject(lost);
    expect(reports).toHaveLength(WORKER_LOSSES_MAX - 1 + WORKER_LOSSES_MAX);
  });

  it('closing ends a task that would run for ever', async () => {
    const compute = open();
    const started = await compute.run(waitTask, 0);
    expect(started).toBeGreaterThan(0);
    const running = compute.run(waitTask, 3_600_000);
    const closed = compute.close();
    await expect(running).rejects.toMatchObject({ code: 'COMPUTE_CLOSED' });
    await closed;
  });

  it('an idle thread lets its process end, and a task under way does not', async () => {
    const platform = new URL('../src/index.ts', import.meta.url).href;
    const tasks = new URL('./compute-tasks.ts', import.meta.url).href;
    const program = `
      const { WorkerCompute } = await import(${JSON.stringify(platform)});
      const { waitTask } = await import(${JSON.stringify(tasks)});
      const compute = new WorkerCompute();
      console.log(typeof (await compute.run(waitTask, 50)));
      console.log(typeof (await compute.run(waitTask, 50)));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--eval', program], {
      timeout: 30_000,
    });
    expect(stdout).toBe('number\nnumber\n');
  });
});
