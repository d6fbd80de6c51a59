/**
 * `dozo device check`, also called `verify`: reads everything that counts on a device, and says in plain
 * words what is damaged and what that costs. Changes nothing without `--repair`; with it, asks, and makes
 * the device sound.
 */
import type { Device } from '@dozo/base';
import { EngineError, isRepairNeeded, planRepair, repairDevice } from '@dozo/engine';
import type { RepairPlan } from '@dozo/engine';

import type { CommandContext } from '../command-context.ts';
import { checkText, reportCorrupt, reportPlan } from '../composition/check-report.ts';
import type { CheckReport } from '../composition/check-report.ts';
import { claimHolder } from '../composition/claim-holder.ts';
import { openDeviceAlone } from '../composition/open-device.ts';
import { createProgressBar } from '../composition/progress-bar.ts';
import { CommandError } from '../errors.ts';
import { EXIT_DAMAGE_FOUND, EXIT_DONE } from '../exit-codes.ts';

export interface CheckOptions {
  readonly json: boolean;
  readonly repair: boolean;
  readonly yes: boolean;
}

/** Checks, or repairs, under the kernel's lock, so that nothing moves meanwhile. */
export async function runDeviceCheck(
  context: CommandContext,
  path: string,
  options: CheckOptions,
): Promise<number> {
  if (options.yes && !options.repair) {
    const message = '--yes agrees to a repair; give it together with --repair, or leave it out';
    throw new CommandError(message, { code: 'USAGE_INVALID' });
  }
  const device = await openDeviceAlone(path, options.repair ? 'repair' : 'check');
  try {
    return options.repair
      ? await repair(context, device, options)
      : tell(context, await check(context, device), options.json);
  } finally {
    await device.close();
  }
}

function tell({ output }: CommandContext, report: CheckReport, isJson: boolean): number {
  output.write(isJson ? `${JSON.stringify(report, undefined, 2)}\n` : checkText(report));
  return report.verdict === 'sound' ? EXIT_DONE : EXIT_DAMAGE_FOUND;
}

async function check(context: CommandContext, device: Device): Promise<CheckReport> {
  const bar = createProgressBar(context.errorOutput, 'check');
  try {
    const plan = await planRepair(device, { onProgress: (progress) => bar.show(progress) });
    return reportPlan(device.path, plan);
  } catch (error) {
    if (!(error instanceof EngineError) || error.detail.code !== 'DEVICE_CORRUPT') throw error;
    return reportCorrupt(device.path, error.detail);
  } finally {
    bar.end();
  }
}

/** Says what would be done, asks, does it, and checks what has become of the device. */
async function repair(
  context: CommandContext,
  device: Device,
  { json, yes }: CheckOptions,
): Promise<number> {
  const { path } = device;
  const { random, environment, output, errorOutput } = context;
  const bar = createProgressBar(errorOutput, 'check');
  const { plan, isDone } = await repairDevice({
    ...{ device, random },
    clock: await context.openClock(),
    holder: claimHolder(environment),
    onVerifyProgress: (progress) => bar.show(progress),
    agree: async (planned) => {
      bar.end();
      (json ? errorOutput : output).write(checkText(reportPlan(path, planned)));
      await confirm(context, path, planned, yes);
      return true;
    },
  }).finally(() => bar.end());
  const before = reportPlan(path, plan);
  if (!isDone) return tell(context, before, json);
  const after = await check(context, device);
  if (json) output.write(`${JSON.stringify({ path, before, after }, undefined, 2)}\n`);
  else output.write(`\nRepaired, and checked again:\n${checkText(after)}`);
  return after.verdict === 'sound' ? EXIT_DONE : EXIT_DAMAGE_FOUND;
}

async function confirm(
  { ask }: CommandContext,
  path: string,
  plan: RepairPlan,
  isConfirmed: boolean,
): Promise<void> {
  if (isConfirmed || !isRepairNeeded(plan)) return;
  if (ask === undefined) {
    throw unconfirmed(path, 'there is no terminal to ask on; add --yes to agree to what is listed');
  }
  const answer = await ask('Type "repair" to go on; what is listed as dropped is gone then: ');
  if (answer.trim() !== 'repair') throw unconfirmed(path, 'the answer was not "repair"');
}

function unconfirmed(path: string, reason: string): CommandError {
  return new CommandError(`${path} was not repaired: ${reason}. Nothing was changed`, {
    code: 'CONFIRMATION_MISSING',
    path,
  });
}
