/**
 * `dozo device format`: the only way to make a Dozo device of something that exists.
 *
 * The kernel's lock comes first: what is mounted or held is never formatted, `--force` or not. Then
 * the device is looked through; when anything is found, `--force` and a person's word are needed.
 */
import type { Clock, Device } from '@dozo/base';
import { describeClaim } from '@dozo/claim';
import { describeContent, formatDevice, inspectDevice } from '@dozo/engine';
import { createDeviceFile } from '@dozo/platform';

import type { CommandContext } from '../command-context.ts';
import { findContent } from '../composition/blank-check.ts';
import { openDeviceAlone } from '../composition/open-device.ts';
import { CommandError } from '../errors.ts';
import { EXIT_DONE } from '../exit-codes.ts';
import { formatSize } from '../sizes.ts';

export interface FormatOptions {
  /** In bytes: make a file of this size first. */
  readonly size?: number;
  /** Only this machine can reach it, by one path. */
  readonly local: boolean;
  /** Beat interval and lease of its claims, in ms; default: those of the engine. */
  readonly beat?: number;
  readonly lease?: number;
  readonly force: boolean;
  readonly yes: boolean;
}

/** Formats a device, or makes a formatted file. */
export async function runDeviceFormat(
  context: CommandContext,
  path: string,
  options: FormatOptions,
): Promise<number> {
  const clock = await context.openClock();
  const format = (device: Device, force: boolean): Promise<void> =>
    formatOne(context, clock, device, { ...options, force });
  if (options.size !== undefined) {
    const sizeBytes = options.size;
    await createDeviceFile({ path, sizeBytes, prepare: (device) => format(device, false) });
  } else {
    await formatExisting(context, path, options, format);
  }
  context.output.write(`${path} is a Dozo device now. Serve it: dozo up --device ${path}\n`);
  return EXIT_DONE;
}

async function formatExisting(
  context: CommandContext,
  path: string,
  options: FormatOptions,
  format: (device: Device, force: boolean) => Promise<void>,
): Promise<void> {
  const device = await openDeviceAlone(path, 'format');
  try {
    const found = await describeWhatIsThere(device);
    if (found !== undefined) {
      if (!options.force) throw notEmpty(path, found);
      context.errorOutput.write(
        `${path} (${formatSize(device.sizeBytes)}) is not empty. There is ${found}.\nFormatting it destroys that, for good.\n`,
      );
      await confirm(context, path, options.yes);
    }
    await format(device, found !== undefined);
  } finally {
    await device.close();
  }
}

async function formatOne(
  { random }: CommandContext,
  clock: Clock,
  device: Device,
  { force, local, beat, lease }: FormatOptions,
): Promise<void> {
  await formatDevice({
    ...{ device, clock, random, force, isLocal: local },
    ...(beat === undefined ? {} : { beatIntervalMs: beat }),
    ...(lease === undefined ? {} : { leaseMs: lease }),
  });
}

/** What would be lost, in words; undefined when nothing was found. */
async function describeWhatIsThere(device: Device): Promise<string | undefined> {
  const known = await describeContent(device);
  if (known === undefined) {
    const offset = await findContent(device);
    return offset === undefined ? undefined : `data of an unknown kind (at byte ${offset})`;
  }
  try {
    const { newestClaim } = await inspectDevice(device);
    return newestClaim === undefined
      ? known
      : `${known}, last used by ${describeClaim(newestClaim)}`;
  } catch {
    // Not ours, or damaged: the short description stands.
    return known;
  }
}

async function confirm({ ask }: CommandContext, path: string, isConfirmed: boolean): Promise<void> {
  if (isConfirmed) return;
  if (ask === undefined) {
    throw unconfirmed(path, 'there is no terminal to ask on; add --yes if it may be destroyed');
  }
  const answer = await ask('Type the path again to go on: ');
  if (answer.trim() !== path) throw unconfirmed(path, 'what was typed is not the path');
}

function notEmpty(path: string, found: string): CommandError {
  return new CommandError(
    `cannot format ${path}: it is not empty, there is ${found}; nothing was changed. If that may be destroyed: dozo device format ${path} --force`,
    { code: 'DEVICE_NOT_EMPTY', path },
  );
}

function unconfirmed(path: string, reason: string): CommandError {
  return new CommandError(`${path} was not formatted: ${reason}`, {
    code: 'CONFIRMATION_MISSING',
    path,
  });
}
