/**
 * What it all comes to, in plain words, and what to do next. Pure.
 *
 * Each sentence says no more than the evidence shows; see `overlaps.ts` for what that is.
 */
import { formatSize } from '../sizes.ts';
import type { Evidence } from './evidence.ts';
import type { HolderRow } from './holders.ts';
import type { Overlap } from './overlaps.ts';
import {
  claimName,
  duration,
  isoTime,
  lateAmount,
  plural,
  shellWord,
  timeSpan,
  whoIs,
} from './wording.ts';

/**
 * - `never-used`: nobody has held it.
 * - `one-writer`: one writer at a time, as far as it is remembered.
 * - `overlap`: two ran at once, and the layout kept them apart.
 * - `damage-possible`: two were allowed to write the same place.
 */
export type VerdictKind = 'never-used' | 'one-writer' | 'overlap' | 'damage-possible';

/** Something to do, and the command for it where there is one. */
export interface NextStep {
  readonly text: string;
  readonly command?: string;
}

export interface Verdict {
  readonly kind: VerdictKind;
  readonly sentences: readonly string[];
  /** At least one. */
  readonly nextSteps: readonly NextStep[];
}

/** Overlaps that the verdict tells; the report has all. */
const TOLD_MAX = 3;

/** Judges. */
export function judge(
  rows: readonly HolderRow[],
  overlaps: readonly Overlap[],
  evidence: Evidence,
): Verdict {
  const sentences: string[] = [];
  const nextSteps: NextStep[] = [];
  const kind = kindOf(rows, overlaps);
  const thing = evidence.device === undefined ? 'volume' : 'device';
  if (kind === 'never-used') {
    const isKnown = evidence.gaps.length === 0;
    const seen = isKnown ? `Nobody has ever held this ${thing}.` : 'No claim could be read.';
    sentences.push(seen);
  } else if (overlaps.length === 0) {
    sentences.push(oneWriter(rows));
  } else {
    for (const overlap of overlaps.slice(0, TOLD_MAX)) {
      sentences.push(...tell(overlap, thing, evidence));
    }
    const more = overlaps.length - TOLD_MAX;
    if (more > 0) sentences.push(`There are ${more} more such ${plural('overlap', more)} below.`);
    if (kind === 'overlap') {
      nextSteps.push({
        text: 'find out why the first was still running and what started the second; stop the one that should not run',
      });
      if (evidence.device === undefined) {
        nextSteps.push({ text: "check the data with the guarded program's own means" });
      }
    } else {
      nextSteps.push({
        text: 'stop both, then look for damage:',
        command: `dozo device verify ${shellWord(evidence.path)}`,
      });
    }
  }
  tellOfUnproven(rows, evidence, sentences, kind === 'damage-possible' ? [] : nextSteps);
  tellOfFailures(rows, evidence, sentences, nextSteps);
  tellOfGaps(evidence, sentences, nextSteps);
  if (nextSteps.length === 0) nextSteps.push({ text: 'nothing needs to be done' });
  return { kind, sentences, nextSteps };
}

function kindOf(rows: readonly HolderRow[], overlaps: readonly Overlap[]): VerdictKind {
  if (rows.length === 0) return 'never-used';
  if (overlaps.some(({ sharedSegments }) => sharedSegments.length > 0)) return 'damage-possible';
  return overlaps.length > 0 ? 'overlap' : 'one-writer';
}

function oneWriter(rows: readonly HolderRow[]): string {
  const [oldest] = rows;
  const newest = rows.at(-1);
  if (oldest === undefined || newest === undefined) return '';
  const held = rows.length === 1 ? '1 claim is' : `${rows.length} claims are`;
  return (
    `One writer at a time. ${held} remembered, the first of ${isoTime(oldest.sinceWallMs).slice(0, 10)}. ` +
    newestInWords(newest)
  );
}

function newestInWords(newest: HolderRow): string {
  const who = `The newest, ${claimName(newest)}, is ${whoIs(newest.holder)}`;
  if (newest.end.kind === 'released') return `${who}, which gave it back.`;
  if (newest.end.kind === 'stopped') return `${who}, which stopped.`;
  if (newest.isMoving) return `${who}, which holds it now.`;
  return `${who}; no beat of it was seen just now: it has died, is stopped, or is cut off.`;
}

function tell(overlap: Overlap, thing: string, evidence: Evidence): readonly string[] {
  const { first, second, signs, fromWallMs, toWallMs, doClocksDisagree, sharedSegments } = overlap;
  const when = doClocksDisagree
    ? `at about ${isoTime(fromWallMs)} (their clocks disagree by ${duration(fromWallMs - toWallMs)} or more)`
    : `${timeSpan(fromWallMs, toWallMs)} UTC`;
  const programs = evidence.device === undefined ? 'programs' : 'daemons';
  const claims = `${claimName(first)}, ${whoIs(first.holder)}, and ${claimName(second)}, ${whoIs(second.holder)}`;
  const sentences: string[] = [];
  if (signs.length > 0) {
    sentences.push(`Two ${programs} ran on this ${thing} ${when}: ${claims}.`);
    sentences.push(whatTheFirstDid(overlap));
    if (signs[0]?.certainty === 'two-clocks') {
      sentences.push(
        `This rests on the clocks of two machines: if they differed by more than ${duration(evidence.settings.leaseMs)} then, there may have been no overlap.`,
      );
    }
  }
  if (evidence.device === undefined) {
    sentences.push(
      'Only the claim keeps guarded programs apart: if both wrote in that time, their writes may have met.',
    );
  }
  if (sharedSegments.length > 0) {
    const count = sharedSegments.length;
    sentences.push(
      `DAMAGE IS POSSIBLE: ${claims} were both allowed to write ${count} ${plural('segment', count)} (${sharedSegments.slice(0, 8).join(', ')}${count > 8 ? ', ...' : ''}), which must never happen.`,
    );
  }
  return sentences;
}

function whatTheFirstDid({ first, signs, sharedSegments }: Overlap): string {
  const { late } = first;
  const kinds = new Set(signs.map(({ kind }) => kind));
  if (late !== undefined && kinds.has('wrote')) {
    const { recordCount, groupCount, bytes } = late;
    const what =
      recordCount === 0
        ? `wrote ${formatSize(bytes)} in ${groupCount} ${plural('group', groupCount)} without a whole record`
        : `wrote ${recordCount} ${plural('record', recordCount)} (${formatSize(bytes)})`;
    const harm =
      sharedSegments.length > 0
        ? ''
        : recordCount === 1
          ? '; it is not visible, and nothing of the second was touched'
          : '; none of them is visible, and nothing of the second was touched';
    return `The first ${what} after the second had taken over${harm}.`;
  }
  if (kinds.has('runs-now')) return 'The first is running at this moment.';
  if (kinds.has('stopped')) {
    const noticed = 'The first noticed that it had been taken over, and stopped';
    if (late === undefined) return `${noticed}.`;
    return late.groupCount === 0
      ? `${noticed}; it wrote nothing past its fence.`
      : `${noticed}; what it was writing just then (${lateAmount(late)}) lies past its fence, where nobody reads.`;
  }
  return 'The first still showed life after the second had taken over.';
}

function tellOfUnproven(
  rows: readonly HolderRow[],
  { path, device }: Evidence,
  sentences: string[],
  nextSteps: NextStep[],
): void {
  const unproven = rows.filter(({ end }) => end.kind === 'unproven');
  const [first] = unproven;
  if (first === undefined) return;
  const segments = new Set(unproven.flatMap(({ quarantined }) => quarantined));
  const space =
    device === undefined || segments.size === 0
      ? ''
      : ` For ${unproven.length === 1 ? 'it' : 'them'} ${segments.size} ${plural('segment', segments.size)} (${formatSize(segments.size * device.segmentBytes)}) ${segments.size === 1 ? 'is' : 'are'} kept apart.`;
  sentences.push(
    unproven.length === 1
      ? `Claim ${first.identity.incarnation}, ${whoIs(first.holder)}, is not proved dead.${space}`
      : `${unproven.length} earlier holders are not proved dead.${space}`,
  );
  if (device !== undefined && !unproven.some(({ isMoving }) => isMoving)) {
    nextSteps.push({
      text: `if ${unproven.length === 1 ? 'that process is' : 'those processes are'} certainly dead and the device is not in use, give the space back:`,
      command: `dozo device release-quarantine ${shellWord(path)}`,
    });
  }
}

function tellOfFailures(
  rows: readonly HolderRow[],
  { path }: Evidence,
  sentences: string[],
  nextSteps: NextStep[],
): void {
  const failed = rows.findLast(({ failedFlush }) => failedFlush !== undefined);
  if (failed?.failedFlush === undefined) return;
  sentences.push(
    `A write or flush failed under ${claimName(failed)} at ${isoTime(failed.failedFlush.wallMs)}.`,
  );
  nextSteps.push({
    text: 'look at the disk (dmesg), and at the data:',
    command: `dozo device verify ${shellWord(path)}`,
  });
}

function tellOfGaps(
  { path, device, gaps }: Evidence,
  sentences: string[],
  nextSteps: NextStep[],
): void {
  const count = gaps.length;
  if (count === 0) return;
  const what = count === 1 ? 'it' : 'they';
  sentences.push(
    `${count} ${plural('thing', count)} could not be read; what ${what} would have shown is not known.`,
  );
  const text = 'see what could not be read, and look at the disk (dmesg)';
  nextSteps.push(
    device === undefined
      ? { text }
      : { text: `${text} and at the data:`, command: `dozo device verify ${shellWord(path)}` },
  );
}
