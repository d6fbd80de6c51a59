/** The device that `dozo up` serves: the one that was named, or the file in the data directory. */
import { hasCode, sleep } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import type { FileDevice } from '@dozo/platform';
import type { Logger } from 'pino';

import { LOCK_RETRY_MS, WAIT_REPORT_MS } from '../limits.ts';
import { formatSize } from '../sizes.ts';
import { provideDeviceFile } from './device-file.ts';
import { openDeviceAlone } from './open-device.ts';
import type { UpSettings } from './up-settings.ts';

/** How to wait for a device that somebody holds. */
export interface Waiting {
  readonly log: Logger;
  readonly clock: Clock;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

/**
 * Opens it under the kernel's lock, for which it waits if it was told to; makes and formats the file, and
 * nothing else, where there is none.
 *
 * Throws `DEVICE_HELD`, and what `provideDeviceFile` and `openFileDevice` throw.
 */
export async function openServedDevice(
  settings: UpSettings,
  format: (device: Device) => Promise<void>,
  waiting: Waiting,
): Promise<FileDevice> {
  const { log } = waiting;
  const { devicePath, deviceFileBytes } = settings;
  if (devicePath !== undefined) {
    return openInTurn(devicePath, settings, waiting);
  }
  const file = await provideDeviceFile(settings.directory, deviceFileBytes, format);
  if (file.isNew) {
    log.info({ device: file.path, sizeBytes: file.sizeBytes }, 'made a new device file');
  } else if (deviceFileBytes !== undefined && deviceFileBytes !== file.sizeBytes) {
    log.warn(
      { device: file.path, sizeBytes: file.sizeBytes, askedBytes: deviceFileBytes },
      `the device file has ${formatSize(file.sizeBytes)} and keeps them; --size counts for a first start only`,
    );
  }
  return openInTurn(file.path, settings, waiting);
}

async function openInTurn(
  path: string,
  { isWaiting, discard }: UpSettings,
  { log, clock, signal }: Waiting,
): Promise<FileDevice> {
  let reportMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    try {
      return await openDeviceAlone(path, 'serve', discard === 'on');
    } catch (error) {
      if (!isWaiting || !hasCode(error, 'DEVICE_HELD')) throw error;
      if (clock.monotonicMs() - reportMs >= WAIT_REPORT_MS) {
        reportMs = clock.monotonicMs();
        log.info({ device: path, why: (error as Error).message }, 'waiting for the device');
      }
    }
    await sleep(clock, LOCK_RETRY_MS, signal);
  }
}
