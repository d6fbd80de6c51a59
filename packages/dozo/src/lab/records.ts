/**
 * Records with known content: what the daemons of the lab write, and how it is judged later.
 *
 * A value follows from its key and its version alone, so whoever reads it can tell the right bytes
 * from old ones and from anybody else's.
 */
import { hash } from 'node:crypto';

/** `version` counts the writes of one key, from 1 on. */
export interface LabRecord {
  readonly key: string;
  readonly version: number;
}

/**
 * What must be found of one key: a version in `[minVersion, maxVersion]`. With `minVersion` 0 the key
 * may also be absent.
 */
export interface ExpectedRecord {
  readonly key: string;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** What was found of all that had to be there. */
export interface Audit {
  /** Keys that had to be there, and those that were there although they did not have to. */
  readonly expectedCount: number;
  readonly intactCount: number;
  /** Not found at all. */
  readonly lostCount: number;
  /** An older version than the one that was acknowledged. */
  readonly staleCount: number;
  /** Other bytes than any version of this key has, or an error of the store. */
  readonly damagedCount: number;
  /** A version that was written after its writer had lost the device. */
  readonly intruderCount: number;
}

/** What a store answers for a key: its bytes, nothing, or that it cannot read them. */
export type Answer = Uint8Array | 'absent' | 'unreadable';

type Finding = 'intact' | 'lost' | 'stale' | 'damaged' | 'intruder' | 'rightly absent';

/** The value of a record: a first line that names it, then bytes that follow from that line. */
export function recordValue({ key, version }: LabRecord, sizeBytes: number): Uint8Array {
  const head = `${key} version ${version}\n`;
  const filler = hash('sha256', head, 'hex');
  const copies = Math.ceil(Math.max(0, sizeBytes - head.length) / filler.length);
  return Buffer.from((head + filler.repeat(copies)).slice(0, sizeBytes));
}

/**
 * What must be found of what a daemon has acknowledged, in the order in which it did.
 *
 * The first `certainCount` writes for certain; those up to `possibleCount` perhaps; those after it not at
 * all, because by then the disk was another's. One write is always under way: the next one after
 * `possibleCount` may be found, and where nothing followed, one more version of any key.
 */
export function expectedOf(
  log: readonly LabRecord[],
  certainCount = log.length,
  possibleCount = log.length,
): ExpectedRecord[] {
  const certain = versionsOf(log.slice(0, certainCount));
  const possible = versionsOf(log.slice(0, possibleCount + 1));
  const unreportedCount = possibleCount >= log.length ? 1 : 0;
  return [...versionsOf(log).keys()].map((key) => ({
    key,
    minVersion: certain.get(key) ?? 0,
    maxVersion: (possible.get(key) ?? 0) + unreportedCount,
  }));
}

/** The keys of these records. */
export function keysOf(log: readonly LabRecord[]): Set<string> {
  return new Set(log.map(({ key }) => key));
}

function versionsOf(log: readonly LabRecord[]): Map<string, number> {
  return new Map(log.map(({ key, version }) => [key, version]));
}

/** Reads every expected record with `read` and counts what it finds. */
export async function auditRecords(
  expected: readonly ExpectedRecord[],
  sizeBytes: number,
  read: (key: string) => Answer | Promise<Answer>,
): Promise<Audit> {
  const counts: Record<Finding, number> = {
    intact: 0,
    lost: 0,
    stale: 0,
    damaged: 0,
    intruder: 0,
    'rightly absent': 0,
  };
  for (const record of expected) {
    counts[judge(record, sizeBytes, await read(record.key))] += 1;
  }
  return {
    expectedCount: expected.length - counts['rightly absent'],
    intactCount: counts.intact,
    lostCount: counts.lost,
    staleCount: counts.stale,
    damagedCount: counts.damaged,
    intruderCount: counts.intruder,
  };
}

function judge(expected: ExpectedRecord, sizeBytes: number, answer: Answer): Finding {
  if (answer === 'absent') return expected.minVersion === 0 ? 'rightly absent' : 'lost';
  if (answer === 'unreadable') return 'damaged';
  const version = versionIn(expected.key, sizeBytes, answer);
  if (version === undefined) return 'damaged';
  if (version < expected.minVersion) return 'stale';
  return version > expected.maxVersion ? 'intruder' : 'intact';
}

/** Which version of the key these bytes are, each one compared; undefined: none. */
function versionIn(key: string, sizeBytes: number, value: Uint8Array): number | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const lineEnd = bytes.indexOf('\n');
  const digits = / version (\d{1,9})$/.exec(bytes.toString('latin1', 0, Math.max(0, lineEnd)));
  if (digits === null) return undefined;
  const version = Number(digits[1]);
  return bytes.equals(recordValue({ key, version }, sizeBytes)) ? version : undefined;
}
