/** The intervals of a device, which all of its claimants must agree on: they are stored on it. */
import { assert } from '@dozo/base';
import {
  BEAT_INTERVAL_MS_MAX,
  BEAT_INTERVAL_MS_MIN,
  CLOCK_DRIFT_MAX,
  LEASE_BEATS_MIN,
  LEASE_MS_MAX,
} from './limits.ts';

/** What a device says about the claims on it. */
export interface ClaimSettings {
  /** How often a holder shows that it lives, in ms. */
  readonly beatIntervalMs: number;
  /** How long a beat counts, in ms: at least three intervals. */
  readonly leaseMs: number;
  /**
   * Only this machine can reach the device, by one path: its kernel arbitrates alone. Then a claim of
   * an earlier boot is dead, and no two claimants can meet in one slot.
   */
  readonly isLocal: boolean;
}

/** What is wrong with the intervals, in words; `undefined` when nothing is. */
export function refuseIntervals(beatIntervalMs: number, leaseMs: number): string | undefined {
  if (
    !Number.isInteger(beatIntervalMs) ||
    beatIntervalMs < BEAT_INTERVAL_MS_MIN ||
    beatIntervalMs > BEAT_INTERVAL_MS_MAX
  ) {
    return (
      `the beat interval is ${String(beatIntervalMs)} ms; it must be a whole number from ` +
      `${BEAT_INTERVAL_MS_MIN} to ${BEAT_INTERVAL_MS_MAX} ms`
    );
  }
  const leaseMsMin = LEASE_BEATS_MIN * beatIntervalMs;
  if (!Number.isInteger(leaseMs) || leaseMs < leaseMsMin || leaseMs > LEASE_MS_MAX) {
    return (
      `the lease is ${String(leaseMs)} ms; with a beat every ${beatIntervalMs} ms it must be a ` +
      `whole number from ${leaseMsMin} to ${LEASE_MS_MAX} ms`
    );
  }
  return undefined;
}

/**
 * How far wall time may run ahead of monotonic time within one lease before it shows that the machine
 * was paused in a way that the monotonic clock does not count (a virtual machine that was suspended).
 */
export function wallAheadMsMax({ leaseMs }: ClaimSettings): number {
  return leaseMs / 20;
}

/**
 * How long a claimant watches until the lease of a holder that does not beat is over, whatever the
 * difference of their clocks: the lease as the slowest clock measures it, on the fastest, and the
 * pause that a holder may not have noticed.
 */
export function watchMsOf(settings: ClaimSettings): number {
  const { leaseMs } = settings;
  assert(refuseIntervals(settings.beatIntervalMs, leaseMs) === undefined, 'the intervals fit');
  const driftRatio = (1 + CLOCK_DRIFT_MAX) / (1 - CLOCK_DRIFT_MAX);
  return Math.ceil((leaseMs + wallAheadMsMax(settings)) * driftRatio) + 1;
}
