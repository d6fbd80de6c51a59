import { incrementTask, sumTask } from '@dozo/base/contracts';
import { describe, expect, it } from 'vitest';

import { SimulatedClock } from './simulated-clock.ts';
import { SimulatedCompute } from './simulated-compute.ts';
import { SimulatedProcess } from './simulated-process.ts';

/** In which order eight tasks of one seed end, and when. */
async function orderOf(seed: number): Promise<string> {
  const clock = new SimulatedClock({ seed });
  const compute = new SimulatedCompute({ clock, seed });
  const ended: string[] = [];
  const runs = Array.from({ length: 8 }, async (_, index) => {
    await compute.run(sumTask, { numbers: [index], note: undefined });
    ended.push(`${index} at ${clock.monotonicMs()}`);
  });
  await Promise.all(runs);
  return ended.join();
}

describe('SimulatedCompute', () => {
  it('ends tasks in an order that the seed alone decides', async () => {
    const orders = await Promise.all([1, 2, 3].map(orderOf));
    expect(new Set(orders).size).toBe(3);
    expect(await orderOf(2)).toBe(orders[1]);
  });

  it('takes virtual time', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    const compute = new SimulatedCompute({ clock, seed: 1, taskMsMax: 100 });
    await compute.run(sumTask, { numbers: [], note: undefined });
    expect(clock.monotonicMs()).toBeGreaterThan(0);
    expect(clock.monotonicMs()).toBeLessThan(100);
    expect(compute.taskCount).toBe(1);
  });

  it('moves buffers as threads do: the caller has them no more', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    const compute = new SimulatedCompute({ clock, seed: 1 });
    const bytes = new Uint8Array(10);
    const run = compute.run(incrementTask, { bytes });
    expect(bytes.length).toBe(0);
    expect(await run).toEqual(new Uint8Array(10).fill(1));
  });

  it('loses threads when it is told to', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    const compute = new SimulatedCompute({ clock, seed: 1, lostShare: 0.5 });
    const runs = Array.from({ length: 64 }, () =>
      compute.run(sumTask, { numbers: [1], note: undefined }),
    );
    const outcomes = await Promise.allSettled(runs);
    const lost = outcomes.filter(({ status }) => status === 'rejected');
    expect(lost.length).toBeGreaterThan(10);
    expect(lost.length).toBeLessThan(54);
    for (const outcome of lost) {
      expect(outcome).toMatchObject({ reason: { code: 'COMPUTE_WORKER_LOST' } });
    }
  });

  it('delivers to a paused process once it is resumed, and to a killed one never', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    const process = new SimulatedProcess(clock);
    const compute = new SimulatedCompute({ clock, seed: 1, process });
    const ended: string[] = [];
    const run = (name: string): void => {
      void compute.run(sumTask, { numbers: [], note: name }).then(({ note }) => {
        ended.push(note ?? '');
      });
    };
    process.pause();
    run('paused');
    await clock.advance(50);
    expect(ended).toEqual([]);
    process.resume();
    await clock.advance(50);
    expect(ended).toEqual(['paused']);
    run('killed');
    process.kill();
    await clock.advance(50);
    expect(ended).toEqual(['paused']);
  });
});
