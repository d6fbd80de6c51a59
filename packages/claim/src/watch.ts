/**
 * Before the claim: watching those who may hold a lease.
 *
 * A lease runs from before the write of a beat. So whoever has not written anything new when a ring is
 * read that was begun a whole lease (on any clock, see `watchMsOf`) after the end of an earlier read
 * has no lease any more: a write that landed before the first read had begun before it, and one that
 * landed after it would show. A write that is still on its way after both is caught by the second look
 * at the ring, after one's own claim stands there (`tenure.ts`).
 */
import type { Assessment, RingClaim } from './assess.ts';
import { isSameClaim } from './identity.ts';
import type { Slot } from './slot.ts';

/** A watch that has begun. */
export interface Watch {
  /** What was seen of each possible holder when it began. */
  readonly sightings: readonly RingClaim[];
  /** Monotonic time at which it had been seen. */
  readonly sinceMs: number;
}

/** What another look at the ring says. */
export type WatchVerdict =
  /** Nobody holds a lease: the claim may be written now. */
  | { readonly kind: 'free' }
  /** Nothing has moved yet: look again, for the last time at `untilMs`. */
  | { readonly kind: 'wait'; readonly untilMs: number; readonly holder: Slot }
  /** Another claim has come: watch from here. */
  | { readonly kind: 'again'; readonly watch: Watch; readonly holder: Slot }
  /** A holder has shown that it lives; the new watch is for those who wait. */
  | { readonly kind: 'held'; readonly watch: Watch; readonly holder: Slot };

/** Begins to watch. `nowMs` is the time after the ring was read. */
export function beginWatch(assessment: Assessment, nowMs: number): Watch {
  return { sightings: assessment.leaseholders, sinceMs: nowMs };
}

/**
 * Judges a look at the ring that was begun at `begunMs` and had ended at `nowMs`.
 *
 * @param watchMs see `watchMsOf`.
 */
export function judgeWatch(
  watch: Watch,
  assessment: Assessment,
  time: { readonly begunMs: number; readonly nowMs: number; readonly watchMs: number },
): WatchVerdict {
  const { leaseholders } = assessment;
  const [highest] = leaseholders;
  if (highest === undefined) return { kind: 'free' };
  const moved = leaseholders.find((claim) => !isUnmoved(claim, watch.sightings));
  if (moved !== undefined) {
    const isKnown = watch.sightings.some(({ slot }) =>
      isSameClaim(slot.identity, moved.slot.identity),
    );
    const next = beginWatch(assessment, time.nowMs);
    return { kind: isKnown ? 'held' : 'again', watch: next, holder: moved.slot };
  }
  const untilMs = watch.sinceMs + time.watchMs;
  if (time.begunMs >= untilMs) return { kind: 'free' };
  return { kind: 'wait', untilMs, holder: highest.slot };
}

/** Whether a claim has written nothing since it was sighted. */
export function isUnmoved(claim: RingClaim, sightings: readonly RingClaim[]): boolean {
  return sightings.some(
    ({ index, slot }) =>
      index === claim.index &&
      slot.writeCounter === claim.slot.writeCounter &&
      isSameClaim(slot.identity, claim.slot.identity),
  );
}
