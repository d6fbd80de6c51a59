/** Merges whose threads are lost, lie, or take for ever: the engine goes on, and can be closed. */
import { ComputeError, InlineCompute } from '@dozo/base';
import type { Compute, ComputeTask } from '@dozo/base';
import { SimulatedDevice } from '@dozo/simulator';
import { expect, test } from 'vitest';
import { openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import { COMPUTE_FAILURES_MAX } from '../src/limits.ts';
import { HOLDER, KIB, MIB, bytes, formattedMedium, newWorld } from './simulated-engine.ts';
import type { World } from './simulated-engine.ts';

/** What a thread makes of the nth task, counted from one. */
type Thread = <Input, Output>(
  task: ComputeTask<Input, Output>,
  input: Input,
  number: number,
) => Promise<Output>;

class TestCompute implements Compute {
  readonly isApart: boolean;
  readonly #thread: Thread;
  taskCount = 0;

  constructor(thread: Thread, isApart = true) {
    this.#thread = thread;
    this.isApart = isApart;
  }

  run<Input, Output>(task: ComputeTask<Input, Output>, input: Input): Promise<Output> {
    this.taskCount++;
    return this.#thread(task, input, this.taskCount);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const lost: Thread = ({ name }) =>
  Promise.reject(
    new ComputeError('lost', { code: 'COMPUTE_WORKER_LOST', task: name, reason: 'gone' }),
  );
const inline = new InlineCompute();

async function openWith(
  world: World,
  compute: Compute,
  sizes: { readonly segmentPayloadBytes: number; readonly memtableBytes: number },
): Promise<Engine> {
  const { clock, random } = world;
  const { segmentPayloadBytes, memtableBytes } = sizes;
  const medium = await formattedMedium(world, { segmentCount: 64, segmentPayloadBytes });
  const device = new SimulatedDevice(medium, { clock, seed: 1, alignmentBytes: 1 });
  const base = { device, clock, random, holder: HOLDER, compute };
  return openEngine({ ...base, memtableBytes, cacheBytes: 64 * KIB });
}

const SMALL = { segmentPayloadBytes: 64 * KIB, memtableBytes: 8 * KIB };
const keyOf = (index: number): Uint8Array => bytes(`key/${String((index * 7919) % 3000)}`);

async function write(engine: Engine, count: number, valueBytes = 100): Promise<void> {
  for (let index = 0; index < count; index++) {
    const value = new Uint8Array(valueBytes).fill(index % 251);
    await engine.apply([{ kind: 'put', key: keyOf(index), value }]);
  }
}

/** The last 3,000 writes have a key each. */
async function expectAll(engine: Engine, count: number): Promise<void> {
  for (let index = Math.max(0, count - 3000); index < count; index++) {
    const entry = await engine.get(keyOf(index));
    expect(entry?.value[0], `key ${String(index)}`).toBe(index % 251);
  }
}

test('merges go on when every thread is lost, a few of them for each job', async () => {
  const world = newWorld('every thread is lost');
  const compute = new TestCompute((task, input, number) => {
    if (number > 5000) throw new Error('a merge asks for threads without end');
    return lost(task, input, number);
  });
  const engine = await openWith(world, compute, SMALL);
  await world.clock.runUntil(write(engine, 4000));
  const compactionCount = engine.stats().tree?.compactions.count ?? 0;
  expect(compactionCount).toBeGreaterThan(10);
  // One more job may be under way.
  expect(compute.taskCount).toBeLessThanOrEqual(COMPUTE_FAILURES_MAX * (compactionCount + 1));
  await world.clock.runUntil(expectAll(engine, 4000));
  await world.clock.runUntil(engine.close());
});

test('a thread that is lost now and then is asked again', async () => {
  const world = newWorld('now and then');
  const compute = new TestCompute((task, input, number) =>
    number % 3 === 0 ? inline.run(task, input) : lost(task, input, number),
  );
  const engine = await openWith(world, compute, SMALL);
  await world.clock.runUntil(write(engine, 4000));
  const compactionCount = engine.stats().tree?.compactions.count ?? 0;
  expect(compactionCount).toBeGreaterThan(10);
  // Two losses in a row are no reason to do without: each step took three tasks.
  expect(compute.taskCount).toBeGreaterThanOrEqual(3 * compactionCount);
  await world.clock.runUntil(expectAll(engine, 4000));
  await world.clock.runUntil(engine.close());
});

test('a thread that calls everything damaged is not believed for ever', async () => {
  const world = newWorld('all damaged');
  const compute = new TestCompute(async (task, input, number) => {
    if (number > 5000) throw new Error('a merge asks for threads without end');
    const output = await inline.run(task, input);
    return { ...output, result: { isDamaged: true, source: 0 } };
  });
  const engine = await openWith(world, compute, SMALL);
  await world.clock.runUntil(write(engine, 4000));
  expect(engine.stats().tree?.compactions.count).toBeGreaterThan(10);
  await world.clock.runUntil(expectAll(engine, 4000));
  await world.clock.runUntil(engine.close());
});

test('a merge ends with the engine, in the middle of a table', async () => {
  const world = newWorld('in the middle');
  const held: { release?: () => void } = {};
  const compute: TestCompute = new TestCompute(async (task, input, number) => {
    if (number === 1) {
      await new Promise<void>((resolve) => {
        held.release = resolve;
      });
    }
    return inline.run(task, input);
  }, false);
  const large = { segmentPayloadBytes: 4 * MIB, memtableBytes: MIB };
  const engine = await openWith(world, compute, large);
  let count = 0;
  while (held.release === undefined) await world.clock.runUntil(write(engine, (count += 500), 500));
  const closing = engine.close();
  // Until it waits for nothing but this step. What has no event to wait for takes no time, but turns.
  for (let turn = 0; turn < 200; turn++) await world.clock.advance(10);
  const { taskCount } = compute;
  held.release();
  await world.clock.runUntil(closing);
  expect(taskCount).toBe(1);
  expect(compute.taskCount).toBe(1);
});
