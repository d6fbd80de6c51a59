/**
 * Allocating a device file against filling it with zeros: time to create it, and speed of commits.
 *
 *     node bench/device-file.ts [DIRECTORY] [SIZE_GIB]
 *
 * A commit is what the engine does for 64 writers of 4 KiB (or 8 of 1 MiB): one vectored write and
 * one flush, front to back. Each case writes where nothing was written before, then once more over
 * the same place, as a segment that is used again is. The two files take turns, so that a change of
 * the machine's mood hits both. Prints a table, and JSON as the last line.
 */
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDeviceFile, openFileDevice, openSystemClock } from '@dozo/platform';
import type { Device } from '@dozo/base';

const GIB = 1024 ** 3;
/** Bytes that one case of commits covers. */
const COMMIT_RANGE_BYTES = GIB;
const TURNS = 16;
/** Keeps the case of one small write to seconds. */
const COMMITS_PER_TURN_MAX = 400;
const WRITES = [
  { writers: 64, sizeBytes: 4096 },
  { writers: 8, sizeBytes: 1024 * 1024 },
  { writers: 1, sizeBytes: 4096 },
] as const;

interface Figure {
  readonly case: string;
  readonly value: number;
  readonly unit: string;
}

const [parent = tmpdir(), sizeGib = '20'] = process.argv.slice(2);
const sizeBytes = Number(sizeGib) * GIB;
const clock = await openSystemClock();
const figures: Figure[] = [];

const directory = await mkdtemp(join(parent, 'dozo-bench-'));
try {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < sizeBytes * 2.2) throw new Error(`Too little room in ${parent}.`);
  const devices = [await create('allocate'), await create('zeros')];
  for (const round of ['first use', 'reuse']) {
    for (const [index, write] of WRITES.entries()) {
      const name = `${round}, ${write.writers} x ${write.sizeBytes}`;
      await measure(name, devices, index * COMMIT_RANGE_BYTES, write);
    }
  }
  await Promise.all(devices.map((device) => device.close()));
} finally {
  await rm(directory, { recursive: true });
}
console.table(figures);
console.log(JSON.stringify({ sizeBytes, figures }));

async function create(fill: 'allocate' | 'zeros'): Promise<Device> {
  const path = join(directory, fill);
  const startMs = clock.monotonicMs();
  await createDeviceFile({ path, sizeBytes, fill });
  record(`create, ${fill}`, clock.monotonicMs() - startMs, 'ms');
  return openFileDevice({ path, mode: 'exclusive' });
}

/** Commits to both devices in turns until the range is full. */
async function measure(
  name: string,
  devices: readonly Device[],
  startOffset: number,
  write: { readonly writers: number; readonly sizeBytes: number },
): Promise<void> {
  const commitBytes = write.writers * write.sizeBytes;
  const buffers = Array.from({ length: write.writers }, (_, index) =>
    new Uint8Array(write.sizeBytes).fill(index + 1),
  );
  const turnBytes = COMMIT_RANGE_BYTES / TURNS;
  const commitsPerTurn = Math.min(Math.floor(turnBytes / commitBytes), COMMITS_PER_TURN_MAX);
  const spentMs = devices.map(() => 0);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, device] of devices.entries()) {
      const startMs = clock.monotonicMs();
      for (let commit = 0; commit < commitsPerTurn; commit++) {
        await device.write(startOffset + turn * turnBytes + commit * commitBytes, buffers);
        await device.flush();
      }
      spentMs[index] = (spentMs[index] ?? 0) + clock.monotonicMs() - startMs;
    }
  }
  const writes = TURNS * commitsPerTurn * write.writers;
  const [allocated = 0, zeroed = 0] = spentMs.map((ms) => (writes * 1000) / ms);
  record(`${name}, allocate`, allocated, 'writes/s');
  record(`${name}, zeros`, zeroed, 'writes/s');
  record(`${name}, allocate against zeros`, (100 * allocated) / zeroed, '%');
}

function record(name: string, value: number, unit: string): void {
  figures.push({ case: name, value: Math.round(value), unit });
}
