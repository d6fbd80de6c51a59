/**
 * Runs seeded schedules of claimants on a simulated disk, some of them twice, on a few threads.
 *
 *     npm run check:claim-schedules -- [SEEDS] [FIRST SEED] [THREADS]
 *
 * A seed that fails is printed; `FIRST SEED` with one seed runs it again.
 */
import { availableParallelism } from 'node:os';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { runSchedule } from '../packages/claim/tests/schedules/schedule.ts';
import type { ScheduleReport } from '../packages/claim/tests/schedules/schedule.ts';

/** Every so many seeds one is run again: its trace must be the same. */
const REPEAT_EVERY = 100;

interface Share {
  readonly firstSeed: number;
  readonly endSeed: number;
  readonly stride: number;
}

interface Tally {
  readonly runs: number;
  readonly entries: number;
  readonly excused: number;
  readonly repeated: number;
  readonly virtualMs: number;
  readonly failures: readonly string[];
}

function failureOf(seed: number, report: ScheduleReport): string | undefined {
  const { surprise, isExcused, doubleHold, noProgress } = report;
  const found = surprise ?? (isExcused ? undefined : (doubleHold ?? noProgress));
  return found === undefined ? undefined : `seed ${seed}: ${found}`;
}

async function runShare({ firstSeed, endSeed, stride }: Share): Promise<Tally> {
  const failures: string[] = [];
  let [runs, entries, excused, repeated, virtualMs] = [0, 0, 0, 0, 0];
  for (let seed = firstSeed; seed < endSeed; seed += stride) {
    const report = await runSchedule(seed);
    runs++;
    entries += report.entryCount;
    virtualMs += report.virtualMs;
    if (report.isExcused) excused++;
    const failure = failureOf(seed, report);
    if (failure !== undefined) failures.push(failure);
    if (seed % REPEAT_EVERY !== 0) continue;
    repeated++;
    const again = await runSchedule(seed);
    if (again.traceHash !== report.traceHash) failures.push(`seed ${seed}: runs differently again`);
  }
  return { runs, entries, excused, repeated, virtualMs, failures };
}

function runOnThread(share: Share): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: share });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

async function main(): Promise<void> {
  const [seedCount = 100_000, start = 0, threads = availableParallelism()] = process.argv
    .slice(2)
    .map(Number);
  const startMs = performance.now();
  const tallies = await Promise.all(
    Array.from({ length: threads }, (_, index) =>
      runOnThread({ firstSeed: start + index, endSeed: start + seedCount, stride: threads }),
    ),
  );
  const seconds = (performance.now() - startMs) / 1000;
  const sum = (of: (tally: Tally) => number): number =>
    tallies.reduce((total, tally) => total + of(tally), 0);
  const runs = sum(({ runs }) => runs);
  const failures = tallies.flatMap((tally) => tally.failures);
  for (const failure of failures.slice(0, 20)) console.log(failure);
  console.log(
    `${runs} schedules, ${sum(({ entries }) => entries)} claims entered, ` +
      `${Math.round(sum(({ virtualMs }) => virtualMs) / 1000)} s of virtual time, ` +
      `${sum(({ repeated }) => repeated)} run twice, ` +
      `${sum(({ excused }) => excused)} not counted (two in one slot beyond the settle time): ` +
      `${failures.length} failures; ${seconds.toFixed(0)} s on ${threads} threads, ` +
      `${Math.round(runs / seconds)} a second`,
  );
  if (failures.length > 0) process.exitCode = 1;
}

if (isMainThread) await main();
else parentPort?.postMessage(await runShare(workerData as Share));
