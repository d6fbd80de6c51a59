/**
 * The report for people, at most 100 columns wide: the verdict first, then what to do, then the
 * timeline that it follows from. Pure.
 */
import { hexOfBytes } from '@dozo/base';

import { HOLDERS_PRINTED_MAX } from '../limits.ts';
import { formatSize } from '../sizes.ts';
import { chaptersOf } from './case-file.ts';
import type { CaseFile, Chapter } from './case-file.ts';
import type { HolderRow } from './holders.ts';
import { clocksOf } from './overlaps.ts';
import type { Overlap, OverlapSign } from './overlaps.ts';
import type { VerdictKind } from './verdict.ts';
import {
  claimName,
  duration,
  endInWords,
  isoTime,
  lateAmount,
  plainTime,
  plural,
  printableKey,
  printableText,
  timeSpan,
  whoIs,
} from './wording.ts';

const COLUMNS = 100;

/** Overlaps that are told one by one. */
const OVERLAPS_PRINTED_MAX = 20;

const TITLES: Readonly<Record<VerdictKind, string>> = {
  'never-used': 'NEVER USED',
  'one-writer': 'ONE WRITER AT A TIME',
  overlap: 'TWO RAN AT ONCE; THE LAYOUT KEPT THEM APART',
  'damage-possible': 'TWO RAN AT ONCE; DAMAGE IS POSSIBLE',
};

/** The whole report, with a newline at its end. */
export function reportText(caseFile: CaseFile): string {
  const { verdict, overlaps, evidence } = caseFile;
  const lines = [...head(caseFile), '', titleOf(caseFile)];
  for (const sentence of verdict.sentences) lines.push(...wrapped(sentence, '  '));
  for (const { text, command } of verdict.nextSteps) {
    const end = command === undefined ? '.' : '';
    lines.push(...wrapped(`Next: ${text}${end}`, '  ', '        '));
    // Never broken: it is to be copied.
    if (command !== undefined) lines.push(`        ${printableText(command)}`);
  }
  lines.push(...timeline(caseFile));
  if (overlaps.length > 0) {
    lines.push('', 'OVERLAPS');
    for (const overlap of overlaps.slice(0, OVERLAPS_PRINTED_MAX)) {
      lines.push(...overlapLines(overlap, evidence.settings.leaseMs));
    }
    const more = overlaps.length - OVERLAPS_PRINTED_MAX;
    if (more > 0) lines.push(`  and ${more} more; --json lists all`);
  }
  if (evidence.gaps.length > 0) {
    lines.push('', 'COULD NOT BE READ');
    for (const { what, reason } of evidence.gaps) {
      lines.push(...wrapped(`${what}: ${printableText(reason)}`, '  ', '    '));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A guarded volume has no layout of ours that would keep anybody apart. */
function titleOf({ verdict: { kind }, evidence }: CaseFile): string {
  return kind === 'overlap' && evidence.device === undefined ? 'TWO RAN AT ONCE' : TITLES[kind];
}

function head({ evidence }: CaseFile): readonly string[] {
  const { path, device, id, sizeBytes, createdWallMs, settings, readWallMs } = evidence;
  const what = device === undefined ? 'a claim file' : `a Dozo device of ${formatSize(sizeBytes)}`;
  const { beatIntervalMs, leaseMs, isLocal } = settings;
  const reach = isLocal ? '; only this machine reaches it' : '';
  return [
    ...wrapped(`${printableText(path)}: ${what}, id ${hexOfBytes(id)}`, '', '  '),
    `  made ${plainTime(createdWallMs)}, read ${plainTime(readWallMs)} UTC`,
    `  a beat every ${duration(beatIntervalMs)}, a lease of ${duration(leaseMs)}${reach}`,
  ];
}

function timeline(caseFile: CaseFile): readonly string[] {
  const { rows } = caseFile;
  if (rows.length === 0) return [];
  const chapters = chaptersOf(caseFile, HOLDERS_PRINTED_MAX);
  const lines = [
    '',
    'HOLDERS, oldest first; times in UTC, each by the clock of its own machine',
    '   claim  since                    last beat                who',
  ];
  for (const chapter of chapters) lines.push(...chapterLines(chapter));
  return lines;
}

function chapterLines(chapter: Chapter): readonly string[] {
  if (chapter.kind === 'holder') return holderLines(chapter.row);
  const { rows } = chapter;
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return [];
  const range = `${first.identity.incarnation} to ${last.identity.incarnation}`;
  const text = `... ${rows.length} claims, ${range}, without anything to tell; --json lists them`;
  return wrapped(text, '          ');
}

function holderLines(row: HolderRow): readonly string[] {
  const incarnation = String(row.identity.incarnation).padStart(8);
  const { lastBeatWallMs, late, failedFlush, quarantined } = row;
  const lastBeat = lastBeatWallMs === undefined ? 'not remembered' : plainTime(lastBeatWallMs);
  const start = `${incarnation}  ${plainTime(row.sinceWallMs).padEnd(23)}  ${lastBeat.padEnd(23)}  `;
  const indent = ' '.repeat(10);
  const lines = wrapped(whoIs(row.holder), start, ' '.repeat(start.length));
  lines.push(...wrapped(endInWords(row), indent, indent));
  const origin = originInWords(row);
  if (origin !== '') lines.push(...wrapped(origin, indent, indent));
  if (row.fence !== undefined) {
    const { by, wallMs } = row.fence;
    const text = `fenced by claim ${by.incarnation} at ${plainTime(wallMs)}`;
    lines.push(...wrapped(text, indent, indent));
  }
  if (late !== undefined && late.groupCount > 0) {
    const keys = late.keys.map(printableKey).join(', ');
    const sample = keys === '' ? '' : `; keys such as ${keys}`;
    const span = timeSpan(late.firstWallMs, late.lastWallMs);
    const text = `PAST ITS FENCE: ${lateAmount(late)}, ${span}${sample}`;
    lines.push(...wrapped(text, indent, `${indent}  `));
  }
  if (quarantined.length > 0) {
    const count = quarantined.length;
    const text = `${count} ${plural('segment', count)} kept apart for it: ${quarantined.join(', ')}`;
    lines.push(...wrapped(text, indent, `${indent}  `));
  }
  if (failedFlush !== undefined) {
    const text = `FAILED at ${plainTime(failedFlush.wallMs)}: ${printableText(failedFlush.cause)}`;
    lines.push(...wrapped(text, indent, `${indent}  `));
  }
  return lines;
}

/** Which lock, which boot, which software. */
function originInWords({ lock, holder, beatCount, identity }: HolderRow): string {
  const parts: string[] = [];
  if (lock !== undefined) {
    const name = printableText(lock.name);
    parts.push(lock.kind === 'none' ? 'NO LOCK of the kernel' : `lock: ${lock.kind} ${name}`);
  }
  if (holder.bootId !== undefined && holder.bootId !== '') {
    parts.push(`boot ${printableText(holder.bootId).slice(0, 8)}`);
  }
  if (holder.softwareVersion !== undefined) {
    parts.push(`dozo ${printableText(holder.softwareVersion)}`);
  }
  parts.push(`nonce ${hexOfBytes(identity.nonce).slice(0, 8)}`);
  if (beatCount !== undefined) parts.push(`${beatCount} ${plural('beat', beatCount)}`);
  return parts.join(', ');
}

function overlapLines(overlap: Overlap, leaseMs: number): readonly string[] {
  const { first, second, signs, fromWallMs, toWallMs, doClocksDisagree, sharedSegments } = overlap;
  const when = doClocksDisagree
    ? `about ${isoTime(fromWallMs)}`
    : `${timeSpan(fromWallMs, toWallMs)} (${duration(toWallMs - fromWallMs)})`;
  const lines = wrapped(`${claimName(first)} beside ${claimName(second)}, ${when}`, '  ', '    ');
  for (const sign of signs) {
    lines.push(...wrapped(`${signInWords(sign)}: ${sureness(sign)}`, '    - ', '      '));
  }
  if (sharedSegments.length > 0) {
    const text = `both were allowed to write segments ${sharedSegments.join(', ')}`;
    lines.push(...wrapped(text, '    - ', '      '));
  }
  const clocks =
    clocksOf(first, second) === 'one-clock'
      ? 'both ran on one boot of one machine: their times are of one clock'
      : doClocksDisagree
        ? `their clocks disagree by ${duration(fromWallMs - toWallMs)} or more: only the order of the claims is certain`
        : `their times are of two clocks; who took over had first seen no beat for ${duration(leaseMs)}, or had proof`;
  lines.push(...wrapped(clocks, '    - ', '      '));
  return lines;
}

function signInWords({ kind, wallMs }: OverlapSign): string {
  return {
    'runs-now': 'the first wrote its slot while it was looked at',
    stopped: `the first wrote "stopped" into its slot (${plainTime(wallMs)})`,
    wrote: `the first wrote past its fence (last at ${plainTime(wallMs)})`,
    beat: `the last beat of the first is later than the claim of the second (${plainTime(wallMs)})`,
  }[kind];
}

function sureness({ certainty, kind }: OverlapSign): string {
  switch (certainty) {
    case 'protocol':
      return {
        'runs-now': 'certain, it runs',
        stopped: 'certain, only who has seen a higher claim writes that',
        wrote: 'certain, a process that just died leaves one group there, not several',
        beat: 'certain',
      }[kind];
    case 'one-clock':
      return 'certain as far as the clock of that machine was not set';
    case 'two-clocks':
      return 'as far as the clocks of the two machines agreed';
  }
}

/** Text in lines of at most 100 columns; words that are longer are cut. */
function wrapped(text: string, start: string, indent = start): string[] {
  const lines: string[] = [];
  let line = start;
  let isFresh = true;
  for (const word of text.split(' ').flatMap((long) => pieces(long, COLUMNS - indent.length))) {
    if (!isFresh && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = indent;
      isFresh = true;
    }
    line += isFresh ? word : ` ${word}`;
    isFresh = false;
  }
  lines.push(line);
  return lines;
}

function pieces(word: string, lengthMax: number): readonly string[] {
  const parts: string[] = [];
  for (let at = 0; at === 0 || at < word.length; at += lengthMax) {
    parts.push(word.slice(at, at + lengthMax));
  }
  return parts;
}
