/** The rows of the engine's bench: what is measured, in which unit, and what is wanted of it. */
import type { BenchResult } from './engine-job.ts';

/** A row of writes. `count` entries are put twice. */
export interface PutRow {
  readonly name: string;
  readonly valueBytes: number;
  readonly writers: number;
  readonly batchSize: number;
  readonly count: number;
  /** The engine's rate over that of the fastest peer. */
  readonly goal: number;
}

const MIB = 1024 ** 2;

export const PUT_ROWS: readonly PutRow[] = [
  {
    name: 'put 100 B, 64 writers, batches of 16',
    ...{ valueBytes: 100, writers: 64, batchSize: 16, count: 200_000, goal: 1.5 },
  },
  {
    name: 'put 100 B, 64 writers, batches of 100',
    ...{ valueBytes: 100, writers: 64, batchSize: 100, count: 1_000_000, goal: 1.5 },
  },
  {
    name: 'put 4 KiB, 64 writers',
    ...{ valueBytes: 4096, writers: 64, batchSize: 1, count: 100_000, goal: 1.5 },
  },
  {
    name: 'put 1 MiB, 8 writers',
    ...{ valueBytes: MIB, writers: 8, batchSize: 1, count: 400, goal: 3 },
  },
];

/** Which state of a store a figure of the second part comes from. */
export type Phase = 'load' | 'rest' | 'tenth' | 'cached' | 'killed';

/** A row of the second part: entries of 140 bytes that are loaded once and read many times. */
export interface ReadRow {
  readonly name: string;
  readonly phase: Phase;
  readonly pick: (result: BenchResult, dataBytes: number) => number;
  /** Whether more is better; the others are times and sizes. */
  readonly isRate: boolean;
  readonly goal?: string;
}

const of =
  (name: string, unit = 1) =>
  (result: BenchResult): number =>
    (result[name] ?? Number.NaN) / unit;

const sizeOverData: ReadRow['pick'] = (result, dataBytes) => of('sizeBytes', dataBytes)(result);

export const READ_ROWS: readonly ReadRow[] = [
  row('load, durable batches of 1,000: entries/s', 'load', of('loadPerSecond'), true),
  row('  memory after load: MiB', 'load', of('residentBytes', MIB), false, 'under 300'),
  row('  at most while it loads: MiB', 'load', of('residentBytesMax', MIB), false, 'under 300'),
  row('  of it not mapped files: MiB', 'load', of('anonymousBytes', MIB), false),
  row('  of it before the store was loaded: MiB', 'load', of('bareBytes', MIB), false),
  row('  on the disk over data', 'load', sizeOverData, false),
  row('until it is at rest: s', 'rest', of('restMs', 1000), false),
  row('  on the disk over data', 'rest', sizeOverData, false, 'under 1.3'),
  row('  memory: MiB', 'rest', of('residentBytes', MIB), false, 'under 300'),
  row('open to first get, after a clean stop: ms', 'tenth', of('firstGetMs'), false, 'under 1,000'),
  row('open to first get, after kill -9: ms', 'killed', of('firstGetMs'), false, 'under 1,000'),
  row('get, cache for a tenth, 16 readers: /s', 'tenth', of('getsPerSecond'), true, '0.25 of lmdb'),
  row('get, cache for a tenth, 1 reader: /s', 'tenth', of('getsAlonePerSecond'), true),
  row('  memory after it: MiB', 'tenth', of('residentBytes', MIB), false, 'under 300'),
  row('  of it not mapped files: MiB', 'tenth', of('anonymousBytes', MIB), false),
  row('get, all cached, 16 readers: /s', 'cached', of('getsPerSecond'), true, '0.5 of lmdb'),
  row('get, all cached, 1 reader: /s', 'cached', of('getsAlonePerSecond'), true),
  row('  memory after it: MiB', 'cached', of('residentBytes', MIB), false),
  row('scan with values, all cached: rows/s', 'cached', of('scanRowsPerSecond'), true),
];

function row(
  name: string,
  phase: Phase,
  pick: ReadRow['pick'],
  isRate: boolean,
  goal?: string,
): ReadRow {
  return { name, phase, pick, isRate, ...(goal === undefined ? {} : { goal }) };
}
