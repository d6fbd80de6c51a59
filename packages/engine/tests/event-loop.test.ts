/**
 * Random lives of an engine whose device, threads and clock answer from the event loop, as real ones do: an
 * engine that goes round in microtasks until an answer comes never gets one. Otherwise they answer between
 * microtasks, and such an engine looks well. Many more seeds: `npm run check:engine-model -- --event-loop`.
 */
import { expect, test } from 'vitest';
import { runFromEventLoop } from './model/event-loop-run.ts';
import { runModel } from './model/model-run.ts';

const OPERATIONS = 3000;

/** Two with merges on threads, two inline; in 17 a look at the ring is all that puts wait for. */
test.each([2, 5, 7, 17])(
  'seed %i: nobody goes round while answers come from the event loop',
  async (seed) => {
    expect(await runFromEventLoop({ seed, operationCount: OPERATIONS })).toBeUndefined();
  },
);

test('a put that looks for space over and over is noticed there, and nowhere else', async () => {
  const run = { seed: 1, operationCount: OPERATIONS, switches: { spinForSpace: true } };
  expect((await runModel(run)).violation).toBeUndefined();
  expect(await runFromEventLoop(run)).toMatch(/livelock: .*committer\.ts/s);
});
