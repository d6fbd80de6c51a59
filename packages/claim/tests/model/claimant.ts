/**
 * One claimant of the model as a state machine whose step is a read or a write of one block, of the
 * ring or of a segment. What a ring means and what to write next is asked of the product's own code:
 * `ringSlotOf`, `ringOf`, `assessRing`, the functions of `tenure.ts`, `namingOf` and `mayStop`.
 *
 * There is no clock: a claimant may claim at any time, and every lease may be over at any time. So
 * layer L4 stands alone here. A write of a block is two steps: it becomes unreadable, and then it holds
 * the new content. A claimant that never moves again in between is a torn write.
 */
import { assert } from '@dozo/base';
import { assessRing, proofOf } from '../../src/assess.ts';
import type { RingClaim, Witness } from '../../src/assess.ts';
import { isSameClaim } from '../../src/identity.ts';
import { isDoubtful, ringOf, ringSlotOf } from '../../src/ring.ts';
import type { Ring, RingSlot } from '../../src/ring.ts';
import type { Slot, SlotBlock } from '../../src/slot.ts';
import { mayStop, namingOf } from '../../src/stopping.ts';
import type { Naming } from '../../src/stopping.ts';
import { beginRead, beginWrite, endRead, endWrite, newTenure } from '../../src/tenure.ts';
import type { SlotChange, Tenure } from '../../src/tenure.ts';
import { contentAfter, logAfter, segmentsToFollow, unusedSegments } from './deeds.ts';
import { follow, nameOf } from './log.ts';
import type { Content, Log } from './log.ts';
import type { ModelConfig } from './model-config.ts';

/** Where a claimant stands. `gone`: it will never write again, and has said so if it may. */
export type Phase = 'survey' | 'write' | 'look' | 'deed' | 'naming' | 'gone';

/** A claimant between two steps: plain data, never changed in place. */
export interface Claimant {
  readonly number: number;
  readonly phase: Phase;
  /** Numbers of the blocks that the ring read under way has met. */
  readonly reads: readonly number[];
  /** Bits of the claimants that it knew to be dead when the read of the ring began. */
  readonly knownDead: number;
  /** The second try of a ring read that met an unreadable slot. */
  readonly isRetry: boolean;
  readonly sightings: readonly RingClaim[];
  /** What the survey saw in the slot that was chosen. */
  readonly seen: readonly number[];
  readonly tenure?: Tenure;
  /** What the next write of the slot changes. */
  readonly change: SlotChange;
  readonly earlier?: Naming;
  readonly log?: Log;
  /** How many deeds are done. */
  readonly deedIndex: number;
  /** Steps of the deed that are done. */
  readonly deedStep: number;
  readonly hasEntered: boolean;
  /** Why it is gone. */
  readonly reason?: 'stopped' | 'overwritten' | 'blinded' | 'full' | 'corrupt' | 'unnamed';
}

/** What a claimant does next. */
export type Step =
  | { readonly kind: 'read'; readonly block: number }
  | { readonly kind: 'begin'; readonly block: number }
  | { readonly kind: 'end'; readonly block: number; readonly slot: Slot }
  | { readonly kind: 'recover'; readonly segment: number }
  | { readonly kind: 'fill'; readonly segment: number; readonly content: Content }
  | { readonly kind: 'think' }
  | { readonly kind: 'rest' };

/** What a step needs to know besides the claimant. */
export interface Surroundings {
  readonly config: ModelConfig;
  readonly blockOf: (number: number) => SlotBlock;
  /** For `recover`. */
  readonly content?: Content | undefined;
  /** For `read`: the number of the block. */
  readonly blockNumber: number;
  /** Bits of the claimants that were killed, which everybody may know. */
  readonly killed: number;
}

const NOW = { monotonicMs: 0, wallMs: 0 };
const DEVICE_ID = new Uint8Array(16);
const HOLDER = { host: '', bootId: '', processId: 1, softwareVersion: '' };
const NO_LOCK = { kind: 'none', name: '' } as const;

/** A claimant that has not looked at the ring yet. */
export function newClaimant(number: number): Claimant {
  return {
    number,
    phase: 'survey',
    reads: [],
    knownDead: 0,
    isRetry: false,
    sightings: [],
    seen: [],
    change: {},
    deedIndex: 0,
    deedStep: 0,
    hasEntered: false,
  };
}

/** What it does next. */
export function stepOf(claimant: Claimant, config: ModelConfig): Step {
  const { phase, reads, tenure } = claimant;
  if (phase === 'gone') return { kind: 'rest' };
  if (phase === 'survey' || phase === 'look' || phase === 'naming') {
    return { kind: 'read', block: reads.length };
  }
  if (phase === 'write') {
    assert(tenure !== undefined, 'a claimant that writes has a claim');
    const block = 2 * tenure.slotIndex + tenure.nextBlock;
    return tenure.writing === undefined
      ? { kind: 'begin', block }
      : { kind: 'end', block, slot: tenure.slot };
  }
  const deed = config.deeds[claimant.deedIndex];
  if (deed === undefined) return { kind: 'rest' };
  if (deed === 'recover') {
    const segment = segmentsToFollow(logOf(claimant))[claimant.deedStep];
    return segment === undefined ? { kind: 'think' } : { kind: 'recover', segment };
  }
  const filled = contentAfter(logOf(claimant), nameOf(tenureOf(claimant).slot.identity), deed);
  return filled === undefined ? { kind: 'think' } : { kind: 'fill', ...filled };
}

/** Every state that the next step may leave it in. */
export function after(claimant: Claimant, step: Step, around: Surroundings): readonly Claimant[] {
  switch (step.kind) {
    case 'read':
      return afterRead(claimant, around);
    case 'begin':
      return [
        { ...claimant, tenure: beginWrite(tenureOf(claimant), claimant.change, NOW), change: {} },
      ];
    case 'end':
      return afterWrite(claimant, around);
    case 'recover': {
      const log = follow(logOf(claimant), step.segment, around.content);
      if (log.parts === undefined) return [gone(claimant, 'corrupt')];
      return [{ ...claimant, log, deedStep: claimant.deedStep + 1 }];
    }
    case 'fill':
      return [done({ ...claimant, log: logAfter(logOf(claimant), step) })];
    case 'think':
      return think(claimant, around);
    case 'rest':
      return [];
  }
}

/** Whether it may write its slot at any time from now on, and nobody else must. */
export function ownsSlot({ phase, tenure, hasEntered, change }: Claimant): boolean {
  if (phase === 'gone' || tenure === undefined) return false;
  const isStopping = change.state === 'stopped' || tenure.slot.state === 'stopped';
  return hasEntered || tenure.confirmed !== undefined || isStopping;
}

/** Whether its first write has not landed yet. */
export function hasNotLanded({ phase, tenure }: Claimant): boolean {
  return phase === 'write' && tenure !== undefined && tenure.written === undefined;
}

function afterRead(claimant: Claimant, around: Surroundings): readonly Claimant[] {
  const { config } = around;
  const reads = [...claimant.reads, around.blockNumber];
  // What the slot of a process said that died later may be older than what it did.
  const knownDead = reads.length === 1 ? around.killed : claimant.knownDead;
  if (reads.length < 2 * config.slotCount) return [{ ...claimant, reads, knownDead }];
  const ring = ringFrom(reads, around);
  const isOnce = config.without === 'damaged blocks looked at once';
  if (!claimant.isRetry && !isOnce && ring.slots.some(isDoubtful)) {
    return [{ ...claimant, reads: [], isRetry: true }];
  }
  const complete = { ...claimant, reads: [], isRetry: false };
  if (claimant.phase === 'survey') return choose(complete, ring, reads, around);
  if (claimant.phase === 'naming') return judgeNaming(complete, ring, around);
  return look(complete, ring, around);
}

function ringFrom(reads: readonly number[], { config, blockOf }: Surroundings): Ring {
  const slots: RingSlot[] = [];
  for (let index = 0; index < config.slotCount; index++) {
    const first = blockOf(reads[2 * index] as number);
    const second = blockOf(reads[2 * index + 1] as number);
    const slot = ringSlotOf(index, first, second);
    if (slot !== undefined) slots.push(slot);
  }
  return ringOf(slots);
}

function witnessOf({ knownDead: killed }: Claimant): Witness {
  const deadByWord = ({ identity }: Slot): boolean => {
    const number = identity.nonce[0] as number;
    return number > 0 && (killed & (1 << (number - 1))) !== 0;
  };
  return { bootId: '', lockIdentity: NO_LOCK, isLocal: false, deadByWord };
}

/** As `acquire.ts` does it, but that every reusable slot is tried. */
function choose(
  claimant: Claimant,
  ring: Ring,
  reads: readonly number[],
  around: Surroundings,
): readonly Claimant[] {
  if (ring.lostSlots.length > 0) return [gone(claimant, 'blinded')];
  const { config } = around;
  const assessment = assessRing(ring, config.slotCount, witnessOf(claimant));
  const isAny = config.without === 'slots of the living reused';
  let indexes = isAny ? Array.from({ length: config.slotCount }, (_, i) => i) : assessment.reusable;
  if (config.draw === 'own') indexes = indexes.filter((index) => index === claimant.number);
  if (indexes.length === 0) return [gone(claimant, 'full')];
  const identity = {
    incarnation: assessment.nextIncarnation,
    nonce: new Uint8Array(16).fill(claimant.number + 1),
  };
  return indexes.map((slotIndex) => {
    const before = ring.slots.find(({ index }) => index === slotIndex);
    const slot = newSlot(identity, before?.slot?.writeCounter ?? 0);
    const isSingle = config.without === 'one block in a slot';
    const nextBlock = !isSingle && before?.validBlock === 0 ? 1 : 0;
    const tenure = newTenure({ slot, slotIndex, nextBlock, settleUntilMs: 0 });
    const seen = reads.slice(2 * slotIndex, 2 * slotIndex + 2);
    return {
      ...claimant,
      phase: 'write',
      tenure,
      seen,
      sightings: assessment.leaseholders,
    };
  });
}

/** The slot of a claim before it is written. */
export function newSlot(identity: Slot['identity'], writeCounter: number): Slot {
  return {
    deviceId: DEVICE_ID,
    identity,
    writeCounter,
    state: 'claiming',
    holder: HOLDER,
    lockIdentity: NO_LOCK,
    beatCounter: 0,
    beatIntervalMs: 1000,
    sinceWallMs: 0,
    lastWallMs: 0,
    reservation: [],
  };
}

function afterWrite(claimant: Claimant, around: Surroundings): readonly Claimant[] {
  const { without } = around.config;
  const isFirst = tenureOf(claimant).written === undefined;
  const written = endWrite(tenureOf(claimant));
  const tenure =
    without === 'one block in a slot' ? { ...written, nextBlock: 0 as const } : written;
  if (tenure.slot.state === 'stopped') return [gone({ ...claimant, tenure }, 'stopped')];
  if (!claimant.hasEntered) {
    if (without === 'no look after the claim')
      return [blindlyEntered({ ...claimant, tenure }, around)];
    const looking: Claimant = { ...claimant, phase: 'look', tenure: beginRead(tenure, 0) };
    const beats = isFirst && without === 'beats before the first look';
    return beats ? [looking, { ...claimant, phase: 'write', tenure }] : [looking];
  }
  const deed = around.config.deeds[claimant.deedIndex];
  const told = accountIsTold({ ...claimant, tenure });
  if (deed === 'reserve') {
    if (without === 'no look after a reservation') return [reserved(told)];
    return [{ ...told, phase: 'look', tenure: beginRead(tenure, 0) }];
  }
  return [done({ ...told, phase: 'deed' })];
}

/** Who is not named in the account that is durable now need not be kept apart any more. */
function accountIsTold(claimant: Claimant): Claimant {
  const log = logOf(claimant);
  const { account } = tenureOf(claimant).slot;
  const isNamed = ({ identity }: Slot): boolean =>
    account?.quarantined.some((other) => isSameClaim(other, identity)) !== false;
  return {
    ...claimant,
    log: { ...log, quarantined: log.quarantined.filter(isNamed), forgiven: [] },
  };
}

/** For the model without the look: enters on what the survey saw, of which only sightings are left. */
function blindlyEntered(claimant: Claimant, around: Surroundings): Claimant {
  const { tenure, sightings } = claimant;
  const slots = sightings.map(({ index, slot }): RingSlot => {
    return { index, slot, validBlock: 0, blocks: ['valid', 'valid'] };
  });
  assert(tenure !== undefined, 'the claim was written');
  return entered({ ...claimant, tenure }, ringOf(slots), around);
}

function look(claimant: Claimant, ring: Ring, around: Surroundings): readonly Claimant[] {
  const { config } = around;
  const { sightings } = claimant;
  const rules = {
    slotCount: config.slotCount,
    witness: witnessOf(claimant),
    sightings,
    watchMs: 0,
  };
  const tenure = endRead(tenureOf(claimant), ring, 0, rules);
  const { end, entry } = tenure;
  const next = { ...claimant, tenure };
  if (end !== undefined) return lose(next, around);
  if (claimant.hasEntered) return [reserved(noticeDeaths(next, ring))];
  if (entry.kind !== 'entered') return [{ ...next, tenure: beginRead(tenure, 0) }];
  return [entered(next, entry.ring, around)];
}

/** As `Claim.settle` does it. */
function entered(claimant: Claimant, ring: Ring, around: Surroundings): Claimant {
  const { config } = around;
  const tenure = tenureOf(claimant);
  const assessment = assessRing(ring, config.slotCount, witnessOf(claimant), tenure.slot.identity);
  const log: Log = {
    quarantined: assessment.unproven.map(({ slot }) => slot),
    forgiven: [],
    ...(assessment.recoverFrom === undefined
      ? { parts: [] }
      : { recoverFrom: assessment.recoverFrom }),
    nextOrdinal: 1,
    manifestAt: 0,
    usable: [],
  };
  // The ring has been judged; to keep it would only tell states apart that act the same.
  const forgotten: Tenure = { ...tenure, entry: { kind: 'entered', ring: ringOf([]) } };
  return {
    ...claimant,
    phase: 'deed',
    tenure: forgotten,
    sightings: [],
    seen: [],
    log,
    hasEntered: true,
  };
}

/** As `acquire.ts` and the engine do it: who was confirmed says `stopped`; others only if named. */
function lose(claimant: Claimant, { config }: Surroundings): readonly Claimant[] {
  const { end, confirmed } = tenureOf(claimant);
  if (end?.kind === 'overwritten') return [gone(claimant, 'overwritten')];
  if (end?.kind === 'blinded') return [gone(claimant, 'blinded')];
  const isSafe = confirmed !== undefined || config.without === 'every loser says stopped';
  if (isSafe) return [stopping(claimant, config)];
  return [{ ...claimant, phase: 'naming' }];
}

function judgeNaming(
  claimant: Claimant,
  ring: Ring,
  { config }: Surroundings,
): readonly Claimant[] {
  const { earlier } = claimant;
  const naming = namingOf(ring, tenureOf(claimant).slot.identity);
  if (naming.verdict !== 'named') return [gone(claimant, 'unnamed')];
  if (earlier === undefined) return [{ ...claimant, earlier: naming }];
  return [mayStop(earlier, naming) ? stopping(claimant, config) : gone(claimant, 'unnamed')];
}

/** Nothing is written any more when it begins to say so. */
function stopping(claimant: Claimant, { without }: ModelConfig): Claimant {
  const { log } = claimant;
  const isQuiet = log !== undefined && without !== 'stopped while still writing';
  return {
    ...claimant,
    ...(isQuiet ? { log: { ...log, usable: [] } } : {}),
    phase: 'write',
    change: { state: 'stopped' },
  };
}

/** As `Claim` and the engine do it: who has stopped is forgiven with the next write of the slot. */
function noticeDeaths(claimant: Claimant, ring: Ring): Claimant {
  const log = logOf(claimant);
  const witness = witnessOf(claimant);
  const isDead = (known: Slot): boolean =>
    ring.slots.some(
      ({ slot }) =>
        slot !== undefined &&
        isSameClaim(slot.identity, known.identity) &&
        proofOf(slot, witness) !== undefined,
    );
  const forgiven = log.quarantined.filter(isDead).map(({ identity }) => nameOf(identity));
  return { ...claimant, log: { ...log, forgiven } };
}

function think(claimant: Claimant, { config }: Surroundings): readonly Claimant[] {
  const deed = config.deeds[claimant.deedIndex];
  if (deed === 'reserve') return reserve(claimant, config);
  if (deed === 'point') return [point(claimant)];
  // Nothing is left to recover, or there is nothing to drop.
  return [done(claimant)];
}

/** Every segment is tried that is neither needed nor kept apart. A full disk is the end of its deeds. */
function reserve(claimant: Claimant, config: ModelConfig): readonly Claimant[] {
  const log = logOf(claimant);
  const { reservation } = tenureOf(claimant).slot;
  const apart = config.without === 'predecessors not excluded' ? [] : log.quarantined;
  const taken = new Set([...reservation, ...apart.flatMap((slot) => slot.reservation)]);
  const free = unusedSegments(log, config.segmentCount).filter((segment) => !taken.has(segment));
  if (free.length === 0) return [{ ...claimant, deedIndex: config.deeds.length }];
  return free.map((segment) => ({
    ...claimant,
    phase: 'write',
    change: { reservation: [...reservation, segment], ...accountOf(claimant) },
  }));
}

function point(claimant: Claimant): Claimant {
  const log = logOf(claimant);
  const { open, manifestAt: groupOffset, parts = [] } = log;
  assert(open !== undefined, 'a manifest is there');
  const { segment, content } = open;
  const isClosed = (other: number): boolean =>
    parts.some((part) => part.segment === other && part.owner === content.owner);
  const reservation = tenureOf(claimant).slot.reservation.filter((other) => !isClosed(other));
  const checkpoint = { segment, segmentOrdinal: content.ordinal, groupOffset };
  const usable = log.usable.filter((other) => !isClosed(other));
  const change = { state: 'held', checkpoint, reservation, ...accountOf(claimant) } as const;
  return { ...claimant, phase: 'write', log: { ...log, usable }, change };
}

function accountOf(claimant: Claimant): SlotChange {
  const { quarantined, forgiven } = logOf(claimant);
  if (tenureOf(claimant).slot.account !== undefined && forgiven.length === 0) return {};
  const left = quarantined.filter(({ identity }) => !forgiven.includes(nameOf(identity)));
  return { account: { quarantined: left.map(({ identity }) => identity), deaths: [] } };
}

/** The reservation counts. */
function reserved(claimant: Claimant): Claimant {
  const usable = tenureOf(claimant).slot.reservation;
  return done({ ...claimant, log: { ...logOf(claimant), usable } });
}

function done(claimant: Claimant): Claimant {
  return { ...claimant, phase: 'deed', deedIndex: claimant.deedIndex + 1, deedStep: 0 };
}

function gone(claimant: Claimant, reason: NonNullable<Claimant['reason']>): Claimant {
  const { log, ...rest } = claimant;
  const quiet =
    log === undefined ? {} : { log: reason === 'stopped' ? log : { ...log, usable: [] } };
  return { ...rest, ...quiet, phase: 'gone', reason };
}

function tenureOf({ tenure }: Claimant): Tenure {
  assert(tenure !== undefined, 'the claimant has a claim');
  return tenure;
}

function logOf({ log }: Claimant): Log {
  assert(log !== undefined, 'the claimant has entered');
  return log;
}
