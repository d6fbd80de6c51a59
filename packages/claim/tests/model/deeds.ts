/** What each deed of a holder writes into segments, and what it knows afterwards. */
import { assert } from '@dozo/base';
import type { CheckpointPointer } from '../../src/index.ts';
import type { Content, Group, Log, Part } from './log.ts';
import type { Deed } from './model-config.ts';

/** What a segment holds after a write. */
export interface Filled {
  readonly segment: number;
  readonly content: Content;
}

/** What a deed writes; `undefined` when it writes no segment, or nothing is to do. */
export function contentAfter(log: Log, owner: string, deed: Deed): Filled | undefined {
  const { open, parts = [], usable, nextOrdinal: ordinal } = log;
  if (deed === 'fence') {
    const segment = usable[0];
    assert(segment !== undefined, 'a segment is reserved for the fence');
    return { segment, content: { owner, ordinal, groups: [{ parts }] } };
  }
  if (deed === 'append') return more(log, 'record');
  if (deed === 'drop') return parts.length === 0 ? undefined : more(log, { parts: parts.slice(1) });
  if (deed !== 'seal' || open === undefined) return undefined;
  const segment = usable.find((other) => other !== open.segment && isUnused(log, other));
  if (segment === undefined) return undefined;
  const before = closed(open);
  const groups = [{ parts: [...parts, before] }];
  return { segment, content: { owner, ordinal, before, groups } };
}

/** What is known after a write. */
export function logAfter(log: Log, { segment, content }: Filled): Log {
  const { open } = log;
  const manifestAt = content.groups.findLastIndex((group) => group !== 'record');
  const manifest = content.groups[manifestAt];
  assert(manifest !== undefined && manifest !== 'record', 'a segment begins with a manifest');
  const isSame = open?.segment === segment && open.content.ordinal === content.ordinal;
  const nextOrdinal = isSame ? log.nextOrdinal : log.nextOrdinal + 1;
  const next = { segment, content };
  return { ...log, parts: manifest.parts, open: next, manifestAt, nextOrdinal };
}

/** The segments that recovery reads, in order. */
export function segmentsToFollow({ recoverFrom }: Log): readonly number[] {
  const checkpoint: CheckpointPointer | undefined = recoverFrom?.checkpoint;
  if (recoverFrom === undefined || checkpoint === undefined) return [];
  const { segment } = checkpoint;
  return [segment, ...recoverFrom.reservation.filter((other) => other !== segment)];
}

/** Segments of which the log needs nothing. */
export function unusedSegments(log: Log, segmentCount: number): readonly number[] {
  return Array.from({ length: segmentCount }, (_, segment) => segment).filter(
    (segment) => segment !== log.open?.segment && isUnused(log, segment),
  );
}

function isUnused({ parts = [] }: Log, segment: number): boolean {
  return !parts.some((part) => part.segment === segment);
}

function more({ open }: Log, group: Group): Filled {
  assert(open !== undefined, 'the fence is there');
  const { segment, content } = open;
  return { segment, content: { ...content, groups: [...content.groups, group] } };
}

function closed({ segment, content: { owner, ordinal, groups } }: Filled): Part {
  return { segment, owner, ordinal, end: groups.length };
}
