/**
 * A claim from its first write on: the synchronous core, without clock and without I/O.
 *
 * It says what to write next and what a look at the ring means. The caller writes one block at a time,
 * tells when it is durable, reads the ring, and tells what it saw:
 *
 *     beginWrite -> (the block is durable) -> endWrite -> beginRead -> (the ring is read) -> endRead
 *
 * A write *counts* only when a read of the ring that was begun after it was durable showed no higher
 * claim: each writes its own flag and then looks at the others', so of two claimants at least one sees
 * the other. That holds for the lease, which runs from before the write, and for every segment that a
 * write adds to the reservation. A read may be on its way while the next block is written; it confirms
 * only what was durable when it was begun.
 *
 * Nothing more is written before the first look has shown that the claim still stands in its slot: a
 * second write would land after the settle time of whoever had drawn the same one.
 *
 * Entering: after its first write a claimant looks at the ring, where nobody arbitrates after a settle
 * time, to see that its claim still stands there. A lower claim that has written anything since the
 * watch may have renewed its lease without seeing us: that lease is waited out, and the ring read
 * again. What that last read shows is what recovery and the exclusion of reserved segments start from.
 */
import { assert } from '@dozo/base';
import { assessRing } from './assess.ts';
import type { RingClaim, Witness } from './assess.ts';
import { wallAheadMsMax } from './claim-settings.ts';
import type { ClaimSettings } from './claim-settings.ts';
import { compareIdentities, isSameClaim } from './identity.ts';
import type { Ring } from './ring.ts';
import type { Slot } from './slot.ts';
import { isUnmoved } from './watch.ts';

/** One moment on both clocks, in ms. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** A write of the slot and when it was begun. */
export interface SlotWrite {
  /** The slot's write counter. */
  readonly counter: number;
  readonly begun: Moment;
}

/** How far a claim has come on its way to serving. Times are monotonic. */
export type Entry =
  | { readonly kind: 'settling'; readonly untilMs: number }
  | { readonly kind: 'waiting'; readonly untilMs: number; readonly holder: Slot }
  | { readonly kind: 'entered'; readonly ring: Ring };

/** Why a claim is over although its process lives. */
export type TenureEnd =
  /** A higher claim stands on the ring. */
  | { readonly kind: 'fenced'; readonly by: Slot }
  /** The slot does not show what was written last: another claimant has written it, or nobody. */
  | { readonly kind: 'overwritten'; readonly by?: Slot }
  /** Slots of which neither block is readable: a higher claim may be in them. */
  | { readonly kind: 'blinded'; readonly lostSlots: readonly number[] };

/** The state of a claim: plain data, never changed in place. */
export interface Tenure {
  readonly slotIndex: number;
  readonly nextBlock: 0 | 1;
  /** What was last written, or is on its way. */
  readonly slot: Slot;
  readonly writing?: SlotWrite;
  /** The newest durable write. */
  readonly written?: SlotWrite;
  /** A look at the ring that is on its way: what it can confirm, and when it was begun. */
  readonly reading?: { readonly write: SlotWrite; readonly begunMs: number };
  /** The newest write that counts. */
  readonly confirmed?: SlotWrite;
  readonly entry: Entry;
  readonly end?: TenureEnd;
}

/** What a claim may change in its slot. */
export type SlotChange = Partial<
  Pick<Slot, 'state' | 'checkpoint' | 'logEnd' | 'failedFlush' | 'reservation' | 'account'>
>;

/** What the judgement of a look at the ring needs to know. */
export interface EntryRules {
  readonly slotCount: number;
  readonly witness: Witness;
  /** Who was seen before the claim, and how. */
  readonly sightings: readonly RingClaim[];
  /** See `watchMsOf`. */
  readonly watchMs: number;
}

/**
 * Begins a claim that has written nothing yet.
 *
 * @param slot what to write, with the write counter of whoever had the slot before.
 * @param settleUntilMs monotonic time of the earliest second look; 0 where somebody arbitrates.
 */
export function newTenure(of: {
  readonly slot: Slot;
  readonly slotIndex: number;
  readonly nextBlock: 0 | 1;
  readonly settleUntilMs: number;
}): Tenure {
  const { slot, slotIndex, nextBlock, settleUntilMs } = of;
  return { slot, slotIndex, nextBlock, entry: { kind: 'settling', untilMs: settleUntilMs } };
}

/** The next write of the slot: `slot` goes into block `nextBlock`. One at a time. */
export function beginWrite(tenure: Tenure, change: SlotChange, now: Moment): Tenure {
  assert(tenure.writing === undefined, 'two writes of one slot overlap');
  const counter = tenure.slot.writeCounter + 1;
  const slot = {
    ...tenure.slot,
    ...change,
    writeCounter: counter,
    beatCounter: tenure.slot.beatCounter + 1,
    lastWallMs: now.wallMs,
  };
  return { ...tenure, slot, writing: { counter, begun: now } };
}

/** The write has failed: what the block holds is unknown, and the next write goes there again. */
export function failWrite(tenure: Tenure): Tenure {
  const { writing, ...rest } = tenure;
  assert(writing !== undefined, 'no write of the slot is on its way');
  return rest;
}

/** The write is durable. */
export function endWrite(tenure: Tenure): Tenure {
  const { writing, ...rest } = tenure;
  assert(writing !== undefined, 'no write of the slot is on its way');
  return { ...rest, written: writing, nextBlock: tenure.nextBlock === 0 ? 1 : 0 };
}

/** A look at the ring begins. One at a time, and never before the first write is durable. */
export function beginRead(tenure: Tenure, begunMs: number): Tenure {
  assert(tenure.reading === undefined, 'two looks at the ring overlap');
  assert(tenure.written !== undefined, 'the ring is looked at before the claim stands there');
  return { ...tenure, reading: { write: tenure.written, begunMs } };
}

/** What the look showed. A claim that is over stays so. */
export function endRead(tenure: Tenure, ring: Ring, nowMs: number, rules: EntryRules): Tenure {
  const { reading, ...rest } = tenure;
  assert(reading !== undefined, 'no look at the ring is on its way');
  if (tenure.end !== undefined) return rest;
  const end = endOf(tenure, reading.write, ring);
  if (end !== undefined) return { ...rest, end };
  const entry = enter(tenure, ring, { begunMs: reading.begunMs, nowMs }, rules);
  return { ...rest, confirmed: reading.write, entry };
}

/** Whether the claim may write to its device at this moment. */
export function isInsideLease(tenure: Tenure, settings: ClaimSettings, now: Moment): boolean {
  if (tenure.confirmed === undefined || tenure.end !== undefined) return false;
  const { begun } = tenure.confirmed;
  const elapsedMs = now.monotonicMs - begun.monotonicMs;
  const wallAheadMs = now.wallMs - begun.wallMs - elapsedMs;
  return elapsedMs < settings.leaseMs && wallAheadMs <= wallAheadMsMax(settings);
}

function endOf({ slot, slotIndex }: Tenure, durable: SlotWrite, ring: Ring): TenureEnd | undefined {
  if (ring.lostSlots.length > 0) return { kind: 'blinded', lostSlots: ring.lostSlots };
  const own = ring.slots.find(({ index }) => index === slotIndex)?.slot;
  const isOurs = own !== undefined && isSameClaim(own.identity, slot.identity);
  // An older write of ours: the disk loses writes, or somebody else's landed on the newest. (With two
  // writes begun since, the look may have met both blocks on their way.)
  const isOlder =
    own !== undefined &&
    own.writeCounter < durable.counter &&
    slot.writeCounter <= durable.counter + 1;
  if (!isOurs || isOlder) {
    return { kind: 'overwritten', ...(own === undefined ? {} : { by: own }) };
  }
  let highest = slot;
  for (const { slot: other } of ring.slots) {
    if (other !== undefined && compareIdentities(other.identity, highest.identity) > 0) {
      highest = other;
    }
  }
  return highest === slot ? undefined : { kind: 'fenced', by: highest };
}

function enter(
  { entry, slot }: Tenure,
  ring: Ring,
  time: { readonly begunMs: number; readonly nowMs: number },
  rules: EntryRules,
): Entry {
  if (entry.kind === 'entered' || time.begunMs < entry.untilMs) return entry;
  if (entry.kind === 'settling') {
    const { leaseholders } = assessRing(ring, rules.slotCount, rules.witness, slot.identity);
    const moved = leaseholders.find((claim) => !isUnmoved(claim, rules.sightings));
    if (moved !== undefined) {
      return { kind: 'waiting', untilMs: time.nowMs + rules.watchMs, holder: moved.slot };
    }
  }
  return { kind: 'entered', ring };
}
