/** The real ports keep the same contracts as the simulated ones. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  clockContract,
  computeContract,
  DEVICE_CONTRACT_BYTES_MIN,
  deviceContract,
  networkContract,
  randomContract,
} from '@dozo/base/contracts';
import type { ContractCase, DeviceUnderTest } from '@dozo/base/contracts';
import { afterAll, describe, expect, it } from 'vitest';

import {
  createDeviceFile,
  openFileDevice,
  openSystemClock,
  SystemRandom,
  TcpNetwork,
  WorkerCompute,
} from '../src/index.ts';
import { canUseLoopDevices, losetup } from './loop-device.ts';

const directory = mkdtempSync(join(tmpdir(), 'dozo-platform-'));
const loopDevices: string[] = [];
let fileCount = 0;

afterAll(async () => {
  for (const path of loopDevices) losetup('--detach', path);
  await rm(directory, { recursive: true });
});

async function makeFile(): Promise<string> {
  const path = join(directory, `disk-${String(fileCount++)}`);
  await createDeviceFile({ path, sizeBytes: DEVICE_CONTRACT_BYTES_MIN });
  return path;
}

const deviceAt = (path: string): DeviceUnderTest => ({
  open: () => openFileDevice({ path, mode: 'exclusive' }),
  openReadOnly: () => openFileDevice({ path, mode: 'read-only' }),
});

const clocks = clockContract(async () => ({
  clock: await openSystemClock(),
  // Timers of Node are late by some ms when the machine is busy.
  pass: (durationMs) => delay(durationMs + 20),
}));
const files = deviceContract(async () => deviceAt(await makeFile()));
const blockDevices = deviceContract(async () => {
  const path = losetup('--find', '--show', await makeFile());
  loopDevices.push(path);
  return deviceAt(path);
});
const network = networkContract(() => ({
  network: new TcpNetwork(),
  anyAddress: '127.0.0.1:0',
}));
const random = randomContract(() => new SystemRandom());

const oneThread = computeContract(() => new WorkerCompute());
const threeThreads = computeContract(() => new WorkerCompute({ workerCount: 3 }));

describe.each<[string, readonly ContractCase[]]>([
  ['the clock of this machine', clocks],
  ['a regular file', files],
  ['TCP', network],
  ['a worker thread', oneThread],
  ['several worker threads', threeThreads],
  ['the randomness of this machine', random],
])('the contract of %s', (_, cases) => {
  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});

describe.runIf(canUseLoopDevices())('the contract of a block device', () => {
  it.each(blockDevices)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});
