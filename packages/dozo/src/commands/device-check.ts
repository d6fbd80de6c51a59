/**
 * `dozo device check`, also called `verify`: reads everything that counts on a device, and says in plain
 * words what is damaged and what that costs. Changes nothing.
 */
import type { Device } from '@dozo/base';
import type { VerifyReport } from '@dozo/engine';
import { EngineError, openReadOnly } from '@dozo/engine';

import type { CommandContext } from '../command-context.ts';
import { checkText, reportCheck, reportCorrupt } from '../composition/check-report.ts';
import type { CheckReport } from '../composition/check-report.ts';
import { openDeviceAlone } from '../composition/open-device.ts';
import { createProgressBar } from '../composition/progress-bar.ts';
import { EXIT_DAMAGE_FOUND, EXIT_DONE } from '../exit-codes.ts';

export interface CheckOptions {
  readonly json: boolean;
}

/** Checks under the kernel's lock, so that nothing moves meanwhile. */
export async function runDeviceCheck(
  context: CommandContext,
  path: string,
  options: CheckOptions,
): Promise<number> {
  const device = await openDeviceAlone(path, 'check');
  let report: CheckReport;
  try {
    report = reportCheck(path, await verify(context, device));
  } catch (error) {
    if (!(error instanceof EngineError) || error.detail.code !== 'DEVICE_CORRUPT') throw error;
    report = reportCorrupt(path, error.detail);
  } finally {
    await device.close();
  }
  const json = `${JSON.stringify(report, undefined, 2)}\n`;
  context.output.write(options.json ? json : checkText(report));
  return report.verdict === 'sound' ? EXIT_DONE : EXIT_DAMAGE_FOUND;
}

async function verify(context: CommandContext, device: Device): Promise<VerifyReport> {
  const engine = await openReadOnly(device);
  const bar = createProgressBar(context.errorOutput, 'check');
  try {
    return await engine.verify({ onProgress: (progress) => bar.show(progress) });
  } finally {
    bar.end();
    await engine.close();
  }
}
