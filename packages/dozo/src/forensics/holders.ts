/**
 * The timeline of holders: one row for each claim that is still remembered, oldest first. Pure.
 *
 * A claim is remembered by its slot in the ring, or, after the slot has been used again, by a fence or a
 * note in the newest manifest. The order is that of the claims themselves, never that of clocks.
 *
 * How a death is known, in this order: the claim's own slot; a proof that a later claim wrote into its
 * account, or that a note kept; the account of the highest claim that wrote one, which says that all
 * lower ones are dead but for those that it names.
 */
import type { LockIdentity } from '@dozo/base';
import { compareIdentities, isSameClaim } from '@dozo/claim';
import type { ClaimIdentity, ClaimState, FailedFlush, Holder, Slot } from '@dozo/claim';
import type { Fence, FencedClaim, ZombieFindings, ZombieNote } from '@dozo/engine';

import type { Evidence } from './evidence.ts';

/** What became of a holder. */
export type HolderEnd =
  /** It holds the device, or held it last: nobody has come after it. */
  | { readonly kind: 'newest' }
  /** It gave the claim back. */
  | { readonly kind: 'released' }
  /** It saw that a higher claim stood there, and stopped. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'dead'; readonly proof: ZombieNote['proof']; readonly by?: ClaimIdentity }
  /** It was passed over, and its process may live. */
  | { readonly kind: 'unproven' };

/** What a claim wrote past its fence, where nobody reads. */
export interface LateWrites extends ZombieFindings {
  /** Looked at just now, or when its quarantine was released. */
  readonly source: 'scan' | 'note';
}

/** Which process it was. Of claims whose slot has been used again only the required fields are known. */
export type KnownHolder = Pick<Holder, 'host' | 'processId'> & Partial<Holder>;

/** One claim. Times are in ms of the wall clock of its own machine. */
export interface HolderRow {
  readonly identity: ClaimIdentity;
  readonly holder: KnownHolder;
  readonly lock?: LockIdentity;
  /** Absent when the slot has been used again. */
  readonly state?: ClaimState;
  readonly beatCount?: number;
  readonly sinceWallMs: number;
  readonly lastBeatWallMs?: number;
  /** It got as far as serving, and not only to the wish. */
  readonly hasHeld: boolean;
  /** Its slot was written while we looked. */
  readonly isMoving: boolean;
  readonly end: HolderEnd;
  /** Who fenced it, and when by that one's clock. */
  readonly fence?: { readonly by: ClaimIdentity; readonly wallMs: number };
  readonly late?: LateWrites;
  readonly failedFlush?: FailedFlush;
  /** Segments that it may still write: they are kept apart for it. */
  readonly quarantined: readonly number[];
  /** The segments that its slot reserves. */
  readonly reservation: readonly number[];
}

/** All rows, oldest claim first. */
export function holderRows(evidence: Evidence): readonly HolderRow[] {
  const slots = slotsOf(evidence);
  const { fences = [], notes = [] } = evidence.device?.history ?? {};
  const rows = slots.map((slot) => rowOfSlot(slot, slots, evidence));
  for (const fenced of [...fences, ...notes]) {
    const isThere = rows.some(({ identity }) => isSameClaim(identity, fenced.identity));
    if (!isThere) rows.push(rowOfFencedClaim(fenced, slots, evidence));
  }
  return rows.sort((left, right) => compareIdentities(left.identity, right.identity));
}

/** The last sign of life of a claim, by the clock of its machine: a beat, or a write past its fence. */
export function lastSignWallMs(row: HolderRow): number {
  const lateMs = row.late === undefined || row.late.groupCount === 0 ? 0 : row.late.lastWallMs;
  return Math.max(row.sinceWallMs, row.lastBeatWallMs ?? 0, lateMs);
}

function slotsOf({ ring }: Evidence): readonly Slot[] {
  return ring.slots
    .flatMap(({ slot }) => (slot === undefined ? [] : [slot]))
    .sort((left, right) => compareIdentities(left.identity, right.identity));
}

function rowOfSlot(slot: Slot, slots: readonly Slot[], evidence: Evidence): HolderRow {
  const { identity, holder, state, beatCounter, sinceWallMs, lastWallMs } = slot;
  const end = endOfSlot(slot, slots, evidence);
  const fence = fenceOf(identity, evidence);
  const isKept = end.kind === 'unproven' || fence !== undefined;
  return {
    identity,
    holder,
    lock: slot.lockIdentity,
    state,
    beatCount: beatCounter,
    sinceWallMs,
    lastBeatWallMs: lastWallMs,
    hasHeld: state === 'held' || slot.checkpoint !== undefined || slot.account !== undefined,
    isMoving: evidence.moving.some((moving) => isSameClaim(moving.identity, identity)),
    end,
    ...fenceAndLate(identity, evidence),
    ...(slot.failedFlush === undefined ? {} : { failedFlush: slot.failedFlush }),
    quarantined: isKept ? (fence?.segments ?? slot.reservation) : [],
    reservation: slot.reservation,
  };
}

function rowOfFencedClaim(
  fenced: FencedClaim,
  slots: readonly Slot[],
  evidence: Evidence,
): HolderRow {
  const { identity, host, podName, processId, sinceWallMs } = fenced;
  return {
    identity,
    holder: { host, processId, ...(podName === '' ? {} : { podName }) },
    sinceWallMs,
    // Only one that had reserved segments is fenced.
    hasHeld: true,
    isMoving: false,
    end: endByOthers(identity, slots, evidence) ?? { kind: 'unproven' },
    ...fenceAndLate(identity, evidence),
    quarantined: fenceOf(identity, evidence)?.segments ?? [],
    reservation: [],
  };
}

function endOfSlot(slot: Slot, slots: readonly Slot[], evidence: Evidence): HolderEnd {
  if (slot.state === 'released' || slot.state === 'stopped') return { kind: slot.state };
  const isNewest = slots.at(-1) === slot;
  if (isNewest) return { kind: 'newest' };
  return endByOthers(slot.identity, slots, evidence) ?? { kind: 'unproven' };
}

/** What the other claims say of this one. */
function endByOthers(
  identity: ClaimIdentity,
  slots: readonly Slot[],
  evidence: Evidence,
): HolderEnd | undefined {
  for (const slot of slots) {
    const death = slot.account?.deaths.find((other) => isSameClaim(other.identity, identity));
    if (death !== undefined) return { kind: 'dead', proof: death.proof, by: slot.identity };
  }
  const note = noteOf(identity, evidence);
  if (note !== undefined) return { kind: 'dead', proof: note.proof };
  const accountant = slots.findLast(({ account }) => account !== undefined);
  if (accountant?.account === undefined) return undefined;
  if (compareIdentities(identity, accountant.identity) >= 0) return undefined;
  const isNamed = accountant.account.quarantined.some((other) => isSameClaim(other, identity));
  return isNamed ? undefined : { kind: 'dead', proof: 'unknown', by: accountant.identity };
}

function fenceAndLate(
  identity: ClaimIdentity,
  evidence: Evidence,
): Pick<HolderRow, 'fence' | 'late'> {
  const fenced = noteOf(identity, evidence) ?? fenceOf(identity, evidence);
  const late = lateWritesOf(identity, evidence);
  return {
    ...(fenced === undefined ? {} : { fence: { by: fenced.by, wallMs: fenced.fencedWallMs } }),
    ...(late === undefined ? {} : { late }),
  };
}

function lateWritesOf(identity: ClaimIdentity, evidence: Evidence): LateWrites | undefined {
  const scanned = evidence.device?.scanned.find((other) => isSameClaim(other.identity, identity));
  if (scanned !== undefined) return { source: 'scan', ...scanned.findings };
  const note = noteOf(identity, evidence);
  if (note === undefined) return undefined;
  const { groupCount, recordCount, bytes, firstWallMs, lastWallMs, keys } = note;
  return { source: 'note', groupCount, recordCount, bytes, firstWallMs, lastWallMs, keys };
}

function fenceOf(identity: ClaimIdentity, { device }: Evidence): Fence | undefined {
  return device?.history?.fences.find((fence) => isSameClaim(fence.identity, identity));
}

function noteOf(identity: ClaimIdentity, { device }: Evidence): ZombieNote | undefined {
  return device?.history?.notes.find((note) => isSameClaim(note.identity, identity));
}
