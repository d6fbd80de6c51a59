/**
 * Where two holders overlapped: a claim showed life after a higher one had been taken. Pure.
 *
 * Evidence of the protocol itself counts first, because no clock is in it:
 *
 * - A slot says `stopped` only after its process has seen a higher claim on the ring.
 * - Two or more groups past a fence were written while or after the next holder recovered: a holder
 *   writes a group only when the one before is durable, so that a process that just died leaves one.
 * - A slot that is written while we look, and is not the highest, belongs to a process that runs now.
 *
 * Wall time comes second: a beat or a group with a later time than that of the higher claim. It is one
 * clock where both ran on one boot of one machine. Between two machines it is two clocks; but whoever
 * takes over without a proof has seen no beat for a whole lease, so that their clocks would have to
 * differ by more than that for such a sign to deceive.
 *
 * An overlap is harmful when both were allowed to write the same segment, which the claim never lets
 * happen; harmless otherwise.
 */
import { compareIdentities } from '@dozo/claim';
import type { ClaimIdentity } from '@dozo/claim';

import type { Evidence } from './evidence.ts';
import { lastSignWallMs } from './holders.ts';
import type { HolderRow } from './holders.ts';

/** What a sign of life after the takeover follows from, the surest first. */
export type Certainty = 'protocol' | 'one-clock' | 'two-clocks';

/** One sign that the first lived after the second had claimed. */
export interface OverlapSign {
  readonly kind: 'runs-now' | 'stopped' | 'wrote' | 'beat';
  readonly certainty: Certainty;
  /** By the clock of the first. */
  readonly wallMs: number;
}

/** Two claims whose processes ran at one time. */
export interface Overlap {
  readonly first: HolderRow;
  readonly second: HolderRow;
  /** At least one, the surest first. */
  readonly signs: readonly OverlapSign[];
  /** When the second had claimed, by its clock; the last sign of the first, by its own. */
  readonly fromWallMs: number;
  readonly toWallMs: number;
  /** The last sign is earlier than the claim of the second: the clocks of the two disagree. */
  readonly doClocksDisagree: boolean;
  /** Segments that both were allowed to write. */
  readonly sharedSegments: readonly number[];
}

const ORDER: readonly Certainty[] = ['protocol', 'one-clock', 'two-clocks'];

/** All overlaps, in the order of the first of each two. */
export function findOverlaps(rows: readonly HolderRow[], evidence: Evidence): readonly Overlap[] {
  return rows.flatMap((first) => {
    const second = successorOf(first, rows);
    if (second === undefined || !first.hasHeld) return [];
    const signs = signsOf(first, second);
    const sharedSegments = sharedBy(first, rows, evidence);
    if (signs.length === 0 && sharedSegments.length === 0) return [];
    const fromWallMs = second.sinceWallMs;
    const toWallMs = lastSignWallMs(first);
    const doClocksDisagree = toWallMs < fromWallMs;
    return [{ first, second, signs, fromWallMs, toWallMs, doClocksDisagree, sharedSegments }];
  });
}

/** Whose clocks the times of two claims come from. */
export function clocksOf(first: HolderRow, second: HolderRow): Exclude<Certainty, 'protocol'> {
  const { bootId } = first.holder;
  const isOneBoot = bootId !== undefined && bootId !== '' && bootId === second.holder.bootId;
  return isOneBoot ? 'one-clock' : 'two-clocks';
}

/** Who took over: the one that set the fence; where none is known, the next one that held the device. */
function successorOf(row: HolderRow, rows: readonly HolderRow[]): HolderRow | undefined {
  const higher = rows.filter(({ identity }) => compareIdentities(identity, row.identity) > 0);
  const by = row.fence?.by;
  const fencer = by === undefined ? undefined : higher.find(({ identity }) => isSame(identity, by));
  return fencer ?? higher.find(({ hasHeld }) => hasHeld) ?? higher[0];
}

function signsOf(first: HolderRow, second: HolderRow): readonly OverlapSign[] {
  const signs: OverlapSign[] = [];
  const byClock = clocksOf(first, second);
  const { late, lastBeatWallMs, state, isMoving, failedFlush } = first;
  if (isMoving) {
    signs.push({ kind: 'runs-now', certainty: 'protocol', wallMs: lastSignWallMs(first) });
  }
  if (state === 'stopped' && lastBeatWallMs !== undefined) {
    signs.push({ kind: 'stopped', certainty: 'protocol', wallMs: lastBeatWallMs });
  }
  if (late !== undefined && late.groupCount > 0) {
    const wallMs = late.lastWallMs;
    // After a failed flush the log is cut back further than to its last group.
    const isSure = late.groupCount > 1 && failedFlush === undefined;
    if (isSure) signs.push({ kind: 'wrote', certainty: 'protocol', wallMs });
    else if (wallMs > second.sinceWallMs) signs.push({ kind: 'wrote', certainty: byClock, wallMs });
  }
  if (lastBeatWallMs !== undefined && state !== 'stopped' && lastBeatWallMs > second.sinceWallMs) {
    signs.push({ kind: 'beat', certainty: byClock, wallMs: lastBeatWallMs });
  }
  return signs.sort(
    (left, right) => ORDER.indexOf(left.certainty) - ORDER.indexOf(right.certainty),
  );
}

/** What a claim that is kept apart may write, and a later one too. */
function sharedBy(
  first: HolderRow,
  rows: readonly HolderRow[],
  { device }: Evidence,
): readonly number[] {
  if (first.quarantined.length === 0 || first.end.kind === 'newest') return [];
  const others = new Set<number>();
  for (const row of rows) {
    if (!row.hasHeld || compareIdentities(row.identity, first.identity) <= 0) continue;
    for (const segment of row.reservation) others.add(segment);
  }
  for (const { segment, identity } of device?.parts ?? []) {
    if (compareIdentities(identity, first.identity) > 0) others.add(segment);
  }
  return first.quarantined.filter((segment) => others.has(segment));
}

function isSame(left: ClaimIdentity, right: ClaimIdentity): boolean {
  return compareIdentities(left, right) === 0;
}
