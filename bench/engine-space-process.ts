/**
 * Fills a device to some part and overwrites at random for long: one run of `engine-space.ts`.
 *
 *     node engine-space-process.ts '{"fill": 0.7, "of": "payloadBytes", ...}'
 *
 * Filling needs no reclaim, so its latencies are those without; the slices after it are those with.
 * Every writer has keys of its own, so that it is known at the end what each must hold.
 */
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '@dozo/base';
import { formatDevice, openEngine, type Engine } from '@dozo/engine';
import {
  boundProcessMemory,
  createDeviceFile,
  openFileDevice,
  openSystemClock,
  readHostIdentity,
  SystemRandom,
  WorkerCompute,
} from '@dozo/platform';
import { Entries, KEY_BYTES, keyOf } from './engine-job.ts';
import type { Slice, SpaceJob, SpaceResult } from './engine-space-job.ts';

const SLICES = 10;
const PROBE_COUNT = 200;
const CHECKED_MAX = 20_000;
const LOOP_RESOLUTION_MS = 1;

const job = JSON.parse(process.argv[2] ?? '') as SpaceJob;
const entries = new Entries(job.valueBytes);
const random = new SystemRandom();
const engine = await openFresh();
const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
loop.enable();
const allLatencies: number[] = [];
console.log(JSON.stringify(await run()));
await engine.close();
// The device file is still open; nothing is left to do with it.
process.exit(0);

async function openFresh(): Promise<Engine> {
  // Both as `dozo up` does.
  await boundProcessMemory();
  const compute = new WorkerCompute();
  const path = join(job.directory, 'device');
  const clock = await openSystemClock();
  await createDeviceFile({ path, sizeBytes: job.deviceBytes, fill: 'zeros' });
  const device = await openFileDevice({ path, mode: 'exclusive' });
  const { segmentPayloadBytes } = job;
  const sizes = segmentPayloadBytes === 0 ? {} : { segmentPayloadBytes };
  await formatDevice({ device, clock, random, isLocal: true, ...sizes });
  const { pid, ...identity } = readHostIdentity();
  const holder = { ...identity, processId: pid, softwareVersion: 'bench' };
  return openEngine({ device, clock, random, holder, compute });
}

async function run(): Promise<SpaceResult> {
  const { usableBytes, segmentCount, segmentBytes } = engine.stats();
  const wholeBytes = job.of === 'usableBytes' ? usableBytes : segmentCount * segmentBytes;
  const wantedBytes = job.fill * wholeBytes;
  const keyCount = Math.floor(wantedBytes / (await recordBytes()));
  const versions = new Uint32Array(keyCount);
  const filling = await slice('filling', keyCount, (index) => index, versions);
  const slices = [filling];
  const filledBytes = engine.stats().liveBytes;
  const sizes = { segmentCount, segmentBytes, usableBytes, filledBytes, keyCount };
  if (filling.failedCount > 0) {
    return { ...sizes, isRefused: true, slices, wrongCount: 0, checkedCount: 0 };
  }
  const countOfSlice = Math.ceil(
    (job.turns * job.deviceBytes) / (job.valueBytes + KEY_BYTES) / SLICES,
  );
  const perWriter = Math.floor(keyCount / job.writers);
  // One of the writer's own keys.
  const draw = (_: number, writer: number): number =>
    random.below(perWriter) * job.writers + writer;
  allLatencies.length = 0;
  const before = engine.stats();
  const startMs = performance.now();
  for (let number = 1; number <= SLICES; number += 1) {
    const done = await slice(`${number} of ${SLICES}`, countOfSlice, draw, versions);
    slices.push(done);
    console.error(`${nameOfJob()}: ${JSON.stringify(done)}`);
  }
  const failedCount = slices.reduce((sum, one) => sum + one.failedCount, 0);
  const loopMsMax = Math.max(...slices.slice(1).map((one) => one.loopMsMax));
  const steady = summed(
    { name: 'steady', count: countOfSlice * SLICES, failedCount, loopMsMax },
    { before, startMs, latencies: allLatencies },
  );
  return { ...sizes, isRefused: false, slices, steady, ...(await checked(versions)) };
}

/** What a record of this value takes, its head included. */
async function recordBytes(): Promise<number> {
  const before = engine.stats().liveBytes;
  for (let index = 0; index < PROBE_COUNT; index += 1) {
    await engine.apply([{ kind: 'put', ...entries.entry(index) }]);
  }
  return (engine.stats().liveBytes - before) / PROBE_COUNT;
}

/** So many puts by all writers; `pick` says of which entry the nth is, for a writer. */
async function slice(
  name: string,
  count: number,
  pick: (position: number, writer: number) => number,
  versions: Uint32Array,
): Promise<Slice> {
  const latencies: number[] = [];
  const before = engine.stats();
  const startMs = performance.now();
  let [next, failedCount] = [0, 0];
  loop.reset();
  const write = async (writer: number): Promise<void> => {
    while (next < count) {
      const position = next;
      next += 1;
      const index = pick(position, writer);
      const { key, value } = entries.entry(index);
      const version = (versions[index] ?? 0) + 1;
      value.writeUInt32LE(version, 4);
      const dueMs = job.rate === 0 ? performance.now() : startMs + (position * 1000) / job.rate;
      const earlyMs = dueMs - performance.now();
      if (earlyMs > 0) await sleep(earlyMs);
      try {
        await engine.apply([{ kind: 'put', key, value }]);
        versions[index] = version;
      } catch (error) {
        if (!hasCode(error, 'DEVICE_FULL')) throw error;
        failedCount += 1;
      }
      latencies.push(performance.now() - dueMs);
    }
  };
  await Promise.all(Array.from({ length: job.writers }, (_, writer) => write(writer)));
  for (const latencyMs of latencies) allLatencies.push(latencyMs);
  const loopMsMax = loop.max / 1e6;
  return summed({ name, count, failedCount, loopMsMax }, { before, startMs, latencies });
}

function summed(
  figures: Pick<Slice, 'name' | 'failedCount' | 'loopMsMax'> & { readonly count: number },
  since: {
    readonly before: ReturnType<Engine['stats']>;
    readonly startMs: number;
    readonly latencies: readonly number[];
  },
): Slice {
  const { count, ...rest } = figures;
  const { before, startMs, latencies } = since;
  const stats = engine.stats();
  const sorted = latencies.toSorted((left, right) => left - right);
  const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? 0;
  const writtenBytes = stats.bytesWritten - before.bytesWritten;
  return {
    ...rest,
    putsPerSecond: (count / (performance.now() - startMs)) * 1000,
    writeAmplification: writtenBytes / (count * (job.valueBytes + KEY_BYTES)),
    movedBytes: stats.bytesMoved - before.bytesMoved,
    ...{ p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1) },
    residentBytes: process.memoryUsage().rss,
  };
}

/** Reads some of everything and compares with what was last written. */
async function checked(
  versions: Uint32Array,
): Promise<Pick<SpaceResult, 'wrongCount' | 'checkedCount'>> {
  const step = Math.max(1, Math.floor(versions.length / CHECKED_MAX));
  let [wrongCount, checkedCount] = [0, 0];
  for (let index = 0; index < versions.length; index += step) {
    const entry = await engine.get(keyOf(index));
    checkedCount += 1;
    entries.check(index, entry?.value);
    const value = Buffer.from(entry?.value ?? new Uint8Array(8));
    if (value.readUInt32LE(4) !== versions[index]) wrongCount += 1;
  }
  return { wrongCount, checkedCount };
}

function nameOfJob(): string {
  return `${Math.round(job.fill * 100)} % of ${job.of}`;
}
