/** `dozo device show`: what a device says of itself. Takes no lock and changes nothing. */
import { inspectDevice } from '@dozo/engine';

import type { CommandContext } from '../command-context.ts';
import { deviceReportText, readQuarantine, reportDevice } from '../composition/device-report.ts';
import { openDeviceToLook } from '../composition/open-device.ts';
import { EXIT_DONE } from '../exit-codes.ts';

export interface ShowOptions {
  readonly json: boolean;
}

/** Shows superblock, claims and segments. */
export async function runDeviceShow(
  context: CommandContext,
  path: string,
  options: ShowOptions,
): Promise<number> {
  const device = await openDeviceToLook(path);
  try {
    const inspection = await inspectDevice(device);
    const quarantine = await readQuarantine(device, inspection);
    const report = reportDevice(path, device.sizeBytes, inspection, quarantine);
    context.output.write(
      options.json
        ? `${JSON.stringify(report, undefined, 2)}\n`
        : deviceReportText(report, inspection.newestClaim),
    );
  } finally {
    await device.close();
  }
  return EXIT_DONE;
}
