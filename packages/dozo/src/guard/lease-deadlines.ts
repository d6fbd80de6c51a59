/**
 * What has to happen to a guarded program as its lease runs out.
 *
 * A guarded program cannot be stopped before each write, as Dozo's own engine is. So it must be gone
 * before anybody else may take the volume over:
 *
 *     renewed             half of it gone            4/5             9/10          end of the lease
 *     |--- sound ---------|--- terminate ------------|--- kill ------|-- overdue --|
 *
 * Time is monotonic and counts suspended time. When wall time has run ahead of it, the machine may have
 * been paused without its clock being told (a virtual machine), or somebody has set the clock: then the
 * program is stopped, at any stage, until the next beat has shown which.
 */
import {
  KILL_MARGIN_LEASE_FRACTION,
  LAST_RESORT_LEASE_FRACTION,
  LEASE_CHECK_FRACTION,
  LEASE_CHECK_MS_MIN,
  TERMINATE_LEASE_FRACTION,
  WALL_AHEAD_LEASE_FRACTION,
} from './limits.ts';

/** The lease as it was last renewed. */
export interface LeaseTerm {
  /** When the beat that renewed it was begun, on both clocks. */
  readonly sinceMonotonicMs: number;
  readonly sinceWallMs: number;
  readonly leaseMs: number;
}

/** How far a lease has run out. `doubtful`: wall time has run ahead. `overdue`: who should have killed has not. */
export type LeaseStage = 'sound' | 'doubtful' | 'terminate' | 'kill' | 'overdue';

/** Tells how far it is at this moment. */
export function leaseStageAt(
  term: LeaseTerm,
  now: { readonly monotonicMs: number; readonly wallMs: number },
): LeaseStage {
  const elapsedMs = now.monotonicMs - term.sinceMonotonicMs;
  const wallAheadMs = now.wallMs - term.sinceWallMs - elapsedMs;
  const gone = elapsedMs / term.leaseMs;
  if (gone >= 1 - LAST_RESORT_LEASE_FRACTION) return 'overdue';
  if (gone >= 1 - KILL_MARGIN_LEASE_FRACTION) return 'kill';
  if (wallAheadMs > term.leaseMs * WALL_AHEAD_LEASE_FRACTION) return 'doubtful';
  return gone >= TERMINATE_LEASE_FRACTION ? 'terminate' : 'sound';
}

/** How long until the next look, in ms: the next stage begins, or time for it has come anyway. */
export function nextLookMs(term: LeaseTerm, monotonicMs: number): number {
  const { leaseMs } = term;
  const elapsedMs = monotonicMs - term.sinceMonotonicMs;
  const next = STAGES_BEGIN.map((part) => part * leaseMs - elapsedMs).find((leftMs) => leftMs > 0);
  const regularMs = leaseMs * LEASE_CHECK_FRACTION;
  return Math.max(LEASE_CHECK_MS_MIN, Math.ceil(Math.min(next ?? regularMs, regularMs)));
}

/** In parts of the lease. */
const STAGES_BEGIN = [
  TERMINATE_LEASE_FRACTION,
  1 - KILL_MARGIN_LEASE_FRACTION,
  1 - LAST_RESORT_LEASE_FRACTION,
];
