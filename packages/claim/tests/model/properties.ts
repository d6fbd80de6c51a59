/** What must hold in every state of the model. */
import { assessRing } from '../../src/assess.ts';
import { compareIdentities } from '../../src/identity.ts';
import { ringOf, ringSlotOf } from '../../src/ring.ts';
import type { RingSlot } from '../../src/ring.ts';
import type { Slot, SlotBlock } from '../../src/slot.ts';
import { hasNotLanded, ownsSlot } from './claimant.ts';
import type { Claimant } from './claimant.ts';
import { isIntact, nameOf, partsAt } from './log.ts';
import type { Content } from './log.ts';
import type { ModelConfig } from './model-config.ts';

/** A state as the properties look at it. */
export interface Scene {
  readonly config: ModelConfig;
  readonly block: (row: Int32Array, index: number) => SlotBlock;
  readonly content: (row: Int32Array, segment: number) => Content | undefined;
  readonly claimant: (row: Int32Array, number: number) => Claimant;
  /** Bits of the claimants that were killed. */
  readonly killed: (row: Int32Array) => number;
  /** See {@link reusableSlots}. */
  readonly reusable: (row: Int32Array) => number;
}

/** The rule that a state breaks. */
export function breachOf(scene: Scene, row: Int32Array): string | undefined {
  return sharedSegment(scene, row) ?? sharedSlot(scene, row) ?? lostData(scene, row);
}

/** The rule that a step breaks: who is visible to a new reader is never a lower claim than before. */
export function breachBetween(scene: Scene, from: Int32Array, to: Int32Array): string | undefined {
  const [before, now] = [visible(scene, from), visible(scene, to)];
  if (before === undefined) return undefined;
  if (now !== undefined && compareIdentities(now.identity, before.identity) >= 0) return undefined;
  return `the visible writer was ${nameOf(before.identity)} and is a lower claim again`;
}

/** No segment may be written by two that can still write. */
function sharedSegment(scene: Scene, row: Int32Array): string | undefined {
  let taken = 0;
  for (const claimant of living(scene, row)) {
    for (const segment of claimant.log?.usable ?? []) {
      if ((taken & (1 << segment)) !== 0) return `segment ${segment} is in use by two claims`;
      taken |= 1 << segment;
    }
  }
  return undefined;
}

/** A slot whose owner may still write it is nobody else's. */
function sharedSlot(scene: Scene, row: Int32Array): string | undefined {
  let owned = 0;
  let wanted = 0;
  for (const claimant of living(scene, row)) {
    const { tenure } = claimant;
    if (tenure === undefined) continue;
    const bit = 1 << tenure.slotIndex;
    const isOwner = ownsSlot(claimant);
    if (!isOwner && !hasNotLanded(claimant)) continue;
    if ((owned & bit) !== 0 || (isOwner && (wanted & bit) !== 0)) {
      return `slot ${tenure.slotIndex} is written by two claims`;
    }
    if (isOwner) owned |= bit;
    else wanted |= bit;
  }
  const offered = owned === 0 ? 0 : owned & scene.reusable(row);
  return offered === 0
    ? undefined
    : `a slot (bits ${offered}) is offered to others before its owner is done`;
}

/** Bits of the slots that somebody who reads the ring at one moment, and knows no more, may write. */
export function reusableSlots(config: ModelConfig, block: (index: number) => SlotBlock): number {
  const slots: RingSlot[] = [];
  for (let index = 0; index < config.slotCount; index++) {
    const slot = ringSlotOf(index, block(2 * index), block(2 * index + 1));
    if (slot !== undefined) slots.push(slot);
  }
  const witness = { bootId: '', lockIdentity: { kind: 'none', name: '' }, isLocal: false } as const;
  const { reusable } = assessRing(ringOf(slots), config.slotCount, witness);
  return reusable.reduce((bits, index) => bits | (1 << index), 0);
}

/** What a new reader would recover is there, and what the newest holder needs. */
function lostData(scene: Scene, row: Int32Array): string | undefined {
  const slot = visible(scene, row);
  if (slot?.checkpoint !== undefined) {
    const content = scene.content(row, slot.checkpoint.segment);
    const parts = partsAt(slot.checkpoint, nameOf(slot.identity), content);
    if (parts === undefined) return 'the checkpoint of the visible claim is overwritten';
    const lost = parts.find((part) => !isIntact(part, scene.content(row, part.segment)));
    if (lost !== undefined)
      return `segment ${lost.segment}, which the checkpoint needs, is overwritten`;
  }
  let newest: Claimant | undefined;
  for (const claimant of living(scene, row)) {
    // One that was taken over while it recovered may find anything.
    if (claimant.reason === 'corrupt' && !isTakenOver(scene, row, claimant)) {
      return 'recovery found its checkpoint overwritten';
    }
    if (claimant.log?.parts === undefined || claimant.phase === 'gone') continue;
    const isHigher =
      newest === undefined || compareIdentities(identityOf(claimant), identityOf(newest)) > 0;
    if (isHigher) newest = claimant;
  }
  const lost = newest?.log?.parts?.find(
    (part) => !isIntact(part, scene.content(row, part.segment)),
  );
  if (lost !== undefined)
    return `segment ${lost.segment}, which the newest holder needs, is overwritten`;
  const open = newest?.log?.open;
  if (open === undefined || scene.content(row, open.segment)?.owner === open.content.owner) {
    return undefined;
  }
  return `segment ${open.segment}, which the newest holder fills, is overwritten`;
}

/** The claim that recovery would start from. */
function visible(scene: Scene, row: Int32Array): Slot | undefined {
  let highest: Slot | undefined;
  for (let index = 0; index < scene.config.slotCount; index++) {
    const [first, second] = [scene.block(row, 2 * index), scene.block(row, 2 * index + 1)];
    const slot = ringSlotOf(index, first, second)?.slot;
    if (slot?.checkpoint === undefined) continue;
    if (highest === undefined || compareIdentities(slot.identity, highest.identity) > 0) {
      highest = slot;
    }
  }
  return highest;
}

function* living(scene: Scene, row: Int32Array): Generator<Claimant> {
  const killed = scene.killed(row);
  for (let number = 0; number < scene.config.claimants; number++) {
    if ((killed & (1 << number)) === 0) yield scene.claimant(row, number);
  }
}

function isTakenOver(scene: Scene, row: Int32Array, claimant: Claimant): boolean {
  for (let number = 0; number < scene.config.claimants; number++) {
    const other = scene.claimant(row, number);
    if (other.tenure?.written === undefined) continue;
    if (compareIdentities(identityOf(other), identityOf(claimant)) > 0) return true;
  }
  return false;
}

function identityOf({ tenure }: Claimant): Slot['identity'] {
  return (tenure as NonNullable<Claimant['tenure']>).slot.identity;
}
