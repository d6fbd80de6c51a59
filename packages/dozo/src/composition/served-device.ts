/** The device that `dozo up` serves: the one that was named, or the file in the data directory. */
import type { Device } from '@dozo/base';
import type { Logger } from 'pino';

import { formatSize } from '../sizes.ts';
import { provideDeviceFile } from './device-file.ts';
import { openDeviceAlone } from './open-device.ts';
import type { UpSettings } from './up-settings.ts';

/**
 * Opens it under the kernel's lock; makes and formats the file, and nothing else, where there is none.
 *
 * Throws `DEVICE_HELD`, and what `provideDeviceFile` and `openFileDevice` throw.
 */
export async function openServedDevice(
  settings: UpSettings,
  format: (device: Device) => Promise<void>,
  log: Logger,
): Promise<Device> {
  const { devicePath, deviceFileBytes } = settings;
  if (devicePath !== undefined) {
    return openDeviceAlone(devicePath, 'serve');
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
  return openDeviceAlone(file.path, 'serve');
}
