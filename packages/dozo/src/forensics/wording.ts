/**
 * Words for times, holders and counts, as the report and the picture use them. Pure.
 *
 * Texts from a disk may hold anything: what a terminal or a picture could take for more than text is
 * written as `\xNN`.
 */
import { describeProof } from '@dozo/claim';

import { formatSize } from '../sizes.ts';
import type { HolderRow, KnownHolder, LateWrites } from './holders.ts';

/** Printable text of any text: control characters and what reorders text are escaped. */
export function printableText(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** A path as a word that a shell takes as it is, for commands that are to be copied. */
export function shellWord(path: string): string {
  return /^[\w./:@%+,=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** A key as text: what is no printable ASCII as `\xNN`. */
export function printableKey(key: Uint8Array): string {
  return [...key]
    .map((byte) =>
      byte > 0x20 && byte < 0x7f && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`,
    )
    .join('');
}

/** ISO 8601; a number that is no time as it is. */
export function isoTime(wallMs: number): string {
  const time = new Date(wallMs);
  return Number.isNaN(time.getTime()) ? `${wallMs} ms` : time.toISOString();
}

/** `2026-11-22 18:02:11.512`, without the zone: all times are UTC. */
export function plainTime(wallMs: number): string {
  return isoTime(wallMs).replace('T', ' ').replace('Z', '');
}

/** From one time to another, the date of the second only where it differs. */
export function timeSpan(fromWallMs: number, toWallMs: number): string {
  const [from, to] = [plainTime(fromWallMs), plainTime(toWallMs)];
  const isSameDay = from.slice(0, 10) === to.slice(0, 10);
  return `from ${from} to ${isSameDay ? to.slice(11) : to}`;
}

/** A length of time for people: the two largest units. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))} s`;
  const units: readonly [string, number][] = [
    ['year', 31_557_600_000],
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ];
  const at = units.findIndex(([, unitMs]) => ms >= unitMs);
  const parts: string[] = [];
  let leftMs = ms;
  for (const [name, unitMs] of units.slice(at, at + 2)) {
    const count = Math.floor(leftMs / unitMs);
    leftMs -= count * unitMs;
    if (count > 0) parts.push(`${count} ${plural(name, count)}`);
  }
  return parts.join(' ');
}

/** `process 31 on host b, pod osd-2`, with the name that its user gave it in front. */
export function whoIs({ name, processId, host, podName }: KnownHolder): string {
  const called = name === undefined ? '' : `${printableText(name)}, `;
  const pod = podName === undefined ? '' : `, pod ${printableText(podName)}`;
  return `${called}process ${processId} on host ${printableText(host)}${pod}`;
}

/** `claim 7` */
export function claimName({ identity }: Pick<HolderRow, 'identity'>): string {
  return `claim ${identity.incarnation}`;
}

/** What became of a holder, in words that follow its name. */
export function endInWords(row: HolderRow): string {
  const { end, isMoving, state, hasHeld, fence } = row;
  switch (end.kind) {
    case 'newest': {
      if (state === 'claiming') return isMoving ? 'is taking it, and runs' : 'was taking it';
      return isMoving ? 'holds it, and runs' : 'held it last; no beat was seen just now';
    }
    case 'released':
      return 'gave it back';
    case 'stopped':
      return hasHeld ? 'was taken over, noticed, and stopped' : 'came second, and stopped';
    case 'dead': {
      const by = end.by === undefined ? '' : `, says claim ${end.by.incarnation}`;
      return end.proof === 'unknown' ? `is dead${by}` : `is dead: ${describeProof(end.proof)}${by}`;
    }
    case 'unproven': {
      const by = fence === undefined ? 'taken over' : `fenced by claim ${fence.by.incarnation}`;
      return isMoving ? `was ${by}, and STILL RUNS` : `was ${by}; not proved dead`;
    }
  }
}

/** `214 records, 1.3 MiB` */
export function lateAmount({ recordCount, bytes }: LateWrites): string {
  return `${recordCount} ${plural('record', recordCount)}, ${formatSize(bytes)}`;
}

/** The word, with an `s` unless there is one. Units of time that are abbreviated have none. */
export function plural(word: string, count: number): string {
  return count === 1 || word === 'min' || word === 's' ? word : `${word}s`;
}
