/** A device for a soak: large enough for a working set of its own, with many short segments. */
import { formatDevice } from '@dozo/engine';
import { openFileDevice, openSystemClock, SystemRandom } from '@dozo/platform';
import type { EngineSoakOptions } from './engine-soak.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export const SOAK_DEVICE_BYTES = 256 * MIB;

/**
 * Live data takes a third of the device as a rule, so that reclaim is always at work; memory is short,
 * so that what is in it has to go to the device many times in a round.
 */
export const soakLoad: EngineSoakOptions['load'] = {
  keyCount: 12_000,
  workerCount: 16,
  largeShare: 0.1,
  largeBytesMax: 150 * KIB,
  rangeDeleteShare: 0.01,
  memory: { cacheBytes: 4 * MIB, memtableBytes: 512 * KIB },
  statsIntervalMs: 100,
};

/** Formats what lies at `path`. */
export async function formatSoakDevice(path: string): Promise<void> {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  await formatDevice({
    ...{ device, clock: await openSystemClock(), random: new SystemRandom(), force: true },
    ...{ segmentPayloadBytes: MIB, ringSlotCount: 64 },
  });
  await device.close();
}
