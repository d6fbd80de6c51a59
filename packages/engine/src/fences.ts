/**
 * Which fences a new holder sets: pure.
 *
 * Fences that the manifest carries stay: their claims are quarantined still, or what they wrote has not
 * been looked at yet. Each claim that is not proved dead and has none gets one. That of the claim which
 * recovery started from stands where its log ends. Of any other nothing counts: it wrote no manifest
 * that anybody could have recovered from.
 */
import { compareIdentities, isSameClaim } from '@dozo/claim';
import type { ClaimIdentity, Slot } from '@dozo/claim';
import { fencedClaimOf } from './claim-history.ts';
import type { ClaimHistory, Fence } from './claim-history.ts';
import { FENCES_MAX } from './limits.ts';

/** Where the log of the claim that was recovered ends. */
export type RecoveredEnd = Pick<Fence, 'segment' | 'ordinal' | 'end'>;

/** What the fences of a start follow from. */
export interface FenceBasis {
  /** What the manifest remembers that recovery started from. */
  readonly history: ClaimHistory;
  /** Lower claims that are not proved dead. */
  readonly quarantined: readonly Slot[];
  readonly recoverFrom: Slot | undefined;
  readonly recoveredEnd: RecoveredEnd | undefined;
  /** Who sets them, and when. */
  readonly by: ClaimIdentity;
  readonly wallMs: number;
}

/** The fences of a start, in order of the claims. */
export function fencesOf(basis: FenceBasis): readonly Fence[] {
  const { history, quarantined, by, wallMs } = basis;
  const isKnown = (slot: Slot): boolean =>
    history.fences.some(({ identity }) => isSameClaim(identity, slot.identity));
  const added = quarantined
    .filter((slot) => !isKnown(slot))
    .map((slot) => ({
      ...fencedClaimOf(slot, by, wallMs),
      ...placeOf(slot, basis),
      segments: slot.reservation,
    }));
  return bounded([...history.fences, ...added], quarantined).sort((left, right) =>
    compareIdentities(left.identity, right.identity),
  );
}

function placeOf(slot: Slot, { recoverFrom, recoveredEnd }: FenceBasis): RecoveredEnd {
  const isRecovered = recoverFrom !== undefined && isSameClaim(recoverFrom.identity, slot.identity);
  return (isRecovered ? recoveredEnd : undefined) ?? { segment: 0, ordinal: 0, end: 0 };
}

/** Drops those of the oldest dead claims where there are too many: nobody will look at what they wrote. */
function bounded(fences: Fence[], quarantined: readonly Slot[]): Fence[] {
  let excessCount = fences.length - FENCES_MAX;
  if (excessCount <= 0) return fences;
  return fences.filter(({ identity }) => {
    const isDead = !quarantined.some((slot) => isSameClaim(slot.identity, identity));
    return !(isDead && excessCount-- > 0);
  });
}

/** The segments that fences name, as far as the device has them. */
export function segmentsOf(fences: readonly Fence[], segmentCount: number): Set<number> {
  const segments = fences.flatMap((fence) => fence.segments);
  return new Set(segments.filter((segment) => segment < segmentCount));
}
