/** A device that is small enough to be filled, read whole and used again within a second. */
import { formatDevice } from '@dozo/engine';
import { openFileDevice, openSystemClock, SystemRandom } from '@dozo/platform';
import type { WriterConfiguration } from './writer-protocol.ts';

const KIB = 1024;

export const SMALL_DEVICE_BYTES = 16 * KIB * KIB;
const SMALL_DEVICE_LEASE_MS = 500;

/** How a writer uses it: live data takes a good third of it, so that reclaim has to move some. */
export const smallDeviceLoad: Pick<WriterConfiguration, 'keyCount' | 'workerCount' | 'largeShare'> =
  { keyCount: 600, workerCount: 8, largeShare: 0.5 };

/** Batches of that load that together are about as long as the device. */
export const SMALL_DEVICE_TURN_BATCHES = 900;

/** Formats it, with short intervals and many short segments. */
export async function formatSmallDevice(path: string): Promise<void> {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  await formatDevice({
    ...{ device, clock: await openSystemClock(), random: new SystemRandom() },
    ...{ segmentPayloadBytes: 256 * KIB, ringSlotCount: 64 },
    ...{ beatIntervalMs: 100, leaseMs: SMALL_DEVICE_LEASE_MS },
  });
  await device.close();
}
