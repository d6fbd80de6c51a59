/** Simulated disks with a ring on them, and claimants of chosen machines, for tests. */
import { SeededRandom, sleep } from '@dozo/base';
import type { Clock } from '@dozo/base';
import { SimulatedClock, SimulatedDevice, SimulatedMedium } from '@dozo/simulator';
import { SLOT_BYTES, acquireClaim, readRing } from '../src/index.ts';
import type { AcquireOptions, Claim, ClaimSettings, Holder, Ring } from '../src/index.ts';

export const SETTINGS: ClaimSettings = { beatIntervalMs: 1000, leaseMs: 5000, isLocal: false };

/** Where a claimant runs. */
export interface Host {
  readonly host: string;
  readonly bootId: string;
  readonly machineId?: string;
}

export const ALPHA: Host = { host: 'alpha', bootId: 'boot-1', machineId: 'a'.repeat(32) };
export const BETA: Host = { host: 'beta', bootId: 'boot-2', machineId: 'b'.repeat(32) };

export interface TakeOptions extends Partial<
  Omit<AcquireOptions, 'device' | 'holder' | 'settings'>
> {
  readonly on?: Host;
  /** Default: takes the lock of the medium, as a start by the same path does. */
  readonly access?: 'exclusive' | 'unlocked';
  readonly settings?: Partial<ClaimSettings>;
  readonly clock?: Clock;
  /** Default: a handle of its own. */
  readonly device?: SimulatedDevice;
}

/** The process is killed: nothing of it happens any more, and the kernel lets go of its lock. */
export function kill(process: { readonly claim: Claim; readonly device: SimulatedDevice }): void {
  process.device.halt();
  process.claim.abandon();
}

/** A process that has the claim. */
export interface Taken {
  readonly claim: Claim;
  readonly device: SimulatedDevice;
  /** Virtual time from the call to the claim. */
  readonly tookMs: number;
}

/** One disk and those who want it. */
export class ClaimWorld {
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly medium: SimulatedMedium;
  readonly slotCount: number;
  readonly deviceId: Uint8Array;
  #processCount = 0;

  constructor(seed: string | number, slotCount = 16) {
    this.clock = new SimulatedClock({ seed });
    this.random = new SeededRandom(seed);
    this.slotCount = slotCount;
    this.medium = new SimulatedMedium(slotCount * SLOT_BYTES);
    this.deviceId = this.random.bytes(16);
  }

  /** Another process with the disk open. */
  open(access: 'exclusive' | 'unlocked' = 'exclusive'): SimulatedDevice {
    const seed = `device/${this.random.uint32()}`;
    return new SimulatedDevice(this.medium, { clock: this.clock, seed, access });
  }

  /** A process that takes the claim; rejects as `acquireClaim` does. */
  take(options: TakeOptions = {}): Promise<Taken> {
    return this.clock.runUntil(this.begin(options));
  }

  /** A process that begins to take the claim; time goes on when the test says so. */
  async begin(options: TakeOptions = {}): Promise<Taken> {
    const { on = ALPHA, access = 'exclusive', settings, ...rest } = options;
    const device = options.device ?? this.open(access);
    const holder: Holder = { ...on, processId: ++this.#processCount, softwareVersion: '0.1.0' };
    const place = { offset: 0, slotCount: this.slotCount, deviceId: this.deviceId };
    const { clock, random } = this;
    const startMs = this.clock.monotonicMs();
    const acquiring = acquireClaim({
      place,
      settings: { ...SETTINGS, ...settings },
      clock,
      random,
      holder,
      ...rest,
      device,
    });
    const claim = await acquiring;
    return { claim, device, tookMs: this.clock.monotonicMs() - startMs };
  }

  /** Lets virtual time pass for one caller. */
  wait(delayMs: number): Promise<void> {
    return sleep(this.clock, delayMs);
  }

  /** The ring as the disk has it. */
  ring(): Promise<Ring> {
    const device = new SimulatedDevice(this.medium, {
      clock: this.clock,
      seed: 0,
      access: 'read-only',
    });
    const place = { offset: 0, slotCount: this.slotCount, deviceId: this.deviceId };
    return this.clock.runUntil(readRing(device, place));
  }
}
