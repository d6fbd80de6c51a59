/**
 * Verifies a part of the log that the next start would replay: its groups, and of its records the values that
 * replay takes into memory, which are the short ones and the ends of range deletes.
 *
 * Long values are verified where the tree points to them, checkpoint pages and the newest manifest for
 * themselves; a record that a later one of its key has replaced is needed by nobody. The newest group is an
 * exception: a start that does not know of its flush takes it whole or not at all, so everything in it counts.
 *
 * A running engine has good copies of all that replay would take. So what is found here costs nothing while it
 * runs, and nothing at all once a flush has made that part of the log superfluous.
 */
import { binaryStringOf, bytesOfBinaryString, hasCode } from '@dozo/base';
import type { Damage } from './engine-types.ts';
import { DAMAGES_LISTED_MAX } from './limits.ts';
import type { LogSource, SegmentUse, WalkedGroup } from './log-walk.ts';
import { padded } from './group.ts';
import type { LogPart } from './manifest.ts';
import type { MaybePromise } from './maybe-promise.ts';
import { RECORD_DELETE_RANGE, RECORD_PUT, headBytesOf, isValueIntact } from './record.ts';
import type { RecordHead } from './record.ts';
import { seedOf } from './segment-header.ts';
import { isInline } from './space.ts';
import { ENTRY_POINTER } from './tree/tree-entry.ts';
import type { TreeEntry } from './tree/tree-entry.ts';
import { readUnlessBroken } from './verify-values.ts';

/** A record with an intact head of which the value is damaged. Offsets are bytes in the segment. */
interface DamagedRecord {
  readonly type: RecordHead['type'];
  readonly name: string;
  readonly lsn: number;
  readonly isShort: boolean;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly isInNewestGroup: boolean;
}

/** What is not right in a part. */
interface PartDamage {
  /** Where its first group lies that is not whole; the end of the part where all are. */
  readonly end: number;
  /** In the groups before that one; at most {@link DAMAGES_LISTED_MAX}. */
  readonly records: readonly DamagedRecord[];
}

export interface LogVerification {
  /** Looks, and where something is wrong looks again past the page cache: that counts. */
  readonly twice: <Result>(
    look: (source: LogSource) => Promise<Result | undefined>,
  ) => Promise<Result | undefined>;
  readonly source: LogSource;
  /** What a key has now. The caller has entered the table of segments. */
  readonly lookUp: (name: string) => MaybePromise<TreeEntry | undefined>;
  readonly report: (damage: Damage) => void;
  /** Throws when the verification is not wanted any more. */
  readonly stopIfUnwanted: () => void;
}

/**
 * Verifies a part.
 *
 * @param newestEnd where in the part the newest group of a log ends that is still written; absent where
 *   there is none.
 */
export async function verifyLogPart(
  options: LogVerification,
  part: LogPart,
  newestEnd: number | undefined,
): Promise<void> {
  const { source, report, stopIfUnwanted } = options;
  const { segment } = part;
  const damage = await options.twice((from) => look(from, part, newestEnd, stopIfUnwanted));
  if (damage === undefined) return;
  for (const record of damage.records) {
    const said = await judge(options, part, record);
    if (said === undefined) continue;
    const { offset, sizeBytes } = record;
    report({ segment, offset: source.place(segment, offset), sizeBytes, ...said });
  }
  if (damage.end >= part.end) return;
  report({
    segment,
    offset: source.place(segment, damage.end),
    sizeBytes: part.end - damage.end,
    reason: 'a group of the log is damaged; opening the device will be refused',
  });
}

/** What is not right; `undefined`: nothing. */
async function look(
  source: LogSource,
  part: LogPart,
  newestEnd: number | undefined,
  stopIfUnwanted: () => void,
): Promise<PartDamage | undefined> {
  const use = { ...part, seed: seedOf(part.identity) };
  const records: DamagedRecord[] = [];
  const reached = await readUnlessBroken(() =>
    source.walk(use, part, (group) => {
      stopIfUnwanted();
      if (group.heads === undefined) return false;
      collectDamaged(records, use, group, newestEnd);
      return true;
    }),
  );
  const end = Math.min(reached?.offset ?? part.start, part.end);
  return end === part.end && records.length === 0 ? undefined : { end, records };
}

function collectDamaged(
  records: DamagedRecord[],
  { seed }: SegmentUse,
  { header, bytes, at, heads = [] }: WalkedGroup,
  newestEnd: number | undefined,
): void {
  const isInNewestGroup = header.offset + padded(header.sizeBytes) === newestEnd;
  for (const head of heads) {
    const { type, lsn, keyStart, keyEnd, valueBytes } = head;
    const isShort = type === RECORD_PUT && isInline(valueBytes);
    if (!isShort && type !== RECORD_DELETE_RANGE && !isInNewestGroup) continue;
    if (records.length >= DAMAGES_LISTED_MAX || isValueIntact(bytes, head, seed)) continue;
    const headBytes = headBytesOf(keyEnd - keyStart, valueBytes);
    records.push({
      ...{ type, lsn, isShort, isInNewestGroup },
      name: binaryStringOf(bytes, keyStart, keyEnd),
      offset: header.offset - at + head.valueStart - headBytes,
      sizeBytes: headBytes + valueBytes,
    });
  }
}

/** What a damaged record costs; `undefined` when it costs nothing, or is reported with the values. */
async function judge(
  { lookUp }: LogVerification,
  { ordinal }: LogPart,
  record: DamagedRecord,
): Promise<Pick<Damage, 'key' | 'lsn' | 'reason'> | undefined> {
  const { type, name, lsn, offset, isShort, isInNewestGroup } = record;
  if (type === RECORD_DELETE_RANGE) {
    return {
      reason: 'the end of a range delete in the log is damaged; opening the device will be refused',
    };
  }
  if (isShort) {
    const entry = await unlessDamaged(async () => lookUp(name));
    // A start has read it before, and knows where it lies.
    const isPointed =
      entry !== 'damaged' &&
      entry?.kind === ENTRY_POINTER &&
      entry.ordinal === ordinal &&
      entry.offset === offset;
    if (isPointed) return undefined;
    if (entry === 'damaged' || entry?.lsn === lsn) {
      const reason = 'its short value in the log is damaged; the next start would not have it';
      return { key: bytesOfBinaryString(name), lsn, reason };
    }
  }
  if (!isInNewestGroup) return undefined;
  return { reason: 'the newest group of the log is damaged; the next start may not count it' };
}

/** Where the tree cannot say what a key has, the record may be what counts. */
async function unlessDamaged<Result>(read: () => Promise<Result>): Promise<Result | 'damaged'> {
  try {
    return await read();
  } catch (error) {
    if (hasCode(error, 'INDEX_DAMAGED')) return 'damaged';
    throw error;
  }
}
