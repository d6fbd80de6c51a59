/**
 * Random overwrites on a device that is nearly full, for as long as one wants: write amplification, and
 * latency over time.
 *
 *     npm run bench:engine-space [-- --turns 1 --size-mib 12288 --fills 0.7,0.85]
 *     npm run bench:engine-space -- --turns 50 --size-mib 3200 --segment-mib 16
 *
 * Each run is a process of its own, with merges on a worker and bounded memory as `dozo up` has them, on a
 * device file that was written over once. It fills the device to 70 or 85 % of the payload of all its
 * segments, or with `--of usableBytes` of what the engine lets values take, which is a tenth and nine
 * segments less: 85 % of a device can be reached from about 190 segments on, with what the engine takes
 * by itself from 12 GiB on. `--segment-mib` makes smaller segments on a smaller device. Then it overwrites values of 4 KiB at random until `--turns` times the size of the device has been put,
 * and reports in ten slices. At the end it compares values with what was written last.
 *
 * "filling" is the same load before there is anything to reclaim: latencies without. With `--rate N` both
 * get N puts a second, and a latency runs from the moment at which a put was due; without it writers put
 * as fast as they are answered. "loop" is the longest time that the event loop was late: on a busy
 * machine that is also the machine. `--json` prints everything as the last line.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Slice, SpaceJob, SpaceResult } from './engine-space-job.ts';
import { printTable, shown } from './engine-table.ts';

const MIB = 1024 ** 2;
type SpaceRun = Omit<SpaceJob, 'directory'>;
const program = join(import.meta.dirname, 'engine-space-process.ts');

/** Write amplification that is wanted, by how full the device is. */
const GOALS: Readonly<Record<string, string>> = { '0.7': 'under 2.5', '0.85': 'under 5' };

const { values } = parseArgs({
  options: {
    turns: { type: 'string', default: '1' },
    'size-mib': { type: 'string', default: '12288' },
    'segment-mib': { type: 'string', default: '0' },
    fills: { type: 'string', default: '0.7,0.85' },
    of: { type: 'string', default: 'payloadBytes' },
    'value-bytes': { type: 'string', default: '4096' },
    writers: { type: 'string', default: '16' },
    rate: { type: 'string', default: '0' },
    directory: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const runs = values.of
  .split(',')
  .flatMap((of) => values.fills.split(',').map((fill) => ({ of: ofName(of), fill })));
// An interrupt ends the process that is measured; what it leaves is removed below.
process.on('SIGINT', () => undefined);
const results: { readonly job: SpaceRun; readonly result: SpaceResult }[] = [];
for (const { of, fill } of runs) {
  const job = { ...sharedJob(), of, fill: Number(fill) };
  const result = runJob(job);
  results.push({ job, result });
  show(job, fill, result);
}
if (values.json) console.log(JSON.stringify(results));
const isWrong = results.some(
  ({ result: { wrongCount, isRefused, slices } }) =>
    wrongCount > 0 || isRefused || slices.some(({ failedCount }) => failedCount > 0),
);
if (isWrong) process.exitCode = 1;

function ofName(name: string): SpaceJob['of'] {
  if (name === 'usableBytes' || name === 'payloadBytes') return name;
  throw new Error(`--of: "${name}" is neither usableBytes nor payloadBytes.`);
}

function sharedJob(): Omit<SpaceJob, 'of' | 'fill' | 'directory'> {
  return {
    deviceBytes: Number(values['size-mib']) * MIB,
    segmentPayloadBytes: Number(values['segment-mib']) * MIB,
    valueBytes: Number(values['value-bytes']),
    writers: Number(values.writers),
    turns: Number(values.turns),
    rate: Number(values.rate),
  };
}

function runJob(job: SpaceRun): SpaceResult {
  const directory = mkdtempSync(join(values.directory, 'dozo-bench-'));
  try {
    const { stdout } = spawnSync(
      process.execPath,
      [program, JSON.stringify({ ...job, directory })],
      { encoding: 'utf8', maxBuffer: 64 * MIB, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    if (!stdout.startsWith('{')) throw new Error(`The run did not finish: ${JSON.stringify(job)}`);
    return JSON.parse(stdout) as SpaceResult;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function show(job: SpaceRun, fill: string, result: SpaceResult): void {
  const { segmentCount, segmentBytes, usableBytes, keyCount, slices, steady } = result;
  console.log(
    `\n${fill} of ${job.of} full: ${keyCount.toLocaleString('en')} values of ${job.valueBytes} bytes on ` +
      `${Math.round(job.deviceBytes / MIB)} MiB, ${segmentCount} segments of ${Math.round(segmentBytes / MIB)} MiB, of which ` +
      `${Math.round(usableBytes / MIB)} MiB are usable; ` +
      `${job.writers} writers, ${job.rate === 0 ? 'as fast as they are answered' : `${job.rate} puts/s`}`,
  );
  printTable([
    [
      '',
      'puts/s',
      'written/put',
      'moved MiB',
      'failed',
      'p50 ms',
      'p99',
      'p99.9',
      'max',
      'loop',
      'MiB',
    ],
    ...[...slices, ...(steady === undefined ? [] : [steady])].map(cellsOf),
  ]);
  console.log(sharesOf(job, result));
  if (result.isRefused) {
    console.log('The engine takes no more than that: NOT MEASURED.');
    return;
  }
  console.log(
    `Write amplification ${shown(steady?.writeAmplification ?? Number.NaN)}, goal ${GOALS[fill] ?? 'none'}. ` +
      `${result.checkedCount} values read at the end, ${result.wrongCount} wrong.`,
  );
}

function sharesOf(job: SpaceRun, result: SpaceResult): string {
  const { segmentCount, segmentBytes, usableBytes, filledBytes } = result;
  const share = (bytes: number): string => `${((100 * filledBytes) / bytes).toFixed(1)} %`;
  return (
    `Filled with ${Math.round(filledBytes / MIB)} MiB: ${share(job.deviceBytes)} of the device, ` +
    `${share(segmentCount * segmentBytes)} of its payload, ${share(usableBytes)} of what is usable.`
  );
}

function cellsOf(slice: Slice): string[] {
  return [
    slice.name,
    shown(slice.putsPerSecond),
    shown(slice.writeAmplification),
    shown(slice.movedBytes / MIB),
    `${slice.failedCount}`,
    ...[slice.p50Ms, slice.p99Ms, slice.p999Ms, slice.maxMs, slice.loopMsMax].map(shown),
    shown(slice.residentBytes / MIB),
  ];
}
