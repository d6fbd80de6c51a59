/**
 * One process of the engine's bench: opens one store, does one job with it, prints what it has measured
 * as one JSON document. Memory and processor time are therefore the store's and its binding's alone.
 *
 *     node engine-process.ts '{"store": "lmdb", "task": {"kind": "load", "count": 1000}, ...}'
 */
import { readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Entries, KEY_BYTES, keyOf, mixed, type BenchJob, type BenchResult } from './engine-job.ts';
import type { BenchStore, OpenStore } from './engine-store.ts';
import { loadStore } from './engine-stores.ts';

const STDOUT = 1;
const LOAD_BATCH = 1000;
const LOAD_WRITERS = 4;
const READERS = 16;
/** Making a value of this length costs more than some stores need to write it: each writer has one. */
const REUSED_VALUE_BYTES = 4096;
const DIE_BATCH = 100;
/** At rest a store writes less than this between two looks. */
const REST_BYTES = 256 * 1024;
const REST_LOOK_MS = 3000;
/** Two memtables of entries of 140 bytes: the most that a start of ours replays. */
const DIE_COUNT = 250_000;

const job = JSON.parse(process.argv[2] ?? '') as BenchJob;
const entries = new Entries(job.valueBytes);
const result = await run();
writeSync(STDOUT, `${JSON.stringify(result)}\n`);
// One that dies has not closed its store; another one has nothing more to do.
process.kill(process.pid, 'SIGKILL');

async function run(): Promise<BenchResult> {
  const bareBytes = memoryBytes()['residentBytes'] ?? 0;
  const figures = await runWith(await loadStore(job.store));
  return { ...figures, bareBytes };
}

async function runWith(open: OpenStore): Promise<BenchResult> {
  const startMs = performance.now();
  const store = await open(job);
  const openMs = performance.now() - startMs;
  const { task } = job;
  switch (task.kind) {
    case 'load-library':
      await store.close();
      return { openMs };
    case 'put':
      return { openMs, ...(await put(store, task)), ...(await closed(store)) };
    case 'load':
      return { openMs, ...(await load(store, task.count)), ...(await closed(store)) };
    case 'rest':
      return { restMs: await restOf(store), ...(await closed(store)) };
    case 'die':
      await putMany(store, LOAD_WRITERS, DIE_BATCH, mixed(task.count) % task.count, DIE_COUNT);
      return { openMs };
    case 'read':
      return { ...(await read(store, task, startMs)), ...(await closed(store)) };
  }
}

async function closed(store: BenchStore): Promise<BenchResult> {
  const counters = store.counters();
  const sizeBytes = store.sizeBytes();
  const memory = memoryBytes();
  const startMs = performance.now();
  await store.close();
  return { ...memory, ...counters, sizeBytes, closeMs: performance.now() - startMs };
}

async function put(
  store: BenchStore,
  task: { readonly writers: number; readonly batchSize: number; readonly count: number },
): Promise<BenchResult> {
  const { writers, batchSize, count } = task;
  await putMany(store, writers, batchSize, 0, count);
  return putMany(store, writers, batchSize, 0, count);
}

async function load(store: BenchStore, count: number): Promise<BenchResult> {
  const figures = await putMany(store, LOAD_WRITERS, LOAD_BATCH, 0, count);
  return { loadPerSecond: figures['perSecond'] ?? 0, loadMs: figures['elapsedMs'] ?? 0 };
}

/** How long it writes by itself, in ms. Stores that do not tell what they write count as at rest. */
async function restOf(store: BenchStore): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const [sinceMs, before] = [performance.now(), store.counters()['bytesWritten'] ?? 0];
    await sleep(REST_LOOK_MS);
    const writtenBytes = (store.counters()['bytesWritten'] ?? 0) - before;
    if (writtenBytes < REST_BYTES) return sinceMs - startMs;
  }
}

/** Entries `[first, first + count)`, by several writers. */
async function putMany(
  store: BenchStore,
  writers: number,
  batchSize: number,
  first: number,
  count: number,
): Promise<BenchResult> {
  const latencies: number[] = [];
  let next = first;
  const end = first + count;
  const write = async (): Promise<void> => {
    const isReused = job.valueBytes >= REUSED_VALUE_BYTES && batchSize === 1;
    const own = isReused ? entries.entry(first).value : undefined;
    while (next < end) {
      const start = next;
      next = Math.min(next + batchSize, end);
      own?.writeUInt32LE(start, 0);
      const batch =
        own === undefined
          ? Array.from({ length: next - start }, (_, index) => entries.entry(start + index))
          : [{ key: keyOf(start), value: own }];
      const startMs = performance.now();
      await store.put(batch);
      latencies.push(performance.now() - startMs);
    }
  };
  return measure(count, latencies, () => Promise.all(Array.from({ length: writers }, write)));
}

async function read(
  store: BenchStore,
  task: Extract<BenchJob['task'], { kind: 'read' }>,
  startMs: number,
): Promise<BenchResult> {
  const { count, getCount, scanRows, isWarmed } = task;
  entries.check(0, await store.get(keyOf(0)));
  const firstGetMs = performance.now() - startMs;
  if (getCount === 0) return { firstGetMs };
  if (isWarmed) for (let index = 1; index < count; index += 1) await store.get(keyOf(index));
  else {
    // All of it into the page cache, which one of the stores drops when it opens, then a part into its own.
    await store.scan(count);
    await getMany(store, count, getCount, 1);
  }
  const many = await getMany(store, count, getCount, READERS);
  const alone = await getMany(store, count, Math.ceil(getCount / 4), 1);
  const beforeScanMs = performance.now();
  const rows = await store.scan(scanRows);
  const scanMs = performance.now() - beforeScanMs;
  if (rows !== Math.min(scanRows, count)) throw new Error(`The scan has ${rows} rows.`);
  return {
    firstGetMs,
    getsPerSecond: many['perSecond'] ?? 0,
    getCpuUs: many['cpuUs'] ?? 0,
    getsAlonePerSecond: alone['perSecond'] ?? 0,
    scanRowsPerSecond: (rows / scanMs) * 1000,
  };
}

async function getMany(
  store: BenchStore,
  count: number,
  getCount: number,
  readers: number,
): Promise<BenchResult> {
  // Made before, so that making them is not measured, and in one piece, so that it takes little memory.
  const indices = Uint32Array.from({ length: getCount }, () => Math.floor(Math.random() * count));
  const keys = Buffer.alloc(getCount * KEY_BYTES);
  indices.forEach((index, position) => keys.set(keyOf(index), position * KEY_BYTES));
  let next = 0;
  const get = async (): Promise<void> => {
    while (next < getCount) {
      const position = next;
      next += 1;
      const key = keys.subarray(position * KEY_BYTES, (position + 1) * KEY_BYTES);
      const found = store.get(key);
      // Who gets a value at once need not wait for it.
      const value = found instanceof Promise ? await found : found;
      entries.check(indices[position] ?? 0, value);
    }
  };
  return measure(getCount, [], () => Promise.all(Array.from({ length: readers }, get)));
}

async function measure(
  count: number,
  latencies: number[],
  work: () => Promise<unknown>,
): Promise<BenchResult> {
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  await work();
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const sorted = latencies.sort((left, right) => left - right);
  return {
    elapsedMs,
    perSecond: (count / elapsedMs) * 1000,
    cpuUs: (user + system) / count,
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? 0,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
  };
}

/** Resident memory: all of it, its highest, and what of it is not a mapped file. */
function memoryBytes(): BenchResult {
  const status = readFileSync('/proc/self/status', 'latin1');
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return {
    residentBytes: bytesOf('VmRSS'),
    residentBytesMax: bytesOf('VmHWM'),
    anonymousBytes: bytesOf('RssAnon'),
  };
}
