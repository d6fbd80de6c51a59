/**
 * What a check of a device found, in plain words and as JSON: what is damaged, what that costs, and what
 * would have to be dropped to make the device sound again.
 *
 * Pure. The list of what would be dropped is the same that a repair works by, so that nobody is asked to
 * agree to more, or to less, than what is done.
 */
import { hexOfBytes } from '@dozo/base';
import type { Damage, LogLoss, RepairPlan as EnginePlan, VerifyReport } from '@dozo/engine';

import { plural, printableKey } from '../forensics/wording.ts';
import { DAMAGES_PRINTED_MAX } from '../limits.ts';
import { formatSize } from '../sizes.ts';

/** A damaged place, in a form that JSON can hold. Offsets are bytes on the device. */
export interface DamageReport extends Omit<Damage, 'key' | 'keys'> {
  /** Keys are bytes; a JSON string could not hold every one of them. */
  readonly keyHex?: string;
  /** Of which keys is not known any more what was said here, from the first on and below the second. */
  readonly fromHex?: string;
  readonly toHex?: string;
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
      /** The batch that wrote the value. */
      readonly lsn?: number;
    }
  /** What a table said of these keys, from the first on and below the second. */
  | {
      readonly kind: 'keys';
      readonly from: string;
      readonly to: string;
      readonly fromHex: string;
      readonly toHex: string;
      /** False: only range deletes are gone. */
      readonly hasEntries: boolean;
    }
  /**
   * What was logged there; without a size, from there on. Batches with these numbers, or parts of them,
   * may be gone; without `lsnTo`, all from there on.
   */
  | {
      readonly kind: 'log';
      readonly offset: number;
      readonly sizeBytes?: number;
      readonly lsnFrom?: number;
      readonly lsnTo?: number;
    };

/** A key that shows what an older table says: a newer value, or a delete, may be among what is gone. */
export interface Resurfaced {
  readonly key: string;
  readonly keyHex: string;
  /** The batch that wrote what it shows. */
  readonly lsn: number;
  readonly sizeBytes: number;
}

/** Something that would be written anew, and of which nothing is lost. */
export interface Rewrite {
  readonly kind: 'superblock' | 'claim-slot' | 'log' | 'table';
  readonly offset: number;
  readonly sizeBytes: number;
}

/** What it would take to make the device sound again. */
export interface RepairPlan {
  readonly drops: readonly Drop[];
  readonly rewrites: readonly Rewrite[];
  readonly resurfaced: readonly Resurfaced[];
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
    damages: damages.map(damageReport),
    repair,
    advice: adviceFor(path, repair, report.isGrowUnfinished === true),
  };
}

/** The report of a device with what a repair of it would do. */
export function reportPlan(path: string, plan: EnginePlan): CheckReport {
  const { report, refusal } = plan;
  const repair: RepairPlan = {
    drops: [...recordDrops(plan), ...keyDrops(plan), ...plan.logLosses.flatMap(logDrop)],
    rewrites: rewritesOf(report.damages),
    resurfaced: plan.resurfaced.map(({ key, lsn, sizeBytes }) => {
      return { key: printableKey(key), keyHex: hexOfBytes(key), lsn, sizeBytes };
    }),
  };
  const { recordCount, bytesChecked, damages, isGrowUnfinished = false } = report;
  const isDamaged = damages.length > 0;
  return {
    path,
    verdict: refusal === undefined ? (isDamaged ? 'damaged' : 'sound') : 'unopenable',
    recordCount,
    bytesChecked,
    damages: damages.map(damageReport),
    ...(refusal === undefined ? {} : { corrupt: refusal }),
    repair,
    advice: [
      ...adviceFor(path, repair, isGrowUnfinished),
      ...(isDamaged || refusal !== undefined
        ? [`To make it sound, after a copy of it: dozo device check ${path} --repair`]
        : []),
      ...(plan.isPartial ? ['More than one repair is needed: repeat it until none is.'] : []),
    ],
  };
}

function damageReport({ key, keys, ...damage }: Damage): DamageReport {
  return {
    ...damage,
    ...(key === undefined ? {} : { keyHex: hexOfBytes(key) }),
    ...(keys === undefined ? {} : { fromHex: hexOfBytes(keys.from), toHex: hexOfBytes(keys.to) }),
  };
}

function recordDrops({ dropped, report }: EnginePlan): Drop[] {
  const offsets = new Map(
    report.damages.flatMap(({ key, offset }) => {
      return key === undefined ? [] : [[hexOfBytes(key), offset] as const];
    }),
  );
  return dropped.map(({ key, lsn, sizeBytes }) => {
    const keyHex = hexOfBytes(key);
    const offset = offsets.get(keyHex) ?? 0;
    return { kind: 'record', key: printableKey(key), keyHex, offset, sizeBytes, lsn };
  });
}

function keyDrops({ lostKeys }: EnginePlan): Drop[] {
  return lostKeys.map(({ from, to, hasEntries }) => ({
    kind: 'keys',
    ...{ from: printableKey(from), to: printableKey(to) },
    ...{ fromHex: hexOfBytes(from), toHex: hexOfBytes(to) },
    hasEntries,
  }));
}

function logDrop({ offset, sizeBytes, lsnFrom, lsnTo, lostCount }: LogLoss): Drop[] {
  if (lostCount === 0) return [];
  const drop = { kind: 'log', offset, sizeBytes, lsnFrom } as const;
  return [lsnTo === undefined ? drop : { ...drop, lsnTo }];
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
    repair: { drops: [{ kind: 'log', offset }], rewrites: [], resurfaced: [] },
    advice: ['Recover this device from its replicas or a backup; what can be read is still there.'],
  };
}

function planRepair(damages: readonly Damage[]): RepairPlan {
  const drops = damages.flatMap(({ key, offset, sizeBytes }): Drop[] => {
    if (key === undefined) return [];
    const names = { key: printableKey(key), keyHex: hexOfBytes(key) };
    return [{ kind: 'record', ...names, offset, sizeBytes }];
  });
  return { drops, rewrites: rewritesOf(damages), resurfaced: [] };
}

/** What is no value: its records have lines of their own where they are damaged. */
function rewritesOf(damages: readonly Damage[]): Rewrite[] {
  return damages.flatMap(({ key, segment, offset, sizeBytes, reason }): Rewrite[] => {
    if (key !== undefined) return [];
    if (segment >= 0) return [{ kind: isOfTable(reason) ? 'table' : 'log', offset, sizeBytes }];
    const kind = reason.startsWith('superblock') ? 'superblock' : 'claim-slot';
    return [{ kind, offset, sizeBytes }];
  });
}

/** Verify says in words what a damaged place belongs to. */
function isOfTable(reason: string): boolean {
  return /table|data block|the filter|the index|range deletes are not/.test(reason);
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

function repairLines({ verdict, repair, recordCount }: CheckReport): readonly string[] {
  if (verdict === 'sound') return [];
  const { drops, rewrites, resurfaced } = repair;
  const records = drops.flatMap((drop) => (drop.kind === 'record' ? [drop] : []));
  const others = drops.flatMap((drop) => (drop.kind === 'record' ? [] : [drop]));
  const lines: string[] = [];
  if (records.length > 0) {
    const count = `${records.length} ${plural('value', records.length)}`;
    lines.push(`${count} cannot be read any more; to make the device sound would drop:`);
    lines.push(
      ...listed(records.map(({ key, sizeBytes }) => `  ${key} (${formatSize(sizeBytes)})`)),
    );
  }
  if (others.length > 0 && recordCount === 0 && rewrites.length === 0 && records.length === 0) {
    lines.push('To make the device sound would drop what was logged from there on.');
  } else if (others.length > 0) {
    lines.push('What was said here is gone:', ...listed(others.map(dropText)));
  } else if (records.length === 0) {
    lines.push('Every value can be read; to make the device sound would drop nothing.');
  }
  if (resurfaced.length > 0) {
    const are = `${resurfaced.length} ${plural('key', resurfaced.length)}`;
    lines.push(
      `${are} of these may show an older value than the last, or come back after a delete:`,
    );
    lines.push(...listed(resurfaced.map(({ key, lsn }) => `  ${key} (as of batch ${lsn})`)));
  }
  if (rewrites.length > 0) {
    const count = `${rewrites.length} ${plural('structure', rewrites.length)}`;
    const rest = others.length > 0 ? 'with what is left of them' : 'of which nothing is lost';
    lines.push(`${count} would be written anew, ${rest}.`);
  }
  return lines;
}

function dropText(drop: Exclude<Drop, { readonly kind: 'record' }>): string {
  if (drop.kind === 'keys') {
    const what = drop.hasEntries ? 'keys' : 'deletes of ranges of keys';
    return `  ${what} from ${drop.from} to below ${drop.to}, in one of the tables`;
  }
  const { offset, sizeBytes = 0, lsnFrom = 0, lsnTo } = drop;
  const batches = lsnTo === undefined ? `${lsnFrom} and later` : `${lsnFrom} to ${lsnTo}`;
  return `  ${formatSize(sizeBytes)} of the log at byte ${offset}: parts of batches ${batches}`;
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
