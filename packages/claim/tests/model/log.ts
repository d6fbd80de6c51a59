/**
 * The least engine that layer L4 can be tried with: segments that are filled front to back, manifests
 * that name closed segments and their ends, a fence, and what a reservation permits. Only ownership is
 * modelled; a group holds nothing but a manifest or a record.
 */
import type { CheckpointPointer, ClaimIdentity, Slot } from '../../src/index.ts';

/** A closed piece of the log that is valid up to `end` groups. */
export interface Part {
  readonly segment: number;
  readonly owner: string;
  readonly ordinal: number;
  readonly end: number;
}

/** What one use of a segment has written. */
export interface Content {
  readonly owner: string;
  readonly ordinal: number;
  /** The end of the segment before it in the log of the same claim. */
  readonly before?: Part;
  readonly groups: readonly Group[];
}

/** A group is a manifest, which names the closed log, or a record. */
export type Group = { readonly parts: readonly Part[] } | 'record';

/** What a claimant knows of the disk. */
export interface Log {
  /** Lower claims that are not proved dead, as the ring showed them when this one entered. */
  readonly quarantined: readonly Slot[];
  /** Names of those of them that have shown to be dead since: the next write of the slot says so. */
  readonly forgiven: readonly string[];
  readonly recoverFrom?: Slot;
  /** Absent before the checkpoint was read. */
  readonly parts?: readonly Part[];
  /** While the log is followed: the last segment that was found. */
  readonly tail?: Part;
  /** What it has written to the segment that it fills. */
  readonly open?: { readonly segment: number; readonly content: Content };
  readonly nextOrdinal: number;
  /** The group of the newest manifest in the open segment. */
  readonly manifestAt: number;
  /** Segments that it writes without asking. */
  readonly usable: readonly number[];
}

/** A claim's name in the model. */
export function nameOf({ incarnation, nonce }: ClaimIdentity): string {
  return `${incarnation}/${nonce[0] ?? 0}`;
}

/** A text that tells contents apart. */
export function contentKey(content: Content | undefined): string {
  if (content === undefined) return '';
  const { owner, ordinal, before, groups } = content;
  const texts = groups.map((group) => (group === 'record' ? 'r' : group.parts.map(partKey).join()));
  return `${owner}:${ordinal}:${before === undefined ? '' : partKey(before)}:${texts.join(';')}`;
}

/** A text that tells parts apart. */
export function partKey({ segment, owner, ordinal, end }: Part): string {
  return `${segment}.${owner}.${ordinal}.${end}`;
}

/** Whether a segment still holds a part. */
export function isIntact(part: Part, content: Content | undefined): boolean {
  return (
    content?.owner === part.owner &&
    content.ordinal === part.ordinal &&
    content.groups.length >= part.end
  );
}

/** The parts that a checkpoint names, its own segment included; `undefined` when it is not there. */
export function partsAt(
  pointer: CheckpointPointer,
  owner: string,
  content: Content | undefined,
): readonly Part[] | undefined {
  const { segment, segmentOrdinal: ordinal, groupOffset } = pointer;
  const part = { segment, owner, ordinal, end: groupOffset + 1 };
  const group = content?.groups[groupOffset];
  if (!isIntact(part, content) || group === undefined || group === 'record') return undefined;
  return [...group.parts, part];
}

/**
 * One step of recovery: what the segment that is read now adds. The first one is that of the
 * checkpoint, and later ones are tried in the order of the reservation.
 */
export function follow(log: Log, segment: number, content: Content | undefined): Log {
  const from = log.recoverFrom as Slot;
  const owner = nameOf(from.identity);
  const { tail, parts = [] } = log;
  if (tail === undefined) {
    const pointer = from.checkpoint as CheckpointPointer;
    const pointed = partsAt(pointer, owner, content);
    if (pointed === undefined || content === undefined) return log;
    return endAt(log, pointed.slice(0, -1), { segment, content });
  }
  const isNext =
    content?.owner === owner &&
    content.before?.segment === tail.segment &&
    content.before.ordinal === tail.ordinal &&
    content.before.end === tail.end;
  return isNext ? endAt(log, parts, { segment, content }) : log;
}

/**
 * What a manifest further on has dropped is kept all the same: the slot still leads to this checkpoint,
 * and whoever comes after a crash needs what it names.
 */
function endAt(
  log: Log,
  parts: readonly Part[],
  { segment, content }: { readonly segment: number; readonly content: Content },
): Log {
  const { owner, ordinal, groups } = content;
  const tail = { segment, owner, ordinal, end: groups.length };
  return { ...log, parts: [...parts, tail], tail, nextOrdinal: ordinal + 1 };
}
