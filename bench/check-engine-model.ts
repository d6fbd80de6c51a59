/**
 * Runs seeds of the engine's model test on a few threads, some of them twice.
 *
 *     npm run check:engine-model -- [--event-loop] [SEEDS] [FIRST SEED] [THREADS] [OPERATIONS]
 *
 * A seed that fails is printed; `FIRST SEED` with one seed runs it again. The last line says how often what
 * was done: work in the background that never happened is a failure too.
 *
 * With `--event-loop` the simulated device, threads and clock answer from the event loop instead of between
 * microtasks, as real ones do. An engine that goes round in microtasks until an answer comes is a failure then,
 * with the place where it was seen; its thread is ended, and another one goes on with the next seed.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { missingWork } from '../packages/engine/tests/engine-features.ts';
import { guardAgainstLivelock } from '../packages/engine/tests/model/livelock-guard.ts';
import { runModel } from '../packages/engine/tests/model/model-run.ts';
import type { ModelCounts, ModelRunOptions } from '../packages/engine/tests/model/model-run.ts';

/** Every so many seeds one is run again: it must do the same. */
const REPEAT_EVERY = 50;
/** After so many seeds a line says how far it is. */
const PROGRESS_EVERY = 50;

interface Share {
  readonly firstSeed: number;
  readonly endSeed: number;
  readonly stride: number;
  readonly operationCount: number;
  readonly isFromEventLoop: boolean;
}

interface SeedReport {
  readonly seed: number;
  /** Absent when the run could only be ended with its thread. */
  readonly counts?: ModelCounts;
  readonly failures: readonly string[];
  readonly isRepeated: boolean;
}

async function runSeed(options: ModelRunOptions): Promise<SeedReport> {
  const { seed } = options;
  const { counts, violation } = await runModel(options);
  const failures = violation === undefined ? [] : [`seed ${seed}: ${violation}`];
  const missing = missingWork(counts);
  if (violation === undefined && missing.length > 0) {
    failures.push(`seed ${seed}: never happened: ${missing.join(', ')}`);
  }
  const isRepeated = seed % REPEAT_EVERY === 0;
  if (isRepeated) {
    const again = await runModel(options);
    const isSame = JSON.stringify(again) === JSON.stringify({ counts, violation });
    if (!isSame) failures.push(`seed ${seed}: runs differently again`);
  }
  return { seed, counts, failures, isRepeated };
}

async function runShare(share: Share, report: (found: SeedReport) => void): Promise<void> {
  const { firstSeed, endSeed, stride, operationCount, isFromEventLoop } = share;
  let seed = firstSeed;
  const onLivelock = (problem: string): void => {
    report({ seed, failures: [`seed ${seed}: ${problem}`], isRepeated: false });
    process.exit(1);
  };
  const ways = isFromEventLoop ? { nextTurn: guardAgainstLivelock(onLivelock) } : {};
  for (; seed < endSeed; seed += stride) report(await runSeed({ seed, operationCount, ...ways }));
}

/** Runs a share on one thread after the other: each but the last was ended by a livelock. */
async function runOnThreads(share: Share, report: (found: SeedReport) => void): Promise<void> {
  let firstSeed = share.firstSeed;
  while (firstSeed < share.endSeed) {
    const before = firstSeed;
    await runOnThread({ ...share, firstSeed }, (found) => {
      firstSeed = found.seed + share.stride;
      report(found);
    });
    if (firstSeed === before) throw new Error(`The thread of seed ${before} has ended by itself.`);
  }
}

function runOnThread(share: Share, report: (found: SeedReport) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: share });
    worker.on('message', report);
    worker.on('error', reject);
    worker.on('exit', () => {
      resolve();
    });
  });
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { 'event-loop': { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const isFromEventLoop = values['event-loop'];
  const [seedCount = 1000, start = 1, threads = availableParallelism(), operationCount = 10_000] =
    positionals.map(Number);
  const startMs = performance.now();
  const totals: Record<string, number> = {};
  let [runs, repeated, failureCount] = [0, 0, 0];
  const perMinute = (): number => (runs / (performance.now() - startMs)) * 60_000;
  const report = ({ counts, failures, isRepeated }: SeedReport): void => {
    runs++;
    if (isRepeated) repeated++;
    failureCount += failures.length;
    for (const failure of failures) console.log(failure);
    for (const [name, count] of Object.entries({ ...counts } as Record<string, number>)) {
      totals[name] = (totals[name] ?? 0) + count;
    }
    if (runs % PROGRESS_EVERY === 0) {
      console.log(`${runs} seeds, ${failureCount} failures, ${perMinute().toFixed(0)} a minute`);
    }
  };
  await Promise.all(
    Array.from({ length: threads }, (_, index) =>
      runOnThreads(
        {
          ...{ firstSeed: start + index, endSeed: start + seedCount, stride: threads },
          ...{ operationCount, isFromEventLoop },
        },
        report,
      ),
    ),
  );
  const perSeed = Object.entries(totals)
    .map(([name, total]) => `${name} ${Math.round(total / runs)}`)
    .join(', ');
  console.log(`a seed on average: ${perSeed}`);
  console.log(
    `${runs} seeds of ${operationCount} operations${isFromEventLoop ? ' from the event loop' : ''}, ${repeated} run twice: ${failureCount} failures; ` +
      `${((performance.now() - startMs) / 1000).toFixed(0)} s on ${threads} threads, ` +
      `${perMinute().toFixed(0)} seeds a minute`,
  );
  if (failureCount > 0 || runs < seedCount) process.exitCode = 1;
}

if (isMainThread) await main();
else await runShare(workerData as Share, (found) => parentPort?.postMessage(found));
