/**
 * A device that two held: the first is passed over while it is silent and writes on, with its look at
 * ring and clock switched off, as a process does that was stopped in the middle of a write.
 */
import type { Clock, Device, Random } from '@dozo/base';
import { formatDevice, openEngine } from '@dozo/engine';
import type { Engine, TestSwitches } from '@dozo/engine';

/** What both need. */
export interface Ground<Opened extends Device = Device> {
  readonly clock: Clock;
  readonly random: Random;
  /** Opens the device once more, by another path: without the kernel's lock. */
  readonly open: () => Promise<Opened> | Opened;
}

export interface TwoHolders<Opened extends Device = Device> {
  /** Fenced, and does not know it. */
  readonly zombie: Engine;
  readonly zombieDevice: Opened;
  readonly second: Engine;
  readonly secondDevice: Opened;
}

export const ZOMBIE = {
  host: 'alpha',
  bootId: 'boot-of-alpha',
  processId: 12,
  podName: 'osd-0-old',
  softwareVersion: '0.1.0',
};
export const SECOND = {
  host: 'beta',
  bootId: 'boot-of-beta',
  processId: 31,
  softwareVersion: '0.1.0',
};

const BLIND = { skipBeats: true, skipLeaseCheck: true };

/** Small segments, and a lease that is over soon. */
export async function formatSmall({ clock, random, open }: Ground): Promise<void> {
  const device = await open();
  const intervals = { beatIntervalMs: 20, leaseMs: 100 };
  const geometry = { segmentPayloadBytes: 64 * 1024, ringSlotCount: 16 };
  await formatDevice({ device, clock, random, ...intervals, ...geometry });
  await device.close();
}

/** The first writes, falls silent, and is passed over. */
export async function playTakeover<Opened extends Device>(
  ground: Ground<Opened>,
  successor: TestSwitches = {},
): Promise<TwoHolders<Opened>> {
  const { clock, random, open } = ground;
  const zombieDevice = await open();
  const zombie = await openEngine({
    ...{ device: zombieDevice, clock, random, holder: ZOMBIE },
    testSwitches: { claimSwitches: BLIND },
  });
  await write(zombie, 'before', 5);
  const secondDevice = await open();
  const second = await openEngine({
    ...{ device: secondDevice, clock, random, holder: SECOND },
    testSwitches: successor,
  });
  await write(second, 'second', 5);
  return { zombie, zombieDevice, second, secondDevice };
}

/** One record and one group after the other. */
export async function write(engine: Engine, name: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const text = new TextEncoder();
    const key = text.encode(`${name}-${index}`);
    await engine.apply([{ kind: 'put', key, value: text.encode(`of ${name}`) }]);
  }
}
