/**
 * The engine against a bare loop of vectored write and flush on the same file.
 *
 * The bare loop and the engine take turns on one file, so that a change of the machine's mood hits
 * both; a ratio is the median of the rounds' ratios. The file is written over once before anything is
 * measured. CPU is that of the whole process, kernel time and thread pool included; "thread" is how
 * long the main thread was busy.
 */
import { join } from 'node:path';
import type { Device } from '@dozo/base';
import { formatDevice, openEngine } from '@dozo/engine';
import type { Engine } from '@dozo/engine';
import {
  SystemRandom,
  createDeviceFile,
  openFileDevice,
  openSystemClock,
  readHostIdentity,
} from '@dozo/platform';
import { median } from './engine-table.ts';

const MIB = 1024 ** 2;

/** What is written in one case, by how many writers at once. */
const CASES = [
  { name: 'put 4 KiB, 64 writers', writers: 64, sizeBytes: 4096, count: 60_000 },
  { name: 'put 4 KiB, 1 writer', writers: 1, sizeBytes: 4096, count: 1500 },
  { name: 'put 1 MiB, 8 writers', writers: 8, sizeBytes: MIB, count: 800 },
] as const;

export interface BareFigure {
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

const clock = await openSystemClock();
const random = new SystemRandom();

export interface BareOptions {
  readonly directory: string;
  readonly sizeBytes: number;
  readonly rounds: number;
}

/** What the comparison gave, and what reads and a restart of the engine took beside it. */
export interface BareFigures {
  readonly figures: readonly BareFigure[];
  readonly reads: Readonly<Record<string, number>>;
}

/** Runs all cases in this process, on a file of its own. */
export async function compareWithBare(options: BareOptions): Promise<BareFigures> {
  const { directory, sizeBytes, rounds } = options;
  const path = join(directory, 'device');
  await createDeviceFile({ path, sizeBytes });
  const device = await openFileDevice({ path, mode: 'exclusive' });
  await bare(device, { writers: 8, sizeBytes: MIB, count: Math.floor(sizeBytes / MIB) - 8 });
  const figures: BareFigure[] = [];
  const reads: Record<string, number> = {};
  for (const test of CASES) figures.push(await compare(device, test, rounds));
  await readAndRestart(device, reads);
  await device.close();
  return { figures, reads };
}

async function compare(
  device: Device,
  test: (typeof CASES)[number],
  roundCount: number,
): Promise<BareFigure> {
  const rounds: { bare: Measured; engine: Measured }[] = [];
  for (let round = 0; round < roundCount; round++) {
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
  await formatDevice({ device, clock, random, force: true, isLocal: true });
  return open(device);
}

function open(device: Device): Promise<Engine> {
  const { pid, ...identity } = readHostIdentity();
  const holder = { ...identity, processId: pid, softwareVersion: 'bench' };
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
