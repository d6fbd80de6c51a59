/** The simulated ports keep the same contracts as the real ones. */
import { SeededRandom } from '@dozo/base';
import {
  clockContract,
  DEVICE_CONTRACT_BYTES_MIN,
  deviceContract,
  randomContract,
} from '@dozo/base/contracts';
import type { ContractCase } from '@dozo/base/contracts';
import { describe, expect, it } from 'vitest';

import { SimulatedClock, SimulatedDevice, SimulatedMedium } from '../src/index.ts';

const clocks = clockContract(() => {
  const clock = new SimulatedClock({ seed: 1 });
  return { clock, pass: (durationMs) => clock.advance(durationMs) };
});

const devices = deviceContract(() => {
  const medium = new SimulatedMedium(DEVICE_CONTRACT_BYTES_MIN);
  const options = { clock: new SimulatedClock({ seed: 1 }), seed: 1 };
  return {
    open: async () => new SimulatedDevice(medium, options),
    openReadOnly: async () => new SimulatedDevice(medium, { ...options, access: 'read-only' }),
  };
});

describe.each<[string, readonly ContractCase[]]>([
  ['SimulatedClock', clocks],
  ['SimulatedDevice', devices],
  ['SeededRandom', randomContract(() => new SeededRandom('contract'))],
])('the contract of %s', (_, cases) => {
  it.each(cases)('$name', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });
});
