/**
 * The engine against a bare loop of vectored write and flush on the same file.
 *
 *     node bench/engine.ts [--directory DIR] [--size-gib 4] [--rounds 3]
 *
 * The bare loop and the engine take turns on one file, so that a change of the machine's mood hits
 * both; a ratio is the median of the rounds' ratios. The file is written over once before anything is
 * measured. CPU is that of the whole process, kernel time and thread pool included; "thread" is how
 * long the main thread was busy. Prints a table, and JSON as the last line.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Device } from '@dozo/base';
import { formatDevice, openEngine } from '@dozo/engine';
import type { Engine } from '@dozo/engine';
import { SystemRandom, createDeviceFile, openFileDevice, openSystemClock } from '@dozo/platform';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** What is written in one case, by how many writers at once. */
const CASES = [
  { name: 'put 4 KiB, 64 writers', writers: 64, sizeBytes: 4096, count: 60_000 },
  { name: 'put 4 KiB, 1 writer', writers: 1, sizeBytes: 4096, count: 1500 },
  { name: 'put 1 MiB, 8 writers', writers: 8, sizeBytes: MIB, count: 800 },
] as const;

interface Figure {
  readonly name: string;
  readonly bare: number;
  readonly engine: number;
  readonly unit: string;
  readonly ratio: number;
  readonly threadUsPerOperation: number;
  readonly cpuUsPerOperation: number;
}

interface Measured {
  readonly perSecond: number;
  readonly threadUs: number;
  readonly cpuUs: number;
}

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: tmpdir() },
    'size-gib': { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
  },
});
const sizeBytes = Number(values['size-gib']) * GIB;
const clock = await openSystemClock();
const random = new SystemRandom();
const directory = await mkdtemp(join(values.directory, 'dozo-bench-'));
try {
  const path = join(directory, 'device');
  await createDeviceFile({ path, sizeBytes });
  const device = await openFileDevice({ path, mode: 'exclusive' });
  await bare(device, { writers: 8, sizeBytes: MIB, count: Math.floor(sizeBytes / MIB) - 8 });
  const figures: Figure[] = [];
  const reads: Record<string, number> = {};
  for (const test of CASES) figures.push(await compare(device, test));
  await readAndRestart(device, reads);
  console.table(figures);
  console.table(reads);
  console.log(JSON.stringify({ sizeBytes, figures, reads }));
  await device.close();
} finally {
  await rm(directory, { recursive: true });
}

async function compare(device: Device, test: (typeof CASES)[number]): Promise<Figure> {
  const rounds: { bare: Measured; engine: Measured }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const bareResult = await bare(device, test);
    const engine = await freshEngine(device);
    await putMany(engine, test, Math.ceil(test.count / 10), 'warm');
    const engineResult = await measure(test.count, () => putMany(engine, test, test.count, 'put'));
    await engine.close();
    rounds.push({ bare: bareResult, engine: engineResult });
  }
  const ratio = median(rounds.map((round) => round.engine.perSecond / round.bare.perSecond));
  const pick = (of: (round: (typeof rounds)[number]) => number): number => median(rounds.map(of));
  return {
    name: test.name,
    bare: Math.round(pick((round) => round.bare.perSecond)),
    engine: Math.round(pick((round) => round.engine.perSecond)),
    unit: 'operations a second',
    ratio: Number(ratio.toFixed(2)),
    threadUsPerOperation: Number(pick((round) => round.engine.threadUs).toFixed(1)),
    cpuUsPerOperation: Number(pick((round) => round.engine.cpuUs).toFixed(1)),
  };
}

/** One vectored write of what all writers have, one flush, again and again, front to back. */
async function bare(
  device: Device,
  test: { readonly writers: number; readonly sizeBytes: number; readonly count: number },
): Promise<Measured> {
  const buffers = Array.from({ length: test.writers }, () => random.bytes(test.sizeBytes));
  const groupBytes = test.writers * test.sizeBytes;
  return measure(test.count, async () => {
    let offset = 0;
    for (let done = 0; done < test.count; done += test.writers) {
      if (offset + groupBytes > device.sizeBytes) offset = 0;
      await device.write(offset, buffers);
      await device.flush();
      offset += groupBytes;
    }
  });
}

async function freshEngine(device: Device): Promise<Engine> {
  await formatDevice({ device, clock, random, force: true });
  return open(device);
}

function open(device: Device): Promise<Engine> {
  const holder = { host: 'bench', bootId: 'bench', processId: 1, softwareVersion: 'bench' };
  return openEngine({ device, clock, random, holder });
}

async function putMany(
  engine: Engine,
  test: { readonly writers: number; readonly sizeBytes: number },
  count: number,
  prefix: string,
): Promise<void> {
  const value = random.bytes(test.sizeBytes);
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < count) {
      const key = keyOf(prefix, next++);
      await engine.apply([{ kind: 'put', key, value }]);
    }
  };
  await Promise.all(Array.from({ length: test.writers }, write));
}

async function readAndRestart(device: Device, reads: Record<string, number>): Promise<void> {
  const count = 100_000;
  let engine = await freshEngine(device);
  await putMany(engine, { writers: 64, sizeBytes: 4096 }, count, 'read');
  for (const readers of [1, 16]) {
    let left = 30_000;
    const read = async (): Promise<void> => {
      while (left-- > 0) await engine.get(keyOf('read', random.below(count)));
    };
    const { perSecond } = await measure(left, async () => {
      await Promise.all(Array.from({ length: readers }, read));
    });
    reads[`get 4 KiB from page cache, ${String(readers)} readers, a second`] =
      Math.round(perSecond);
  }
  let rows = 0;
  const scanned = await measure(count, async () => {
    for await (const row of engine.scan({})) rows += row.sizeBytes > 0 ? 1 : 0;
  });
  reads['scan with values, rows a second'] = Math.round(scanned.perSecond * (rows / count));
  const verified = await measure(1, async () => {
    await engine.verify();
  });
  reads['verify 400 MiB, ms'] = Math.round(1000 / verified.perSecond);
  const closed = await measure(1, () => engine.close());
  reads['close with 100,000 keys, ms'] = Math.round(1000 / closed.perSecond);
  const opened = await measure(1, async () => {
    engine = await open(device);
  });
  reads['open with 100,000 keys, ms'] = Math.round(1000 / opened.perSecond);
  await engine.close();
}

async function measure(count: number, run: () => Promise<unknown>): Promise<Measured> {
  const cpu = process.cpuUsage();
  const idle = performance.eventLoopUtilization();
  const startMs = clock.monotonicMs();
  await run();
  const elapsedMs = clock.monotonicMs() - startMs;
  const { active } = performance.eventLoopUtilization(idle);
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: (count / elapsedMs) * 1000,
    threadUs: (active * 1000) / count,
    cpuUs: (user + system) / count,
  };
}

function keyOf(prefix: string, index: number): Uint8Array {
  return new TextEncoder().encode(`${prefix}/${String(index).padStart(12, '0')}`);
}

function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((left, right) => left - right);
  return sorted[sorted.length >> 1] ?? 0;
}
