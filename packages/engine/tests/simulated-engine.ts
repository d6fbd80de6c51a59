/** A simulated disk with an engine on it, for tests. */
import { SeededRandom } from '@dozo/base';
import { SimulatedClock, SimulatedDevice, SimulatedMedium } from '@dozo/simulator';
import { formatDevice, openEngine } from '../src/index.ts';
import type { Engine } from '../src/index.ts';
import type { TestSwitches } from '../src/test-switches.ts';

export const HOLDER = {
  host: 'test-host',
  bootId: '0d6f1a52-boot',
  processId: 4711,
  softwareVersion: '0.1.0',
};

export interface World {
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly seed: string | number;
}

export interface OpenedEngine {
  readonly engine: Engine;
  readonly device: SimulatedDevice;
}

export const KIB = 1024;
export const MIB = 1024 * KIB;

export function newWorld(seed: string | number): World {
  return { seed, clock: new SimulatedClock({ seed }), random: new SeededRandom(seed) };
}

/** A medium of zeros that gets exactly this geometry when it is formatted. */
export function mediumFor(of: {
  readonly segmentCount: number;
  readonly segmentPayloadBytes: number;
  readonly ringSlotCount: number;
}): SimulatedMedium {
  const { segmentCount, segmentPayloadBytes, ringSlotCount } = of;
  const areaOffset = 64 * KIB + ringSlotCount * 8 * KIB + 4 * KIB;
  const strideBytes = segmentPayloadBytes + Math.max(16 * KIB, segmentPayloadBytes / 256);
  return new SimulatedMedium(areaOffset + segmentCount * strideBytes);
}

/** A medium with an empty engine format on it. */
export async function formattedMedium(
  world: World,
  options: {
    readonly segmentCount?: number;
    readonly segmentPayloadBytes?: number;
    readonly ringSlotCount?: number;
    /** Default true: nobody else is there, so nothing is waited for. */
    readonly isLocal?: boolean;
  } = {},
): Promise<SimulatedMedium> {
  const { segmentCount = 32, segmentPayloadBytes = 64 * KIB, ringSlotCount = 8 } = options;
  const medium = mediumFor({ segmentCount, segmentPayloadBytes, ringSlotCount });
  const device = new SimulatedDevice(medium, { clock: world.clock, seed: `${world.seed}/format` });
  const { clock, random } = world;
  const { isLocal = true } = options;
  await formatDevice({ device, clock, random, segmentPayloadBytes, ringSlotCount, isLocal });
  await device.close();
  return medium;
}

let openCount = 0;

/** Opens the engine on a medium, as one more process. */
export async function openOn(
  world: World,
  medium: SimulatedMedium,
  options: {
    readonly testSwitches?: TestSwitches;
    readonly access?: 'exclusive' | 'unlocked';
    readonly onDevice?: (device: SimulatedDevice) => void;
  } = {},
): Promise<OpenedEngine> {
  const device = new SimulatedDevice(medium, {
    clock: world.clock,
    seed: `${world.seed}/device/${openCount++}`,
    alignmentBytes: 1,
    ...(options.access === undefined ? {} : { access: options.access }),
  });
  options.onDevice?.(device);
  const engine = await openEngine({
    device,
    clock: world.clock,
    random: world.random,
    holder: HOLDER,
    ...(options.testSwitches === undefined ? {} : { testSwitches: options.testSwitches }),
  });
  return { engine, device };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
