/** `dozo device verify`: reads every record of a device and reports each bad one. */
import type { Device } from '@dozo/base';
import type { Damage, VerifyReport } from '@dozo/engine';
import { EngineError, openReadOnly } from '@dozo/engine';

import type { CommandContext } from '../command-context.ts';
import { openDeviceAlone } from '../composition/open-device.ts';
import { createProgressBar } from '../composition/progress-bar.ts';
import { EXIT_DAMAGE_FOUND, EXIT_DONE } from '../exit-codes.ts';
import { printableKey } from '../forensics/wording.ts';
import { DAMAGES_PRINTED_MAX } from '../limits.ts';
import { formatSize } from '../sizes.ts';

export interface VerifyOptions {
  readonly json: boolean;
}

/** Verifies under the kernel's lock, so that nothing moves meanwhile. Changes nothing. */
export async function runDeviceVerify(
  context: CommandContext,
  path: string,
  options: VerifyOptions,
): Promise<number> {
  const device = await openDeviceAlone(path, 'verify');
  let report: VerifyReport;
  try {
    report = await verify(context, device);
  } catch (error) {
    if (!(error instanceof EngineError) || error.detail.code !== 'DEVICE_CORRUPT') throw error;
    const { offset, reason } = error.detail;
    context.output.write(
      options.json ? json({ path, corrupt: { offset, reason } }) : corruptText(path, error.detail),
    );
    return EXIT_DAMAGE_FOUND;
  } finally {
    await device.close();
  }
  context.output.write(options.json ? reportJson(path, report) : reportText(path, report));
  return report.damages.length === 0 ? EXIT_DONE : EXIT_DAMAGE_FOUND;
}

async function verify(context: CommandContext, device: Device): Promise<VerifyReport> {
  const engine = await openReadOnly(device);
  const bar = createProgressBar(context.errorOutput, 'verify');
  try {
    return await engine.verify({ onProgress: (progress) => bar.show(progress) });
  } finally {
    bar.end();
    await engine.close();
  }
}

function reportJson(path: string, report: VerifyReport): string {
  const damages = report.damages.map(({ key, ...damage }) => ({
    ...damage,
    // Keys are bytes; a JSON string could not hold every one of them.
    ...(key === undefined ? {} : { keyHex: Buffer.from(key).toString('hex') }),
  }));
  return json({ path, ...report, damages });
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** The log itself is damaged: without it nobody knows which records there are. */
function corruptText(
  path: string,
  found: { readonly offset: number; readonly reason: string },
): string {
  return `${path}: damaged at byte ${found.offset}: ${found.reason}\n  It had been written and flushed, and nothing behind it can be found without it; the records were not walked.\n`;
}

function reportText(path: string, report: VerifyReport): string {
  const { damages, recordCount, bytesChecked } = report;
  const checked = `${recordCount} records, ${formatSize(bytesChecked)} read`;
  if (damages.length === 0) return `${path}: no damage (${checked})\n`;
  const lines = damages.slice(0, DAMAGES_PRINTED_MAX).map(damageText);
  const more = damages.length - lines.length;
  if (more > 0) lines.push(`  and ${more} more; --json lists all`);
  const places = damages.length === 1 ? '1 damaged place' : `${damages.length} damaged places`;
  return `${path}: ${places} (${checked})\n${lines.join('\n')}\n`;
}

function damageText({ segment, offset, sizeBytes, key, reason }: Damage): string {
  const where = `  byte ${offset}, ${sizeBytes} bytes, segment ${segment}`;
  return `${where}: ${reason}${key === undefined ? '' : `; key ${printableKey(key)}`}`;
}
