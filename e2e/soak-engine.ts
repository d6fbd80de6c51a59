/**
 * Kills the engine with SIGKILL for as long as one wants, and checks after each restart that nothing
 * acknowledged is lost: `harness/engine-soak.ts`.
 *
 *     npm run soak:engine -- --minutes 10
 *     npm run soak:engine -- --rounds 500 --on file
 *
 * - `--minutes N` or `--rounds N`: how long, in all. Default: 1 minute.
 * - `--on file,loop`: on a file, on a loop device (needs root). Default: both, half of the time each.
 * - `--seed N` writes the same batches in the same rounds again. The moments of the kills are drawn
 *   from it too, but how far a process has come by then is not.
 * - `--directory DIR`: where the device file is made. It is kept when something is wrong.
 *
 * Ends with 0 when nothing is wrong, and with 1 otherwise.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDeviceFile } from '@dozo/platform';
import { EngineSoak, type EngineSoakReport } from './harness/engine-soak.ts';
import { KernelObjects, whyNoLoopDevices } from './harness/kernel-objects.ts';
import { Scratch } from './harness/scratch.ts';
import { formatSoakDevice, SOAK_DEVICE_BYTES, soakLoad } from './harness/soak-device.ts';

const REPORT_MS = 10_000;
const MINUTE_MS = 60_000;
const MIB = 1024 * 1024;
const PROBLEMS_SHOWN_MAX = 20;
const EXIT_INTERRUPTED = 130;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    rounds: { type: 'string' },
    on: { type: 'string', default: 'file,loop' },
    seed: { type: 'string' },
    directory: { type: 'string' },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const places = placesOf(values.on);
const rounds = values.rounds === undefined ? Infinity : Number(values.rounds) / places.length;
const minutes = values.minutes ?? (values.rounds === undefined ? '1' : Infinity);
const limitMs = (Number(minutes) * MINUTE_MS) / places.length;
if (!(Number.isSafeInteger(seed) && rounds > 0 && limitMs > 0)) {
  throw new Error('--seed, --rounds and --minutes are numbers, the last two above 0.');
}

const scratch = new Scratch('soak', values.directory);
const kernel = new KernelObjects();
console.log(
  `soak: seed ${seed}; again with npm run soak:engine -- --seed ${seed} --on ${values.on}`,
);
let isWrong = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void leave());
try {
  for (const place of places) {
    const problems = await soakOn(place);
    if (problems.length === 0) continue;
    isWrong = true;
    break;
  }
} finally {
  if (isWrong) console.log(`soak: kept ${scratch.path}`);
  await kernel.removeAll();
  if (!isWrong) scratch.remove();
}
if (isWrong) process.exitCode = 1;

/** Interrupted: the writer ends with the pipe, or was interrupted too. */
async function leave(): Promise<void> {
  await kernel.removeAll();
  scratch.remove();
  process.exit(EXIT_INTERRUPTED);
}

function placesOf(list: string): ('file' | 'loop')[] {
  const why = whyNoLoopDevices();
  const wanted = list.split(',').map((name) => {
    if (name !== 'file' && name !== 'loop') throw new Error(`--on: "${name}" is not file or loop.`);
    return name;
  });
  if (why === undefined || !wanted.includes('loop')) return wanted;
  console.log(`soak: NOT on a loop device: ${why}.`);
  const possible = wanted.filter((name) => name !== 'loop');
  if (possible.length === 0) throw new Error('Nothing is left to soak on.');
  return possible;
}

async function soakOn(place: 'file' | 'loop'): Promise<readonly string[]> {
  const file = scratch.join(`device-${place}`);
  await createDeviceFile({ path: file, sizeBytes: SOAK_DEVICE_BYTES });
  const path = place === 'file' ? file : await kernel.loopDevice(file);
  await formatSoakDevice(path);
  const soak = new EngineSoak({ path, seed, load: soakLoad, switches: {} });
  const startMs = performance.now();
  let reportedMs = startMs;
  let problems: readonly string[] = [];
  while (soak.report.roundCount < rounds && performance.now() - startMs < limitMs) {
    problems = await soak.round().catch((error: unknown) => [String(error)]);
    if (problems.length > 0) break;
    if (performance.now() - reportedMs < REPORT_MS) continue;
    reportedMs = performance.now();
    console.log(`soak on ${place}: ${wordsOf(soak.report)}`);
  }
  if (problems.length === 0) {
    problems = await soak.finish().catch((error: unknown) => [String(error)]);
  }
  const verdict = problems.length === 0 ? 'nothing lost' : `${problems.length} THINGS WRONG`;
  const at = `${place} (${join(scratch.path, `device-${place}`)})`;
  console.log(`soak on ${at}: ${verdict}; seed ${seed}; ${wordsOf(soak.report)}`);
  for (const words of problems.slice(0, PROBLEMS_SHOWN_MAX)) console.log(`  ${words}`);
  return problems;
}

function wordsOf(report: EngineSoakReport): string {
  const turns = (report.bytesWritten / SOAK_DEVICE_BYTES).toFixed(1);
  return (
    `${report.roundCount} rounds, ${report.killCount} kills and ${report.killedStartCount} of starts, ` +
    `${report.acknowledgedCount} batches acknowledged, ${report.rejectedCount} refused, ` +
    `${report.cutOffCount} cut off of which ${report.landedCount} were there, ` +
    `${report.keysRead} keys read, ${report.fullPassCount} full passes, ` +
    `device written ${turns} times, ${Math.round(report.bytesMoved / MIB)} MiB moved, ` +
    `${report.checkpointCount} checkpoints, start at most ${report.openMsMax} ms`
  );
}
