/**
 * `dozo device grow`: a file or block device that is larger than when it was formatted is used whole.
 *
 * A file can be made larger first. It is looked at before that: what is no device of ours is not enlarged.
 */
import { describeClaim } from '@dozo/claim';
import type { ClaimProgress } from '@dozo/claim';
import { growDevice, inspectDevice } from '@dozo/engine';
import type { Growth } from '@dozo/engine';
import { enlargeDeviceFile } from '@dozo/platform';

import type { CommandContext } from '../command-context.ts';
import { claimHolder } from '../composition/claim-holder.ts';
import { openDeviceAlone } from '../composition/open-device.ts';
import { CommandError } from '../errors.ts';
import { EXIT_DONE } from '../exit-codes.ts';
import { plural } from '../forensics/wording.ts';
import { formatSize } from '../sizes.ts';

export interface GrowOptions {
  /** In bytes: make the file so large first. */
  readonly size?: number;
  readonly json: boolean;
}

/** Files have whole blocks of so many bytes. */
const BLOCK_BYTES = 4096;
const ACTION = 'grow';

/** Grows a device that nobody holds. */
export async function runDeviceGrow(
  context: CommandContext,
  path: string,
  options: GrowOptions,
): Promise<number> {
  const clock = await context.openClock();
  const { size } = options;
  if (size !== undefined) await enlarge(path, size - (size % BLOCK_BYTES));
  const device = await openDeviceAlone(path, ACTION);
  try {
    const { random, environment } = context;
    const holder = claimHolder(environment);
    const growth = await growDevice({
      ...{ device, clock, random, holder },
      onProgress: tellOnce(context),
    });
    context.output.write(options.json ? growthJson(path, growth) : growthText(path, growth));
  } finally {
    await device.close();
  }
  return EXIT_DONE;
}

/** Says why it takes as long as a lease. */
function tellOnce({ errorOutput }: CommandContext): (progress: ClaimProgress) => void {
  let isTold = false;
  return ({ holder }) => {
    if (isTold) return;
    isTold = true;
    errorOutput.write(`looking whether the last holder still lives: ${describeClaim(holder)}\n`);
  };
}

async function enlarge(path: string, sizeBytes: number): Promise<void> {
  const device = await openDeviceAlone(path, ACTION);
  try {
    if (device.isBlockDevice) {
      throw usage(
        `--size makes a file larger; ${path} is a block device: enlarge it with what made it (lvextend, your cloud), then grow it without --size`,
      );
    }
    if (sizeBytes < device.sizeBytes) {
      throw usage(
        `${path} has ${formatSize(device.sizeBytes)}, more than the ${formatSize(sizeBytes)} of --size; a device cannot be made smaller`,
      );
    }
    // Throws for what is not ours.
    await inspectDevice(device);
    if (sizeBytes > device.sizeBytes) await enlargeDeviceFile({ device, sizeBytes });
  } finally {
    await device.close();
  }
}

function growthText(path: string, { isChanged, before, after, wonBytes }: Growth): string {
  const size = formatSize(after.deviceBytes);
  if (!isChanged) {
    return `${path}: nothing to do; its ${after.segmentCount} segments are all that fit, and nothing was changed\n`;
  }
  if (wonBytes === 0) {
    return `${path}: a grow that had been cut off was put in order; it has ${size} in ${after.segmentCount} segments, as before\n`;
  }
  const more = after.segmentCount - before.segmentCount;
  return `${path}: grown from ${formatSize(before.deviceBytes)} to ${size}: ${more} ${plural('segment', more)} more, room for ${formatSize(wonBytes)} more data (${wonBytes} bytes)\n`;
}

function growthJson(path: string, { isChanged, before, after, wonBytes }: Growth): string {
  const report = {
    path,
    isChanged,
    deviceBytes: after.deviceBytes,
    segmentCount: after.segmentCount,
    segmentCountBefore: before.segmentCount,
    wonBytes,
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}

function usage(message: string): CommandError {
  return new CommandError(message, { code: 'USAGE_INVALID' });
}
