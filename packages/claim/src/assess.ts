/**
 * What a ring proves: which claims are dead, which may still hold a lease, whose reservations must not
 * be touched, and which slots may be written.
 *
 * A claim is dead when its own slot says so, when the kernel or a reboot proves it to the one who
 * looks, when a person said so, or when a higher claim has accounted for it: an account says that all
 * lower claims are dead but for those that it names. The account of the highest claim that wrote one
 * is the one that counts; claims above it are judged one by one.
 *
 * An account is written only after the leases of all lower claims were over, and their holders cannot
 * renew them past a higher claim. So only claims from the accountant on can hold a lease.
 *
 * A slot may be written again when its claim is dead, and neither recovery nor the account needs it.
 * Everything here is a pure function of a ring and of who looks at it.
 */
import type { LockIdentity } from '@dozo/base';
import { compareIdentities, isSameClaim } from './identity.ts';
import type { Ring, RingSlot } from './ring.ts';
import type { ClaimIdentity, DeathProof, Slot } from './slot.ts';

/** Who looks at a ring, and what it can know of other processes. */
export interface Witness {
  /** Empty where the kernel has none. */
  readonly bootId: string;
  readonly machineId?: string;
  /** The lock that it holds itself; `none` proves nothing about anybody. */
  readonly lockIdentity: LockIdentity;
  /** See `ClaimSettings`. */
  readonly isLocal: boolean;
  /** An operator's word; only of processes that had ended before the ring was read. */
  readonly deadByWord?: (slot: Slot) => boolean;
}

/** What a ring comes to. */
export interface Assessment {
  /** Claims that are not proved dead, highest first: their reservations must not be touched. */
  readonly unproven: readonly RingClaim[];
  /** Those of them whose lease may not be over, highest first. */
  readonly leaseholders: readonly RingClaim[];
  /** Deaths that the looker itself proves and no account has named, lowest first. */
  readonly deaths: readonly { readonly identity: ClaimIdentity; readonly proof: DeathProof }[];
  /** Indexes of slots that may be written: those never written, then those of dead claims, lowest first. */
  readonly reusable: readonly number[];
  readonly nextIncarnation: number;
  /** The newest claim with a checkpoint: recovery starts there. */
  readonly recoverFrom?: Slot;
}

/** A claim where it was found. */
export interface RingClaim {
  readonly index: number;
  readonly slot: Slot;
}

/** Judges a ring of `slotCount` slots. With `self`, only what is lower than that claim. */
export function assessRing(
  ring: Ring,
  slotCount: number,
  witness: Witness,
  self?: ClaimIdentity,
): Assessment {
  const claims = claimsOf(ring, self);
  const accountant = claims.find(({ slot }) => slot.account !== undefined);
  const recovery = claims.find(({ slot }) => slot.checkpoint !== undefined);
  const unproven: RingClaim[] = [];
  const deaths: { identity: ClaimIdentity; proof: DeathProof }[] = [];
  const freed: number[] = [];
  for (const claim of claims) {
    const { slot, index } = claim;
    if (!isAccountedDead(slot, accountant?.slot)) {
      const proof = proofOf(slot, witness);
      if (proof === undefined) {
        unproven.push(claim);
        continue;
      }
      deaths.push({ identity: slot.identity, proof });
    }
    if (claim !== accountant && claim !== recovery) freed.push(index);
  }
  const leaseholders = unproven.filter(
    ({ slot }) =>
      accountant === undefined || compareIdentities(slot.identity, accountant.slot.identity) >= 0,
  );
  const highest = claims[0]?.slot.identity.incarnation ?? 0;
  return {
    unproven,
    leaseholders,
    deaths: deaths.reverse(),
    reusable: [...neverWritten(ring, slotCount), ...freed.reverse()],
    nextIncarnation: highest + 1,
    ...(recovery === undefined ? {} : { recoverFrom: recovery.slot }),
  };
}

/** How the looker knows that a claim is dead; `undefined` when it does not. */
export function proofOf(slot: Slot, witness: Witness): DeathProof | undefined {
  const { holder, lockIdentity } = slot;
  if (slot.state === 'released' || slot.state === 'stopped') return slot.state;
  if (holder.bootId !== '' && witness.bootId !== '') {
    const isSameBoot = holder.bootId === witness.bootId;
    if (isSameBoot && isSameLock(lockIdentity, witness.lockIdentity)) return 'kernel';
    const isSameMachine = holder.machineId !== undefined && holder.machineId === witness.machineId;
    if (witness.isLocal && isSameMachine && !isSameBoot) return 'rebooted';
  }
  return witness.deadByWord?.(slot) === true ? 'operator' : undefined;
}

/** A lock that was really taken proves that nobody else on this machine has it any more. */
function isSameLock(left: LockIdentity, right: LockIdentity): boolean {
  return left.kind !== 'none' && left.kind === right.kind && left.name === right.name;
}

function claimsOf(ring: Ring, self: ClaimIdentity | undefined): RingClaim[] {
  const claims: RingClaim[] = [];
  for (const { index, slot } of ring.slots) {
    if (slot === undefined) continue;
    if (self === undefined || compareIdentities(slot.identity, self) < 0) {
      claims.push({ index, slot });
    }
  }
  return claims.sort((left, right) => compareIdentities(right.slot.identity, left.slot.identity));
}

function isAccountedDead(slot: Slot, accountant: Slot | undefined): boolean {
  if (accountant?.account === undefined) return false;
  if (compareIdentities(slot.identity, accountant.identity) >= 0) return false;
  return !accountant.account.quarantined.some((identity) => isSameClaim(identity, slot.identity));
}

/** A slot with a damaged block counts as written: somebody may be writing it just now. */
function neverWritten(ring: Ring, slotCount: number): number[] {
  const written = new Set(ring.slots.map(({ index }: RingSlot) => index));
  const indexes: number[] = [];
  for (let index = 0; index < slotCount; index++) if (!written.has(index)) indexes.push(index);
  return indexes;
}
