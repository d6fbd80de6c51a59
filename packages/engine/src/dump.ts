/**
 * What lies on a device, structure by structure, for whoever debugs it: offline and read only, also while
 * somebody writes.
 *
 * Nothing here trusts what leads to it: superblocks and slots are shown as they stand, and a segment is
 * looked through block by block, so that what recovery would not reach (remains of earlier uses, what a
 * zombie wrote) is found too. Records are shown without their values. All reads go past the page cache.
 */
import { equalBytes, hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import type { ClaimIdentity, Slot } from '@dozo/claim';
import { decodeGroupHeader, padded } from './group.ts';
import type { GroupHeader } from './group.ts';
import { inspectDevice } from './inspect-device.ts';
import type { DeviceInspection } from './inspect-device.ts';
import { BLOCK_BYTES, WALK_WINDOW_BYTES } from './limits.ts';
import { LogSource, decodeHeads } from './log-walk.ts';
import type { Manifest } from './manifest.ts';
import { readBothSuperblocks } from './read-superblock.ts';
import { headBytesOf, isValueIntact } from './record.ts';
import { readManifestOf } from './recovery.ts';
import { decodeSegmentHeader, seedOf } from './segment-header.ts';
import type { SegmentHeader } from './segment-header.ts';
import type { SuperblockReading } from './superblock.ts';
import { decodeFooter } from './table/table-footer.ts';
import type { TableContent } from './table/table-meta.ts';

/** The structures that lead to all others. */
export interface DeviceDump {
  readonly superblocks: readonly { readonly offset: number; readonly reading: SuperblockReading }[];
  readonly inspection: DeviceInspection;
  /** The claim that recovery would start from, and its manifest; absent when it cannot be read. */
  readonly recoverFrom: Slot | undefined;
  readonly manifest: Manifest | undefined;
}

/** What the first block of a segment says. */
export interface SegmentSummary {
  readonly segment: number;
  /**
   * `log`, `tables`: it has the header of a segment of that kind. `zeros`: never written, or discarded.
   * `other`: anything else.
   */
  readonly content: 'log' | 'tables' | 'zeros' | 'other' | 'unreadable';
  /** In a segment of tables the ordinal is the number of the table for which it was opened. */
  readonly header: SegmentHeader | undefined;
  /** The first bytes of what is `other`. */
  readonly magic: Uint8Array | undefined;
}

/** A record of a group; offsets are bytes in the segment. */
export interface DumpedRecord {
  readonly offset: number;
  readonly type: number;
  readonly key: Uint8Array;
  readonly lsn: number;
  readonly valueBytes: number;
  readonly isValueIntact: boolean;
}

/** What was found at a place in a segment. Offsets are bytes in the segment. */
export type SegmentItem =
  | {
      readonly kind: 'group';
      readonly offset: number;
      readonly header: GroupHeader;
      /** Whose it is. */
      readonly identity: ClaimIdentity;
      /** It continues the use that the segment's header names. Otherwise it is left from something else. */
      readonly isInSequence: boolean;
      /** Absent when a head among them is damaged. */
      readonly records: readonly DumpedRecord[] | undefined;
    }
  | { readonly kind: 'table'; readonly offset: number; readonly content: TableContent };

/** How often a manifest is looked for that has moved on meanwhile. */
const TRIES_MAX = 5;

/** Reads superblocks, ring and manifest. Rejects as `inspectDevice` does. */
export async function dumpDevice(device: Device): Promise<DeviceDump> {
  for (let tries = 1; ; tries++) {
    const inspection = await inspectDevice(device);
    const { superblock, ring } = inspection;
    const recoverFrom = ring.newestWithCheckpoint;
    const manifest =
      recoverFrom === undefined ? undefined : await readManifestOf(device, superblock, recoverFrom);
    if (recoverFrom !== undefined && manifest === undefined && tries < TRIES_MAX) continue;
    const superblocks = await readBothSuperblocks(device, superblock);
    return { superblocks, inspection, recoverFrom, manifest };
  }
}

/** The first blocks of segments `[from, to)`. Rejects with the device's errors, but for failed reads. */
export async function* dumpSegments(
  device: Device,
  { superblock }: DeviceInspection,
  range: { readonly from: number; readonly to: number },
): AsyncGenerator<SegmentSummary> {
  const source = new LogSource(device, superblock.geometry, 'uncached');
  const to = Math.min(range.to, superblock.geometry.segmentCount);
  for (let segment = range.from; segment < to; segment++) {
    const block = await readUnlessBroken(source, segment, 0, BLOCK_BYTES);
    if (block === undefined) {
      yield { segment, content: 'unreadable', header: undefined, magic: undefined };
      continue;
    }
    const log = decodeSegmentHeader(block);
    const header = log ?? decodeSegmentHeader(block, 'tables');
    const content = log === undefined ? 'tables' : 'log';
    const isOurs = header !== undefined && equalBytes(header.deviceId, superblock.deviceId);
    if (isOurs) yield { segment, content, header, magic: undefined };
    else if (block.every((byte) => byte === 0)) {
      yield { segment, content: 'zeros', header: undefined, magic: undefined };
    } else yield { segment, content: 'other', header: undefined, magic: block.slice(0, 8) };
  }
}

/**
 * Everything that can be recognised in a segment, front to back: groups of the claim that its header names
 * and of all that the ring remembers, and tables. Rejects with the device's errors, but for failed reads,
 * which are passed over.
 */
export async function* dumpSegment(
  device: Device,
  { superblock, claims }: DeviceInspection,
  segment: number,
): AsyncGenerator<SegmentItem> {
  const source = new LogSource(device, superblock.geometry, 'uncached');
  const first = await readUnlessBroken(source, segment, 0, BLOCK_BYTES);
  const own = first && decodeSegmentHeader(first);
  // Its ordinal is from another count, but whoever wrote tables here wrote a log too.
  const begin = own ?? (first && decodeSegmentHeader(first, 'tables'));
  const writers = [...(begin === undefined ? [] : [begin]), ...claims].map(({ identity }) => ({
    identity,
    seed: seedOf(identity),
  }));
  const end = superblock.geometry.segmentStrideBytes;
  let next = { offset: BLOCK_BYTES, index: 0 };
  let start = BLOCK_BYTES;
  while (start < end) {
    const window = await readUnlessBroken(
      source,
      segment,
      start,
      Math.min(WALK_WINDOW_BYTES, end - start),
    );
    if (window === undefined) {
      start += WALK_WINDOW_BYTES;
      continue;
    }
    let at = 0;
    while (at < window.length) {
      const offset = start + at;
      const found = findGroup(window, at, { segment, offset, end, writers });
      if (found === undefined) {
        const content = decodeFooter(window.subarray(at, at + BLOCK_BYTES));
        at += BLOCK_BYTES;
        if (content !== undefined) {
          yield { kind: 'table', offset: start + at - content.sizeBytes, content };
        }
        continue;
      }
      const { header } = found;
      const groupBytes = padded(header.sizeBytes);
      const isWhole = at + groupBytes <= window.length;
      const bytes = isWhole
        ? window.subarray(at, at + groupBytes)
        : await readUnlessBroken(source, segment, offset, groupBytes);
      const isInSequence =
        own?.ordinal === header.segmentOrdinal &&
        next.offset === offset &&
        next.index === header.index;
      if (isInSequence) next = { offset: offset + groupBytes, index: header.index + 1 };
      yield {
        kind: 'group',
        offset,
        ...found,
        isInSequence,
        records: recordsOf(bytes, found, offset),
      };
      at += groupBytes;
    }
    start += at;
  }
}

interface Writer {
  readonly identity: ClaimIdentity;
  readonly seed: number;
}

interface FoundGroup extends Writer {
  readonly header: GroupHeader;
}

/** The group that begins at a block, whoever wrote it. */
function findGroup(
  window: Uint8Array,
  at: number,
  where: {
    readonly segment: number;
    readonly offset: number;
    readonly end: number;
    readonly writers: readonly Writer[];
  },
): FoundGroup | undefined {
  for (const writer of where.writers) {
    const header = decodeGroupHeader(window, at, writer.seed);
    if (header === undefined || header.sizeBytes === 0) continue;
    const isHere = header.segment === where.segment && header.offset === where.offset;
    if (isHere && where.offset + padded(header.sizeBytes) <= where.end)
      return { header, ...writer };
  }
  return undefined;
}

function recordsOf(
  bytes: Uint8Array | undefined,
  { header, seed }: FoundGroup,
  offset: number,
): readonly DumpedRecord[] | undefined {
  if (bytes === undefined) return undefined;
  return decodeHeads(bytes, 0, header, seed)?.map((head) => ({
    offset: offset + head.valueStart - headBytesOf(head.keyEnd - head.keyStart, head.valueBytes),
    type: head.type,
    key: bytes.slice(head.keyStart, head.keyEnd),
    lsn: head.lsn,
    valueBytes: head.valueBytes,
    isValueIntact: isValueIntact(bytes, head, seed),
  }));
}

async function readUnlessBroken(
  source: LogSource,
  segment: number,
  offset: number,
  sizeBytes: number,
): Promise<Uint8Array | undefined> {
  try {
    return await source.read(segment, offset, sizeBytes);
  } catch (error) {
    if (hasCode(error, 'DEVICE_READ_FAILED')) return undefined;
    throw error;
  }
}
