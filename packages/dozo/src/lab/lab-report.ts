/** What the lab saw, and what follows from it: the table, the verdict, the exit status. */
import { EXIT_DAMAGE_FOUND, EXIT_DONE, EXIT_FAILED, EXIT_MACHINE_REFUSED } from '../exit-codes.ts';
import { LINE_WIDTH_MAX } from './limits.ts';
import type { Audit } from './records.ts';
import { renderTable } from './table.ts';
import type { Column } from './table.ts';

/** The six ways to start a second daemon on one disk. */
export const WAYS_IN = [
  'same path',
  'private lock directory',
  'device node made again with mknod',
  'second loop device on the same file',
  'first daemon stopped and continued',
  'every lock off',
] as const;

export type WayIn = (typeof WAYS_IN)[number];

/** What was not played, and why. */
export interface NotPlayed {
  readonly outcome: 'not played';
  readonly reason: string;
}

/** What could not be played to its end: neither good nor bad for the one that was tried. */
export interface Broken {
  readonly outcome: 'broken off';
  readonly reason: string;
}

/** What a naive daemon and its double did to their disk. */
export interface AccidentSeen {
  readonly outcome: 'destroyed' | 'intact';
  readonly second: string;
  readonly first: string;
  readonly data: string;
  /** Of all that either of the two had acknowledged. */
  readonly audit: Audit;
  /** Of what the first had acknowledged before the second was started. */
  readonly auditBefore: Audit;
}

/** What two Dozo daemons did to theirs. */
export interface WaySeen {
  readonly outcome: 'intact' | 'damaged';
  readonly second: string;
  readonly first: string;
  readonly data: string;
  readonly audit: Audit;
  /** Damaged places that `verify` found. */
  readonly damageCount: number;
  /** Records that the first acknowledged after the second had taken over: nobody reads them. */
  readonly harmlessCount: number;
}

export type AccidentResult = { readonly store: string } & (AccidentSeen | NotPlayed | Broken);
export type WayResult = { readonly way: WayIn } & (WaySeen | NotPlayed | Broken);

export interface LabReport {
  readonly accidents: readonly AccidentResult[];
  readonly ways: readonly WayResult[];
  /** Dozo with every layer off, if that was asked for: must be damaged. */
  readonly control?: WaySeen | Broken;
}

/** The last line, and the status that the process ends with. */
export interface Verdict {
  readonly text: string;
  readonly status: number;
}

const COLUMNS: readonly Column[] = [
  { head: 'way in', width: 20 },
  { head: 'what the second did', width: 27 },
  { head: 'what the first did', width: 23 },
  { head: 'data', width: LINE_WIDTH_MAX - 20 - 27 - 23 - 6 },
];

/** The table: the accidents first, then the ways in. */
export function renderReport({ accidents, ways, control }: LabReport): string {
  return renderTable(COLUMNS, [
    ...accidents.map((result) => rowOf(`${result.store}: lock file made private`, result)),
    ...ways.map((result) => rowOf(`Dozo: ${result.way}`, result)),
    ...(control === undefined ? [] : [rowOf('control: Dozo without any layer', control)]),
  ]);
}

function rowOf(
  title: string,
  result: AccidentSeen | WaySeen | NotPlayed | Broken,
): readonly string[] {
  if (result.outcome === 'broken off') return [title, 'broken off: see above'];
  if (result.outcome === 'not played') return [title, `not played: ${result.reason}`];
  return [title, result.second, result.first, result.data];
}

/** Good only if the naive store was destroyed and Dozo is intact in all six ways in. */
export function verdictOn({ accidents, ways, control }: LabReport): Verdict {
  const naive = accidents.map(({ store, outcome }) => `${store} ${outcome}`).join(', ');
  const intactCount = ways.filter(({ outcome }) => outcome === 'intact').length;
  const damaged = ways.filter(({ outcome }) => outcome === 'damaged').map(({ way }) => way);
  const brokenOff = [
    ...accidents.filter(({ outcome }) => outcome === 'broken off').map(({ store }) => store),
    ...ways.filter(({ outcome }) => outcome === 'broken off').map(({ way }) => `Dozo, ${way}`),
  ];
  const unplayedCount = ways.filter(({ outcome }) => outcome === 'not played').length;
  if (damaged.length > 0) {
    const text = `${naive}; DOZO DAMAGED (${damaged.join('; ')}). Please report this.`;
    return { text, status: EXIT_DAMAGE_FOUND };
  }
  if (brokenOff.length > 0) {
    const text = `${naive}; Dozo intact in ${intactCount} of ${WAYS_IN.length} ways in; broken off: ${brokenOff.join('; ')}.`;
    return { text, status: EXIT_FAILED };
  }
  if (accidents[0]?.outcome !== 'destroyed') {
    const text = `${naive}: the accident did not happen this time; Dozo intact in ${intactCount} of ${WAYS_IN.length} ways in.`;
    return { text, status: EXIT_FAILED };
  }
  if (control !== undefined && control.outcome !== 'damaged') {
    const text = `${naive}; Dozo intact in ${intactCount} of ${WAYS_IN.length} ways in, but the control, Dozo without any layer, was not damaged (${control.outcome}): the others say little.`;
    return { text, status: EXIT_FAILED };
  }
  if (unplayedCount > 0) {
    const text = `${naive}; Dozo intact in the ${intactCount} of ${WAYS_IN.length} ways in that could be played here; the other ${unplayedCount} need root.`;
    return { text, status: EXIT_MACHINE_REFUSED };
  }
  return { text: `${naive}; Dozo intact in all six ways in.`, status: EXIT_DONE };
}

/** What an audit found, in words: `intact: 812 of 812` or what is missing. */
export function describeAudit(audit: Audit): string {
  const { expectedCount, intactCount } = audit;
  const all = `${intactCount} of ${expectedCount}`;
  const wrong = [
    [audit.lostCount, 'lost'],
    [audit.damagedCount, 'damaged'],
    [audit.staleCount, 'thrown back to an older version'],
    [audit.intruderCount, 'overwritten by the loser'],
  ] as const;
  const parts = wrong.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return parts.length === 0 ? `all ${expectedCount} intact` : `${all} intact: ${parts.join(', ')}`;
}
