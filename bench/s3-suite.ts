/**
 * The figures of S3 in `docs/performance.md`: `dozo up` against what the machine allows, in one run.
 *
 *   npm run bench:s3 [-- --seconds 5 --rounds 3 --only small,large,start,memory]
 *
 * Absolute figures drift with the machine and with the hour; ratios within one run hold. So the bare
 * server of `s3-baseline.ts` and `dozo up` take turns, and a ratio is one of medians. Both are started
 * fresh, get the same requests from the same generator, and share the same two cores with it.
 *
 * Unless a row says otherwise, both write to blocks of the disk that have been written before.
 *
 * - small: objects of 4 KiB over 64 connections, against a bare server that hashes and answers. It
 *   keeps nothing; Dozo's answer comes after a flush.
 * - large: objects of 16 MiB over 4 connections, against one that hashes, writes and flushes.
 * - start: from the command to serving with 100,000 objects, after a clean stop and after a kill.
 * - memory: resident memory idle and with a million small objects.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { ACCESS_KEY_ID, DozoServer, SECRET_ACCESS_KEY } from '../e2e/harness/dozo-server.ts';
import type { LoadResult, Workload } from './s3-load.ts';

const runFile = promisify(execFile);
const here = import.meta.dirname;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'small,large,start,memory' },
    objects: { type: 'string', default: '1000000' },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);

interface Load {
  readonly workload: Workload;
  readonly size: string;
  readonly concurrency: number;
  readonly seconds?: number;
  readonly count?: number;
  readonly keyCount?: number;
  readonly prefix?: string;
  readonly prepare?: boolean;
}

interface Row {
  readonly what: string;
  readonly figure: string;
  readonly against?: string;
  readonly ratio?: string;
}

const rows: Row[] = [];

function note(row: Row): void {
  rows.push(row);
  console.error(`${row.what}: ${row.figure}${row.ratio === undefined ? '' : ` (${row.ratio})`}`);
}

/** Runs the generator as a process of its own. */
async function generate(endpoint: string, load: Load): Promise<LoadResult> {
  const args = [
    ...[join(here, 's3.ts'), '--endpoint', endpoint, '--workload', load.workload],
    ...['--size', load.size, '--concurrency', String(load.concurrency)],
    ...['--access-key', ACCESS_KEY_ID, '--secret-key', SECRET_ACCESS_KEY],
  ];
  if (load.count !== undefined) args.push('--count', String(load.count));
  else args.push('--duration', String(load.seconds ?? seconds));
  if (load.keyCount !== undefined) args.push('--key-count', String(load.keyCount));
  if (load.prefix !== undefined) args.push('--prefix', load.prefix);
  if (load.prepare === false) args.push('--no-prepare');
  const { stdout } = await runFile(process.execPath, args, { maxBuffer: 16 * 1024 * 1024 });
  const result = JSON.parse(stdout) as LoadResult;
  if (result.errors > 0) {
    throw new Error(`${result.errors} requests failed: ${JSON.stringify(result.statuses)}`);
  }
  return result;
}

/** A server under load: ours or the bare one. */
interface Served {
  readonly endpoint: string;
  readonly pid: number;
}

interface Baseline extends Served {
  readonly stop: () => void;
}

function startBaseline(storePath: string): Promise<Baseline> {
  const child = spawn(process.execPath, [join(here, 's3-baseline.ts'), '--store', storePath], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout.once('data', (line: Buffer) => {
      const { endpoint, pid } = JSON.parse(line.toString()) as Served;
      resolve({ endpoint, pid, stop: () => void child.kill('SIGTERM') });
    });
  });
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const rounded = (number: number): string =>
  number >= 100 ? Math.round(number).toLocaleString('en') : number.toFixed(1);

/** Processor time that a process has used, in seconds; Linux counts it in hundredths. */
function processorSeconds({ pid }: Served): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

interface Measured {
  readonly result: LoadResult;
  /** Of the server, for each request, in µs: less at the mercy of the neighbours than rates are. */
  readonly processorUs: number;
}

async function measureLoad(server: Served, load: Load): Promise<Measured> {
  const before = processorSeconds(server);
  const result = await generate(server.endpoint, load);
  const used = processorSeconds(server) - before;
  return { result, processorUs: (used / result.operations) * 1e6 };
}

/** Runs one load on both in turn, some times over, and notes the ratio of the medians. */
async function compare(
  what: string,
  ours: Served,
  theirs: Served,
  load: Load,
  measure: (result: LoadResult) => number,
  unit: string,
): Promise<void> {
  if (load.workload !== 'put') {
    await generate(theirs.endpoint, { ...load, seconds: 0.1 });
    await generate(ours.endpoint, { ...load, seconds: 0.1 });
  }
  const runs: Measured[] = [];
  const bareRuns: Measured[] = [];
  for (let round = 0; round < rounds; round += 1) {
    bareRuns.push(await measureLoad(theirs, { ...load, prepare: false }));
    runs.push(await measureLoad(ours, { ...load, prepare: false }));
  }
  const figure = median(runs.map((run) => measure(run.result)));
  const against = median(bareRuns.map((run) => measure(run.result)));
  const p50 = median(runs.map((run) => run.result.latencyMsP50));
  const p99 = median(runs.map((run) => run.result.latencyMsP99));
  const processorUs = median(runs.map((run) => run.processorUs));
  const bareUs = median(bareRuns.map((run) => run.processorUs));
  note({
    what,
    figure:
      `${rounded(figure)} ${unit}; p50 ${rounded(p50)} ms, p99 ${rounded(p99)} ms; ` +
      `${rounded(processorUs)} µs of processor each`,
    against: `${rounded(against)} ${unit}; ${rounded(bareUs)} µs`,
    ratio: (figure / against).toFixed(2),
  });
}

const operationsOf = (result: LoadResult): number => result.operationsPerSecond;
const megabytesOf = (result: LoadResult): number => result.megabytesPerSecond;

async function measureSmall(scratch: string): Promise<void> {
  const baseline = await startBaseline(join(scratch, 'baseline-small'));
  const server = await startDozoOnUsedDisk(scratch, 'small', 3);
  const put: Load = { workload: 'put', size: '4KiB', concurrency: 64, keyCount: 50_000 };
  // Both are warm before anything counts.
  await generate(baseline.endpoint, { ...put, seconds: 2 });
  await generate(server.endpoint, { ...put, seconds: 2 });
  const ours = server;
  const theirs = baseline;
  await compare('PUT 4 KiB, 64 connections', ours, theirs, put, operationsOf, 'a second');
  const few: Load = { ...put, concurrency: 16 };
  await compare('PUT 4 KiB, 16 connections', ours, theirs, few, operationsOf, 'a second');
  const get: Load = { ...put, workload: 'get' };
  await compare('GET 4 KiB, 64 connections', ours, theirs, get, operationsOf, 'a second');
  const mixed: Load = { ...put, workload: 'mixed' };
  await compare('70 % GET, 30 % PUT, 4 KiB', ours, theirs, mixed, operationsOf, 'a second');
  const listed = await generate(ours.endpoint, {
    ...{ ...put, workload: 'list', concurrency: 4, prepare: false },
  });
  note({
    what: 'ListObjectsV2, pages of 1,000 keys of 50,000, 4 connections',
    figure: `${rounded(listed.operationsPerSecond)} a second; p50 ${rounded(listed.latencyMsP50)} ms`,
  });
  await server.stop();
  const fresh = await startDozo(scratch, 'fresh', '8GiB');
  const what = 'PUT 4 KiB, 64 connections, on blocks that were never written';
  await compare(what, fresh, theirs, put, operationsOf, 'a second');
  await fresh.stop();
  baseline.stop();
}

async function measureLarge(scratch: string): Promise<void> {
  const baseline = await startBaseline(join(scratch, 'baseline-large'));
  const server = await startDozoOnUsedDisk(scratch, 'large', 8);
  const put: Load = { workload: 'put', size: '16MiB', concurrency: 4, keyCount: 64 };
  await generate(baseline.endpoint, { ...put, seconds: 2 });
  await generate(server.endpoint, { ...put, seconds: 2 });
  const get: Load = { ...put, workload: 'get' };
  const ours = server;
  const theirs = baseline;
  await compare('PUT 16 MiB, 4 connections', ours, theirs, put, megabytesOf, 'MB/s');
  await compare('GET 16 MiB, 4 connections', ours, theirs, get, megabytesOf, 'MB/s');
  const middle: Load = { ...put, size: '1MiB', concurrency: 8, keyCount: 500, prefix: 'middle/' };
  await compare('PUT 1 MiB, 8 connections', ours, theirs, middle, megabytesOf, 'MB/s');
  await compare(
    ...(['GET 1 MiB, 8 connections', ours, theirs] as const),
    { ...middle, workload: 'get' },
    ...([megabytesOf, 'MB/s'] as const),
  );
  await server.stop();
  baseline.stop();
}

function startDozo(scratch: string, name: string, size: string): Promise<DozoServer> {
  const dataDirectory = join(scratch, name);
  mkdirSync(dataDirectory, { recursive: true });
  return DozoServer.start({ dataDirectory, size });
}

/**
 * The same on a device whose every block has been written before, as the file of the bare server has:
 * the first write of a block costs more, on a thin disk several times as much, and happens once.
 */
async function startDozoOnUsedDisk(
  scratch: string,
  name: string,
  sizeGib: number,
): Promise<DozoServer> {
  const dataDirectory = join(scratch, name);
  mkdirSync(dataDirectory);
  const device = join(dataDirectory, 'osd-0.device');
  await runFile('dd', ['if=/dev/zero', `of=${device}`, 'bs=4M', `count=${sizeGib * 256}`]);
  await runFile('sync', [device]);
  await runFile(process.execPath, [
    ...[join(here, '..', 'packages', 'dozo', 'bin', 'dozo.js'), 'device', 'format', device],
  ]);
  return startDozo(scratch, name, `${sizeGib}GiB`);
}

/** Stores small objects under keys of their own, in portions that the generator can hold. */
async function storeObjects(server: DozoServer, count: number, size: string): Promise<void> {
  const portion = 100_000;
  for (let stored = 0; stored < count; stored += portion) {
    const some = Math.min(portion, count - stored);
    await generate(server.endpoint, {
      ...{ workload: 'put', size, concurrency: 64, count: some, prefix: `many/${stored}/` },
    });
  }
}

async function timedStart(server: DozoServer): Promise<number> {
  const startMs = performance.now();
  await server.start();
  return performance.now() - startMs;
}

async function measureStart(scratch: string): Promise<void> {
  const server = await startDozo(scratch, 'start', '8GiB');
  await server.stop();
  const empty: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    empty.push(await timedStart(server));
    await server.stop();
  }
  await server.start();
  await storeObjects(server, 100_000, '1KiB');
  const clean: number[] = [];
  const killed: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await server.stop();
    clean.push(await timedStart(server));
  }
  for (let round = 0; round < rounds; round += 1) {
    await storeObjects(server, 1_000, '1KiB');
    await server.kill();
    killed.push(await timedStart(server));
  }
  await server.stop();
  const figure = (times: readonly number[]): string => `${rounded(median(times))} ms`;
  note({ what: 'start to serving, empty device', figure: figure(empty) });
  note({ what: 'start to serving, 100,000 objects, after a clean stop', figure: figure(clean) });
  note({ what: 'start to serving, 100,000 objects, after SIGKILL', figure: figure(killed) });
}

async function measureMemory(scratch: string): Promise<void> {
  const count = Number(values.objects);
  const server = await startDozo(scratch, 'memory', '8GiB');
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  note({ what: 'resident memory, empty, idle', figure: mebibytes(server.residentBytes()) });
  await storeObjects(server, count, '1KiB');
  const objects = `${count.toLocaleString('en')} objects of 1 KiB`;
  note({
    what: `resident memory after storing ${objects}`,
    figure: `${mebibytes(server.residentBytes())}; peak ${mebibytes(server.peakResidentBytes())}`,
  });
  await server.stop();
  const startMs = await timedStart(server);
  note({
    what: `start to serving, ${objects}, after a clean stop`,
    figure: `${rounded(startMs)} ms`,
  });
  note({
    what: `resident memory after a start with ${objects}`,
    figure: mebibytes(server.residentBytes()),
  });
  await server.stop();
}

const sections: Readonly<Record<string, (scratch: string) => Promise<void>>> = {
  small: measureSmall,
  large: measureLarge,
  start: measureStart,
  memory: measureMemory,
};

const base = join(here, '..', 'build', 'bench');
mkdirSync(base, { recursive: true });
for (const name of values.only.split(',')) {
  const measure = sections[name];
  if (measure === undefined) throw new Error(`--only takes ${Object.keys(sections).join(', ')}`);
  const scratch = mkdtempSync(join(base, 's3-'));
  try {
    await measure(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
console.log(
  `${cpus().length} x ${processor}, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
    `Linux ${release()}, Node ${process.version}; median of ${rounds} runs of ${seconds} s.\n`,
);
console.log('| what | figure | bare server | ratio |\n| --- | --- | --- | --- |');
for (const { what, figure, against = '', ratio = '' } of rows) {
  console.log(`| ${what} | ${figure} | ${against} | ${ratio} |`);
}
