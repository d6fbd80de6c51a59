/**
 * A Dozo daemon for the lab, an entry of its own: the real engine on a real device, and clients that
 * write to it. It opens the device as `dozo up` does, unless it is told to leave locks and checks out.
 */
import type { Device } from '@dozo/base';
import { describeClaim } from '@dozo/claim';
import type { ClaimSwitches } from '@dozo/claim';
import { openEngine } from '@dozo/engine';
import type { Engine, OpenOptions } from '@dozo/engine';
import { openFileDevice, openSystemClock, SystemRandom } from '@dozo/platform';

import { claimHolder } from '../composition/claim-holder.ts';
import { openDeviceAlone } from '../composition/open-device.ts';
import { daemonArguments, errorCode, errorMessage, obeyTheLab, report } from './daemon-protocol.ts';
import { RECORD_BYTES } from './limits.ts';
import { writePaced } from './paced-writer.ts';
import { recordValue } from './records.ts';

type TestSwitches = NonNullable<OpenOptions['testSwitches']>;

/** Arguments of the Dozo daemon. */
export interface DozoWriterArguments {
  readonly prefix: string;
  readonly devicePath: string;
  /** Wait until the claim is free instead of being refused. */
  readonly wait: boolean;
  /** Open the device without the kernel's lock. */
  readonly withoutKernelLock: boolean;
  /** Neither watch others nor beat, and write whatever the clocks say. */
  readonly withoutLease: boolean;
  /** Use segments without looking whose they are. */
  readonly withoutLayout: boolean;
}

/** What is left of the claim then: the layout alone (layer L4). */
const NO_LEASE: ClaimSwitches = { skipWatch: true, skipBeats: true, skipLeaseCheck: true };

/** Then nothing is left. */
const NO_LAYOUT: TestSwitches = {
  ignoreQuarantine: true,
  skipReservationConfirm: true,
  claimSwitches: { ...NO_LEASE, skipReadAfterReservation: true },
};

function switchesOf({ withoutLease, withoutLayout }: DozoWriterArguments): TestSwitches {
  if (withoutLayout) return NO_LAYOUT;
  return withoutLease ? { claimSwitches: NO_LEASE } : {};
}

async function open(options: DozoWriterArguments, signal: AbortSignal): Promise<Engine> {
  const { devicePath, wait } = options;
  const device = await openDevice(options);
  return openEngine({
    device,
    clock: await openSystemClock(),
    random: new SystemRandom(),
    holder: claimHolder(process.env),
    wait,
    signal,
    onProgress: (progress) => {
      const { holder } = progress;
      const watchMs = progress.kind === 'watching' ? progress.watchMs : 0;
      report({ kind: 'watching', holder: `${devicePath}: ${describeClaim(holder)}`, watchMs });
    },
    testSwitches: switchesOf(options),
  });
}

function openDevice({ devicePath, withoutKernelLock }: DozoWriterArguments): Promise<Device> {
  return withoutKernelLock
    ? openFileDevice({ path: devicePath, mode: 'unlocked' })
    : openDeviceAlone(devicePath, 'serve');
}

async function run(options: DozoWriterArguments): Promise<void> {
  const signal = obeyTheLab();
  let engine: Engine;
  try {
    engine = await open(options, signal);
  } catch (error) {
    report({ kind: 'refused', code: errorCode(error), message: errorMessage(error) });
    return;
  }
  const { devicePath, withoutKernelLock } = options;
  const lock = withoutKernelLock ? `opens ${devicePath} without a lock` : `holds ${devicePath}`;
  report({ kind: 'started', lock, recordCount: engine.stats().keyCount });
  try {
    await writePaced({
      prefix: options.prefix,
      clock: await openSystemClock(),
      signal,
      put: async (record) => {
        const key = Buffer.from(record.key);
        await engine.apply([{ kind: 'put', key, value: recordValue(record, RECORD_BYTES) }]);
      },
    });
    await engine.close();
    report({ kind: 'closed' });
  } catch (error) {
    report({ kind: 'ended', code: errorCode(error), message: errorMessage(error) });
    // Gives it the chance to write `stopped`; that it may not is no news.
    await engine.close().catch(() => undefined);
  }
}

await run(daemonArguments() as DozoWriterArguments);
process.exit(0);
