/** The simulated ports keep the same contracts as the real ones. */
import { SeededRandom } from '@dozo/base';
import {
  clockContract,
  computeContract,
  DEVICE_CONTRACT_BYTES_MIN,
  deviceContract,
  randomContract,
} from '@dozo/base/contracts';
import type { ContractCase, DeviceUnderTest } from '@dozo/base/contracts';
import { describe, expect, it } from 'vitest';

import {
  PageCache,
  SimulatedClock,
  SimulatedCompute,
  SimulatedDevice,
  SimulatedMedium,
  SimulatedProcess,
} from '../src/index.ts';
import type { SimulatedDeviceOptions } from '../src/index.ts';

const clocks = clockContract(() => {
  const clock = new SimulatedClock({ seed: 1 });
  return { clock, pass: (durationMs) => clock.advance(durationMs) };
});

const processes = clockContract(() => {
  const clock = new SimulatedClock({ seed: 1 });
  const process = new SimulatedProcess(clock, { driftRate: 0.07, monotonicOffsetMs: 12.3 });
  // The contract looks at the process's clock, which would be some ns short without the margin.
  return { clock: process, pass: (durationMs) => clock.advance(durationMs / 1.07 + 0.001) };
});

const devicesOf = (host: () => Partial<SimulatedDeviceOptions>): readonly ContractCase[] =>
  deviceContract(() => underTest(host()));

const devices = devicesOf(() => ({}));
const cachedDevices = devicesOf(() => ({ cache: new PageCache() }));
const devicesInMemory = devicesOf(() => ({ cachedReadShare: 1 }));
const cachedDevicesInMemory = devicesOf(() => ({ cache: new PageCache(), cachedReadShare: 1 }));

function underTest(host: Partial<SimulatedDeviceOptions>): DeviceUnderTest {
  const medium = new SimulatedMedium(DEVICE_CONTRACT_BYTES_MIN);
  const options = { clock: new SimulatedClock({ seed: 1 }), seed: 1, ...host };
  return {
    open: async () => new SimulatedDevice(medium, options),
    openReadOnly: async () => new SimulatedDevice(medium, { ...options, access: 'read-only' }),
  };
}

const computes = computeContract(() => {
  const clock = new SimulatedClock({ seed: 1 });
  return new SimulatedCompute({ clock, seed: 1 });
});

describe.each<[string, readonly ContractCase[]]>([
  ['SimulatedClock', clocks],
  ['SimulatedProcess', processes],
  ['SimulatedDevice', devices],
  ['SimulatedDevice with a page cache', cachedDevices],
  ['SimulatedDevice that answers at once', devicesInMemory],
  ['SimulatedDevice that answers at once, with a page cache', cachedDevicesInMemory],
  ['SimulatedCompute', computes],
  ['SeededRandom', randomContract(() => new SeededRandom('contract'))],
])('the contract of %s', (_, cases) => {
  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});
