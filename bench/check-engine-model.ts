/**
 * Runs seeds of the engine's model test on a few threads, some of them twice.
 *
 *     npm run check:engine-model -- [SEEDS] [FIRST SEED] [THREADS] [OPERATIONS]
 *
 * A seed that fails is printed; `FIRST SEED` with one seed runs it again. The last line says how often what
 * was done: work in the background that never happened is a failure too.
 */
import { availableParallelism } from 'node:os';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { missingWork } from '../packages/engine/tests/engine-features.ts';
import { runModel } from '../packages/engine/tests/model/model-run.ts';
import type { ModelCounts } from '../packages/engine/tests/model/model-run.ts';

/** Every so many seeds one is run again: it must do the same. */
const REPEAT_EVERY = 50;
/** After so many seeds a line says how far it is. */
const PROGRESS_EVERY = 50;

interface Share {
  readonly firstSeed: number;
  readonly endSeed: number;
  readonly stride: number;
  readonly operationCount: number;
}

interface SeedReport {
  readonly counts: ModelCounts;
  readonly failures: readonly string[];
  readonly isRepeated: boolean;
}

async function runSeed(seed: number, operationCount: number): Promise<SeedReport> {
  const { counts, violation } = await runModel({ seed, operationCount });
  const failures = violation === undefined ? [] : [`seed ${seed}: ${violation}`];
  const missing = missingWork(counts);
  if (violation === undefined && missing.length > 0) {
    failures.push(`seed ${seed}: never happened: ${missing.join(', ')}`);
  }
  const isRepeated = seed % REPEAT_EVERY === 0;
  if (isRepeated) {
    const again = await runModel({ seed, operationCount });
    const isSame = JSON.stringify(again) === JSON.stringify({ counts, violation });
    if (!isSame) failures.push(`seed ${seed}: runs differently again`);
  }
  return { counts, failures, isRepeated };
}

async function runShare(share: Share, report: (found: SeedReport) => void): Promise<void> {
  for (let seed = share.firstSeed; seed < share.endSeed; seed += share.stride) {
    report(await runSeed(seed, share.operationCount));
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
  const [seedCount = 1000, start = 1, threads = availableParallelism(), operationCount = 10_000] =
    process.argv.slice(2).map(Number);
  const startMs = performance.now();
  const totals: Record<string, number> = {};
  let [runs, repeated, failureCount] = [0, 0, 0];
  const perMinute = (): number => (runs / (performance.now() - startMs)) * 60_000;
  const report = ({ counts, failures, isRepeated }: SeedReport): void => {
    runs++;
    if (isRepeated) repeated++;
    failureCount += failures.length;
    for (const failure of failures) console.log(failure);
    for (const [name, count] of Object.entries(counts as unknown as Record<string, number>)) {
      totals[name] = (totals[name] ?? 0) + count;
    }
    if (runs % PROGRESS_EVERY === 0) {
      console.log(`${runs} seeds, ${failureCount} failures, ${perMinute().toFixed(0)} a minute`);
    }
  };
  await Promise.all(
    Array.from({ length: threads }, (_, index) =>
      runOnThread(
        { firstSeed: start + index, endSeed: start + seedCount, stride: threads, operationCount },
        report,
      ),
    ),
  );
  const perSeed = Object.entries(totals)
    .map(([name, total]) => `${name} ${Math.round(total / runs)}`)
    .join(', ');
  console.log(`a seed on average: ${perSeed}`);
  console.log(
    `${runs} seeds of ${operationCount} operations, ${repeated} run twice: ${failureCount} failures; ` +
      `${((performance.now() - startMs) / 1000).toFixed(0)} s on ${threads} threads, ` +
      `${perMinute().toFixed(0)} seeds a minute`,
  );
  if (failureCount > 0 || runs < seedCount) process.exitCode = 1;
}

if (isMainThread) await main();
else await runShare(workerData as Share, (found) => parentPort?.postMessage(found));
