/**
 * What a check of a device found, in plain words and as JSON: what is damaged, what that costs, and what
 * would have to be dropped to make the device sound again.
 *
 * Pure. The list of what would be dropped is the same that a repair works by, so that nobody is asked to
 * agree to more, or to less, than what is done.
 */
import { hexOfBytes } from '@dozo/base';
import type { Damage, VerifyReport } from '@dozo/engine';

import { plural, printableKey } from '../forensics/wording.ts';
import { DAMAGES_PRINTED_MAX } from '../limits.ts';
import { formatSize } from '../sizes.ts';

/** A damaged place, in a form that JSON can hold. Offsets are bytes on the device. */
export interface DamageReport extends Omit<Damage, 'key'> {
  /** Keys are bytes; a JSON string could not hold every one of them. */
  readonly keyHex?: string;
}

/** Something that would be gone. */
export type Drop =
  /** One value that cannot be read any more. */
  | {
      readonly kind: 'record';
      readonly key: string;
      readonly keyHex: string;
      readonly offset: number;
      readonly sizeBytes: number;
    }
  /** What was logged from this place on; nobody can tell how much that is. */
  | { readonly kind: 'log'; readonly offset: number };

/** Something that would be written anew, and of which nothing is lost. */
export interface Rewrite {
  readonly kind: 'superblock' | 'claim-slot' | 'log';
  readonly offset: number;
  readonly sizeBytes: number;
}

/** What it would take to make the device sound again. */
export interface RepairPlan {
  readonly drops: readonly Drop[];
  readonly rewrites: readonly Rewrite[];
}

/** The JSON form of `dozo device check`. Sizes in bytes. */
export interface CheckReport {
  readonly path: string;
  /** `unopenable`: the log itself is damaged, and the records behind that place were not looked at. */
  readonly verdict: 'sound' | 'damaged' | 'unopenable';
  readonly recordCount: number;
  readonly bytesChecked: number;
  readonly damages: readonly DamageReport[];
  /** Present with `unopenable`. */
  readonly corrupt?: { readonly offset: number; readonly reason: string };
  readonly repair: RepairPlan;
  /** What to do next, in sentences. */
  readonly advice: readonly string[];
}

/** The report of a device whose log could be read. */
export function reportCheck(path: string, report: VerifyReport): CheckReport {
  const { recordCount, bytesChecked, damages } = report;
  const repair = planRepair(damages);
  return {
    path,
    verdict: damages.length === 0 ? 'sound' : 'damaged',
    recordCount,
    bytesChecked,
    damages: damages.map(({ key, ...damage }) => ({
      ...damage,
      ...(key === undefined ? {} : { keyHex: hexOfBytes(key) }),
    })),
    repair,
    advice: adviceFor(path, repair, report.isGrowUnfinished === true),
  };
}

/** The report of a device whose log is damaged: without it nobody knows which records there are. */
export function reportCorrupt(
  path: string,
  corrupt: { readonly offset: number; readonly reason: string },
): CheckReport {
  const { offset, reason } = corrupt;
  return {
    path,
    verdict: 'unopenable',
    recordCount: 0,
    bytesChecked: 0,
    damages: [],
    corrupt: { offset, reason },
    repair: { drops: [{ kind: 'log', offset }], rewrites: [] },
    advice: ['Recover this device from its replicas or a backup; what can be read is still there.'],
  };
}

function planRepair(damages: readonly Damage[]): RepairPlan {
  const drops: Drop[] = [];
  const rewrites: Rewrite[] = [];
  for (const { key, segment, offset, sizeBytes, reason } of damages) {
    if (key !== undefined) {
      const names = { key: printableKey(key), keyHex: hexOfBytes(key) };
      drops.push({ kind: 'record', ...names, offset, sizeBytes });
    } else if (segment >= 0) {
      // Its records are in memory, and those of them that are damaged have a line of their own.
      rewrites.push({ kind: 'log', offset, sizeBytes });
    } else {
      const kind = reason.startsWith('superblock') ? 'superblock' : 'claim-slot';
      rewrites.push({ kind, offset, sizeBytes });
    }
  }
  return { drops, rewrites };
}

function adviceFor(path: string, plan: RepairPlan, isGrowUnfinished: boolean): readonly string[] {
  const advice: string[] = [];
  const has = (kind: Rewrite['kind']): boolean => plan.rewrites.some((one) => one.kind === kind);
  if (plan.drops.length > 0) {
    advice.push('Write these keys again from a replica or a backup, or delete them.');
  }
  if (has('superblock')) {
    advice.push(`The copy of the superblock is written anew by: dozo device grow ${path}`);
  }
  if (has('claim-slot')) {
    advice.push('A slot of the claim ring is written anew when a later claim takes it.');
  }
  if (has('log')) {
    advice.push(
      'Copy the data elsewhere before the device is closed: opening it again may be refused.',
    );
  }
  if (isGrowUnfinished) {
    advice.push(
      `Growing it was cut off; that is no damage. Say it again: dozo device grow ${path}`,
    );
  }
  if (plan.drops.length + plan.rewrites.length > 0) {
    advice.push('Look at the disk (dmesg, smartctl): what damaged this may damage more.');
  }
  return advice;
}

/** The form for people. */
export function checkText(report: CheckReport): string {
  const { path, damages, corrupt, recordCount, bytesChecked } = report;
  const lines: string[] = [];
  const checked = `${recordCount} records, ${formatSize(bytesChecked)} read`;
  if (corrupt !== undefined) {
    lines.push(
      `${path}: damaged at byte ${corrupt.offset}: ${corrupt.reason}`,
      '  It had been written and flushed, and nothing behind it can be found without it; the records were not walked.',
    );
  } else if (damages.length === 0) {
    lines.push(`${path}: no damage (${checked})`);
  } else {
    const places = `${damages.length} damaged ${plural('place', damages.length)}`;
    lines.push(`${path}: ${places} (${checked})`, ...listed(damages.map(damageText)));
  }
  lines.push(...repairLines(report), ...report.advice);
  return `${lines.join('\n')}\n`;
}

function repairLines({ verdict, repair }: CheckReport): readonly string[] {
  if (verdict === 'sound') return [];
  const { drops, rewrites } = repair;
  const lines: string[] = [];
  const records = drops.flatMap((drop) => (drop.kind === 'record' ? [drop] : []));
  if (records.length > 0) {
    const count = `${records.length} ${plural('value', records.length)}`;
    lines.push(`${count} cannot be read any more; to make the device sound would drop:`);
    lines.push(
      ...listed(records.map(({ key, sizeBytes }) => `  ${key} (${formatSize(sizeBytes)})`)),
    );
  } else if (drops.length > 0) {
    lines.push('To make the device sound would drop what was logged from there on.');
  } else {
    lines.push('Every value can be read; to make the device sound would drop nothing.');
  }
  if (rewrites.length > 0) {
    const count = `${rewrites.length} ${plural('structure', rewrites.length)}`;
    lines.push(`${count} would be written anew, of which nothing is lost.`);
  }
  return lines;
}

function listed(lines: readonly string[]): readonly string[] {
  const more = lines.length - DAMAGES_PRINTED_MAX;
  if (more <= 0) return lines;
  return [...lines.slice(0, DAMAGES_PRINTED_MAX), `  and ${more} more; --json lists all`];
}

function damageText({ segment, offset, sizeBytes, keyHex, reason }: DamageReport): string {
  const place = segment < 0 ? '' : `, segment ${segment}`;
  const key = keyHex === undefined ? '' : `; key ${printableKey(Buffer.from(keyHex, 'hex'))}`;
  return `  byte ${offset}, ${sizeBytes} bytes${place}: ${reason}${key}`;
}
