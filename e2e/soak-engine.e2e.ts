/**
 * The engine, killed with SIGKILL under load and opened again: a short form of `npm run soak:engine`,
 * and its control: an engine that acknowledges too early must be caught.
 *
 * `DOZO_E2E_KILL_ROUNDS=N` plays so many rounds on each kind of device.
 */
import { createDeviceFile } from '@dozo/platform';
import { afterAll, describe, expect, test } from 'vitest';
import { EngineSoak } from './harness/engine-soak.ts';
import { KernelObjects, whyNoLoopDevices } from './harness/kernel-objects.ts';
import { drawSeed, scale } from './harness/scale.ts';
import { Scratch } from './harness/scratch.ts';
import { formatSoakDevice, SOAK_DEVICE_BYTES, soakLoad } from './harness/soak-device.ts';

const CONTROL_ROUNDS_MAX = 20;
const whyNot = whyNoLoopDevices();
const scratch = new Scratch('soak');
const kernel = new KernelObjects();

afterAll(async () => {
  await kernel.removeAll();
  scratch.remove();
});

async function newDevice(name: string): Promise<string> {
  const path = scratch.join(name);
  await createDeviceFile({ path, sizeBytes: SOAK_DEVICE_BYTES });
  return path;
}

async function soak(path: string, seed: number): Promise<void> {
  await formatSoakDevice(path);
  const soaking = new EngineSoak({ path, seed, load: soakLoad, switches: {} });
  for (let round = 1; round <= scale.killRounds; round += 1) {
    expect(await soaking.round(), `round ${round} of seed ${seed}`).toEqual([]);
  }
  expect(await soaking.finish(), `the end of seed ${seed}`).toEqual([]);
  console.log(`soak: ${JSON.stringify(soaking.report)}`);
  // A soak in which nothing was written and nothing was cut off would have proved nothing.
  expect(soaking.report.acknowledgedCount).toBeGreaterThan(scale.killRounds * 20);
  expect(soaking.report.cutOffCount).toBeGreaterThan(scale.killRounds / 2);
  expect(soaking.report.fullPassCount).toBeGreaterThan(0);
}

test(`${scale.killRounds} times on a file nothing acknowledged is lost`, async () => {
  await soak(await newDevice('file'), drawSeed('soak-engine'));
});

describe.skipIf(whyNot !== undefined)(`on a loop device${whyNot ? ` (${whyNot})` : ''}`, () => {
  test(`${scale.killRounds} times nothing acknowledged is lost`, async () => {
    const device = await kernel.loopDevice(await newDevice('loop'));
    await soak(device, drawSeed('soak-engine'));
  });
});

test('the control: a batch that is acknowledged before it is written is missed', async () => {
  const seed = drawSeed('soak-engine');
  const path = await newDevice('control');
  await formatSoakDevice(path);
  const switches = { acknowledgeBeforeWrite: true };
  const soaking = new EngineSoak({ path, seed, load: soakLoad, switches });
  let problems: readonly string[] = [];
  for (let round = 1; round <= CONTROL_ROUNDS_MAX && problems.length === 0; round += 1) {
    problems = await soaking.round();
  }
  console.log(`soak, control: ${problems.length} problems; the first: ${problems[0] ?? 'none'}`);
  expect(problems).not.toEqual([]);
  // Lost writes, and nothing else: the process itself goes on as if all were well.
  expect(problems.every((words) => / is .*, not /.test(words))).toBe(true);
});
