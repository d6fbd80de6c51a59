/**
 * Finds the segments of a damaged log: whose each one is, and for the how-manieth time.
 *
 * Its header tells it. Where that is damaged the slots and the groups in it do.
 */
import { equalBytes } from '@dozo/base';
import type { Ring, Slot } from '@dozo/claim';
import { decodeGroupHeader } from './group.ts';
import { BLOCK_BYTES } from './limits.ts';
import type { LogSource, SegmentUse } from './log-walk.ts';
import { decodeSegmentHeader, seedOf } from './segment-header.ts';
import type { SegmentHeader } from './segment-header.ts';

/** One use of a segment by one claim of the chain. */
export interface LogUse extends SegmentUse {
  readonly slot: Slot;
  readonly header: SegmentHeader | undefined;
}

/** The newest claim, and before it those that have given the device back; the newest first. */
export function chainOf(ring: Ring, newest: Slot): Slot[] {
  const slots = ring.slots
    .flatMap(({ slot }) => (slot?.checkpoint === undefined ? [] : [slot]))
    .filter(({ identity }) => identity.incarnation < newest.identity.incarnation)
    .sort((left, right) => right.identity.incarnation - left.identity.incarnation);
  const chain = [newest];
  for (const slot of slots) {
    if (slot.state !== 'released' || slot.logEnd === undefined) break;
    chain.push(slot);
  }
  return chain;
}

/** What {@link findUses} found. */
export interface FoundUses {
  /** The last one of the log first. */
  readonly uses: readonly LogUse[];
  /** Higher than the ordinal in any header that can be read. */
  readonly nextOrdinal: number;
}

/** The uses of segments by the claims of a chain. Rejects with the device's read errors. */
export async function findUses(source: LogSource, chain: readonly Slot[]): Promise<FoundUses> {
  const uses: LogUse[] = [];
  let nextOrdinal = 1;
  for (let segment = 0; segment < source.geometry.segmentCount; segment++) {
    const block = await source.read(segment, 0, BLOCK_BYTES);
    const header = decodeSegmentHeader(block);
    if (header !== undefined) nextOrdinal = Math.max(nextOrdinal, header.ordinal + 1);
    const isOfTables = decodeSegmentHeader(block, 'tables') !== undefined;
    const found =
      header === undefined && !isOfTables
        ? await headlessUse(source, segment, chain)
        : headedUse(header, segment, chain);
    if (found !== undefined && !isBeyondEnd(found)) uses.push(found);
  }
  uses.sort(
    (left, right) =>
      right.slot.identity.incarnation - left.slot.identity.incarnation ||
      right.ordinal - left.ordinal,
  );
  return { uses, nextOrdinal };
}

/** Whether the claim's log ended before this use: what was begun here was never flushed with success. */
function isBeyondEnd({ slot, ordinal }: LogUse): boolean {
  const { logEnd, failedFlush, state } = slot;
  const isExact = failedFlush !== undefined || state === 'released';
  return isExact && logEnd !== undefined && ordinal > logEnd.segmentOrdinal;
}

function headedUse(
  header: SegmentHeader | undefined,
  segment: number,
  chain: readonly Slot[],
): LogUse | undefined {
  if (header?.segment !== segment) return undefined;
  const { identity, ordinal } = header;
  const slot = chain.find((one) => equalBytes(one.identity.nonce, identity.nonce));
  if (slot === undefined) return undefined;
  return { segment, ordinal, seed: seedOf(slot.identity), slot, header };
}

/** Without its header, a slot or the groups in it tell whose a segment is. */
async function headlessUse(
  source: LogSource,
  segment: number,
  chain: readonly Slot[],
): Promise<LogUse | undefined> {
  for (const slot of chain) {
    const named = [slot.checkpoint, slot.logEnd].find((place) => place?.segment === segment);
    if (named === undefined) continue;
    const { segmentOrdinal: ordinal } = named;
    return { segment, ordinal, seed: seedOf(slot.identity), slot, header: undefined };
  }
  const bytes = await source.read(segment, 0, source.geometry.segmentStrideBytes);
  for (const slot of chain) {
    const seed = seedOf(slot.identity);
    let ordinal = 0;
    for (let at = BLOCK_BYTES; at < bytes.length; at += BLOCK_BYTES) {
      const group = decodeGroupHeader(bytes, at, seed);
      // A group of an earlier use has a lower one.
      if (group?.segment === segment && group.offset === at) {
        ordinal = Math.max(ordinal, group.segmentOrdinal);
      }
    }
    if (ordinal > 0) return { segment, ordinal, seed, slot, header: undefined };
  }
  return undefined;
}
