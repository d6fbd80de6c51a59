/**
 * What a claim costs: beats, a restart, a takeover, and the engine with it and without.
 *
 *     node bench/claim.ts [--directory DIR] [--seconds 30] [--rounds 5]
 *
 * - Beats: CPU of a process that does nothing but hold a claim, less that of the same process without
 *   one, and what it writes and reads. Once with a ring that was never written past its slots (as on an
 *   allocated file) and once with one whose 8 MiB were all written (as on a block device).
 * - Restart: a holder is killed with SIGKILL; a new process opens the device and takes the claim.
 *   Measured in that process, from before the opening; its start-up is not in it.
 * - Takeover: a holder without a kernel's lock is killed, as one on another machine would be.
 * - Engine: 4 KiB puts of 64 writers and 1 MiB puts of 8, with the claim and with its beats, lease
 *   checks and looks at the ring switched off, taking turns; the ratio is the median of the rounds'.
 *
 * Prints tables, and JSON as the last line.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sleep } from '@dozo/base';
import type { Device } from '@dozo/base';
import { SLOT_BYTES, acquireClaim } from '@dozo/claim';
import type { ClaimSettings } from '@dozo/claim';
import { formatDevice, openEngine } from '@dozo/engine';
import type { TestSwitches } from '@dozo/engine';
import {
  SystemRandom,
  createDeviceFile,
  openFileDevice,
  openSystemClock,
  readHostIdentity,
} from '@dozo/platform';

const MIB = 1024 ** 2;
const DEVICE_BYTES = 2048 * MIB;
const SLOT_COUNT = 1024;
const SETTINGS: ClaimSettings = { beatIntervalMs: 1000, leaseMs: 5000, isLocal: false };
const PLACE = { offset: 64 * 1024, slotCount: SLOT_COUNT, deviceId: new Uint8Array(16) };
const PUTS = [
  { name: 'put 4 KiB, 64 writers', writers: 64, sizeBytes: 4096, count: 60_000 },
  { name: 'put 1 MiB, 8 writers', writers: 8, sizeBytes: MIB, count: 800 },
] as const;
const WITHOUT: TestSwitches = {
  skipReservationConfirm: true,
  claimSwitches: { skipBeats: true, skipLeaseCheck: true, skipReadAfterReservation: true },
};

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: tmpdir() },
    seconds: { type: 'string', default: '30' },
    rounds: { type: 'string', default: '5' },
    // What a child process is to do: for this program itself.
    child: { type: 'string', default: '' },
    device: { type: 'string', default: '' },
  },
});
const clock = await openSystemClock();
const random = new SystemRandom();

if (values.child === '') await main();
else await runChild(values.child, values.device);

async function main(): Promise<void> {
  const directory = await mkdtemp(join(values.directory, 'dozo-bench-'));
  try {
    const path = join(directory, 'device');
    await createDeviceFile({ path, sizeBytes: DEVICE_BYTES });
    const beats = [await beatCost(path, 'ring as allocated')];
    const starts: Record<string, { readonly median: number; readonly max: number }> = {
      'restart after kill -9, file as `dozo up` makes it': await restartMs(path, 'local', true),
    };
    await freshFile(path);
    const engine = await compareEngines(path, 'file as `dozo up` makes it');
    await fill(path);
    beats.push(await beatCost(path, 'ring all written'));
    starts['restart after kill -9, ring all written, not local'] = await restartMs(
      path,
      'exclusive',
    );
    starts['takeover where no kernel can tell'] = await restartMs(path, 'unlocked');
    engine.push(...(await compareEngines(path, 'ring all written')));
    for (const table of [beats, starts, engine]) console.table(table);
    console.log(JSON.stringify({ beats, starts, engine }));
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function beatCost(path: string, name: string): Promise<Record<string, string | number>> {
  const idle = await askChild('idle', path);
  const holding = await askChild('hold-measured', path);
  const seconds = Number(values.seconds);
  return {
    name,
    'CPU, % of a core': Number(((100 * (holding - idle)) / seconds / 1000).toFixed(3)),
    'idle process, %': Number(((100 * idle) / seconds / 1000).toFixed(3)),
  };
}

/** Ms from opening to the claim, after a holder was killed: median and largest. */
async function restartMs(
  path: string,
  access: 'local' | 'exclusive' | 'unlocked',
  isFresh = false,
): Promise<{ readonly median: number; readonly max: number }> {
  const rounds = access === 'unlocked' ? 2 : 10;
  const took: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await (isFresh ? freshFile(path) : clearRing(path));
    const holder = fork(import.meta.filename, ['--child', `hold-${access}`, '--device', path]);
    await once(holder, 'message');
    const gone = once(holder, 'exit');
    holder.kill('SIGKILL');
    await gone;
    took.push(await askChild(`take-${access}`, path));
  }
  took.sort((left, right) => left - right);
  return { median: took[Math.floor(took.length / 2)] ?? 0, max: took.at(-1) ?? 0 };
}

async function compareEngines(
  path: string,
  file: string,
): Promise<Record<string, string | number>[]> {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  const rows: Record<string, string | number>[] = [];
  for (const test of PUTS) {
    const ratios: number[] = [];
    const rates = { with: 0, without: 0 };
    // A first round, which is not counted, makes the blocks of the log and the code warm.
    await putRate(device, test, {});
    for (let round = 0; round < Number(values.rounds); round++) {
      // Who goes first changes: the machine's mood must not.
      const order =
        round % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const);
      for (const which of order) {
        rates[which] = await putRate(device, test, which === 'with' ? {} : WITHOUT);
      }
      ratios.push(rates.with / rates.without);
    }
    ratios.sort((left, right) => left - right);
    rows.push({
      name: `${test.name}, ${file}`,
      'with, last round': Math.round(rates.with),
      'without, last round': Math.round(rates.without),
      ratio: Number((ratios[Math.floor(ratios.length / 2)] ?? 0).toFixed(3)),
    });
  }
  await device.close();
  return rows;
}

async function putRate(
  device: Device,
  test: (typeof PUTS)[number],
  testSwitches: TestSwitches,
): Promise<number> {
  await formatDevice({ device, clock, random, force: true, isLocal: true });
  const { pid: processId, ...host } = readHostIdentity();
  const holder = { ...host, processId, softwareVersion: 'bench' };
  const engine = await openEngine({ device, clock, random, holder, testSwitches });
  const value = random.bytes(test.sizeBytes);
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < test.count) {
      const key = new TextEncoder().encode(`key-${String(next++).padStart(8, '0')}`);
      await engine.apply([{ kind: 'put', key, value }]);
    }
  };
  const startMs = clock.monotonicMs();
  await Promise.all(Array.from({ length: test.writers }, write));
  const rate = (1000 * test.count) / (clock.monotonicMs() - startMs);
  await engine.close();
  return rate;
}

async function fill(path: string): Promise<void> {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  const piece = random.bytes(MIB);
  for (let offset = 0; offset < device.sizeBytes; offset += MIB)
    await device.write(offset, [piece]);
  await device.flush();
  await device.close();
  await clearRing(path);
}

async function freshFile(path: string): Promise<void> {
  await rm(path);
  await createDeviceFile({ path, sizeBytes: DEVICE_BYTES });
}

async function clearRing(path: string): Promise<void> {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  await device.write(PLACE.offset, [new Uint8Array(SLOT_COUNT * SLOT_BYTES)]);
  await device.flush();
  await device.close();
}

async function askChild(what: string, path: string): Promise<number> {
  const seconds = ['--seconds', values.seconds];
  const child = fork(import.meta.filename, ['--child', what, '--device', path, ...seconds]);
  const [answer] = (await once(child, 'message')) as [number];
  child.kill('SIGKILL');
  await once(child, 'exit');
  return answer;
}

async function runChild(what: string, path: string): Promise<void> {
  // Timers of the claim keep no process alive.
  setInterval(() => undefined, 60_000);
  const seconds = Number(values.seconds);
  if (what === 'idle') {
    process.send?.(await cpuMsOf(seconds));
    return;
  }
  const mode = what.endsWith('unlocked') ? 'unlocked' : 'exclusive';
  const startMs = clock.monotonicMs();
  const device = await openFileDevice({ path, mode });
  const { pid: processId, ...host } = readHostIdentity();
  const holder = { ...host, processId, softwareVersion: 'bench' };
  const settings = { ...SETTINGS, isLocal: what.endsWith('local') };
  await acquireClaim({ device, place: PLACE, settings, clock, random, holder });
  const tookMs = clock.monotonicMs() - startMs;
  process.send?.(what === 'hold-measured' ? await cpuMsOf(seconds) : Number(tookMs.toFixed(1)));
}

/** CPU of this process over a time in which it is left alone, in ms. */
async function cpuMsOf(seconds: number): Promise<number> {
  await sleep(clock, 1000);
  const before = process.cpuUsage();
  await sleep(clock, 1000 * seconds);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
