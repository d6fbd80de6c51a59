/**
 * When a claimant that lost before it was ever confirmed may say `stopped` in its slot.
 *
 * A slot of a claim that counts as dead may be taken by anybody, and a late `stopped` would then hide a
 * living claim. A claim that was confirmed once is safe: every higher one has seen it, and names it
 * until its slot says `stopped`. One that was not may have landed behind the back of a higher
 * claimant, whose account then calls it dead. It is safe only if the highest claim names it, no other
 * account leaves it out, and the highest claim is still the same on a second look: whoever comes later
 * reads that account, sees the slot, and goes on naming it. (That a claimant which meets a new lower
 * claim looks again before it enters makes less enough; this needs no such argument.)
 */
import { compareIdentities, isSameClaim } from './identity.ts';
import type { Ring } from './ring.ts';
import type { ClaimIdentity, Slot } from './slot.ts';

/** What the claims above ours say of it. */
export interface Naming {
  /**
   * `named`: the highest has an account, and every account above ours names us. `unknown`: the highest
   * has not written one yet.
   */
  readonly verdict: 'named' | 'not-named' | 'unknown';
  readonly highest: ClaimIdentity;
}

/** Looks up what the claims above `identity` say of it. */
export function namingOf(ring: Ring, identity: ClaimIdentity): Naming {
  const higher = ring.slots
    .flatMap(({ slot }) => (slot === undefined ? [] : [slot]))
    .filter((slot) => compareIdentities(slot.identity, identity) > 0)
    .sort((left, right) => compareIdentities(right.identity, left.identity));
  const highest = higher[0];
  if (highest === undefined) return { verdict: 'unknown', highest: identity };
  const leavesUsOut = (slot: Slot): boolean =>
    slot.account?.quarantined.some((other) => isSameClaim(other, identity)) === false;
  if (higher.some(leavesUsOut)) return { verdict: 'not-named', highest: highest.identity };
  const isTold = highest.account !== undefined && ring.lostSlots.length === 0;
  return { verdict: isTold ? 'named' : 'unknown', highest: highest.identity };
}

/** Whether two looks, the second begun after the first had ended, make `stopped` safe to write. */
export function mayStop(earlier: Naming | undefined, later: Naming): boolean {
  return (
    earlier?.verdict === 'named' &&
    later.verdict === 'named' &&
    isSameClaim(earlier.highest, later.highest)
  );
}
