/**
 * Recovery: from the slot's pointer to the tree and a memtable, without writing anything.
 *
 * 1. The newest claim that has written a manifest names it in its slot.
 * 2. The manifest names the pages of a checkpoint and the closed parts of the log since. They
 *    were flushed before the manifest was: anything unreadable in them is damage, and refused.
 * 3. From the manifest's own group on the log is open ended: first the rest of that segment, then the
 *    segments of the claim's reservation that name each other as predecessor. Only the very last
 *    group can be torn, because each was flushed before the next was begun. So an unreadable place is
 *    the end of the log only if no later group, no later segment and no note in the slot shows that
 *    the log went on; otherwise it is damage. A group whose heads are intact is taken even then:
 *    reading the damaged value will say so.
 *
 * The claimed device's former holder may still be writing while this reads. What it appends is either
 * seen whole or not at all, and a place that seemed torn and is followed by a later group is read once
 * more: the later one was begun only after the earlier had become durable.
 *
 * All of it is read past the page cache: it may show what another machine has overwritten since, and
 * after a flush that failed what is not on the disk. The holder notes such a failure together with how
 * far the log was durable, and exactly that much is taken.
 *
 * The position in the log decides which record of a key is the newest: a record that reclaim moved
 * keeps its LSN and stands later.
 */
import { CodecError, crc32c, equalBytes, hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import type { ClaimIdentity, Slot } from '@dozo/claim';
import { Catalog } from './catalog.ts';
import { NO_HISTORY } from './claim-history.ts';
import type { ClaimHistory, Fence } from './claim-history.ts';
import { corrupt } from './errors.ts';
import type { EngineError } from './errors.ts';
import { decodeCheckpointPage } from './checkpoint-page.ts';
import type { PlacedTable } from './checkpoint-page.ts';
import { BLOCK_BYTES } from './limits.ts';
import { LogSource, areValuesIntact } from './log-walk.ts';
import type { SegmentUse, WalkedGroup } from './log-walk.ts';
import { decodeManifest } from './manifest.ts';
import type { LogPart, Manifest, PagePlace } from './manifest.ts';
import {
  RECORD_CHECKPOINT_PAGE,
  RECORD_MANIFEST,
  decodeRecordHead,
  headBytesOf,
  isValueIntact,
} from './record.ts';
import { Replayer } from './replay.ts';
import { decodeSegmentHeader } from './segment-header.ts';
import type { SegmentHeader } from './segment-header.ts';
import type { Superblock } from './superblock.ts';
import type { TestSwitches } from './test-switches.ts';

/** What recovery found: everything that a new holder starts from. */
export interface Recovered {
  readonly catalog: Catalog;
  readonly nextLsn: number;
  readonly nextOrdinal: number;
  /** Number of the checkpoint that `pages` make up, 0 for none, and the highest number ever used. */
  readonly checkpoint: number;
  readonly lastCheckpoint: number;
  readonly pages: readonly PagePlace[];
  /**
   * The log since that checkpoint, all of it closed, up to its last group. Parts without anything but
   * manifests are left out: a row of starts that do nothing must not fill the device.
   */
  readonly parts: readonly LogPart[];
  /** What the manifest remembers of other claims, the fences of this start included. */
  readonly history: ClaimHistory;
  readonly bytesRead: number;
}

/** Where the log of the claim that was recovered ends. */
export type RecoveredEnd = Pick<Fence, 'segment' | 'ordinal' | 'end'>;

/** What to recover, and how. */
export interface RecoverOptions {
  /** The claim that recovery starts from; absent on a device that never had one with a manifest. */
  readonly from: Slot | undefined;
  /**
   * Sets fences, given those of the manifest and where the log of `from` ends: the segments that they
   * name are quarantined. Default: sets none, and quarantines nothing.
   */
  readonly setFences?: (history: ClaimHistory, end: RecoveredEnd | undefined) => readonly Fence[];
  readonly switches?: TestSwitches;
}

/** The seed of all checksums of a claim's records. */
export function seedOf(identity: ClaimIdentity): number {
  return crc32c(identity.nonce);
}

/** Recovers a device. Rejects with `DEVICE_CORRUPT` and the device's read errors. */
export async function recover(
  device: Device,
  superblock: Superblock,
  options: RecoverOptions,
): Promise<Recovered> {
  const recovery = new Recovery(device, superblock, options.switches ?? {});
  if (options.from !== undefined) await recovery.run(options.from);
  return recovery.finish(options);
}

/**
 * The manifest that a claim's slot names, past the page cache; `undefined` when its segment has been
 * used again since, or it is damaged. For forensics. Rejects with the device's read errors.
 */
export async function readManifestOf(
  device: Device,
  superblock: Superblock,
  slot: Slot,
): Promise<Manifest | undefined> {
  try {
    return await new Recovery(device, superblock, {}).manifestOf(slot);
  } catch (error) {
    if (hasCode(error, 'DEVICE_CORRUPT')) return undefined;
    throw error;
  }
}

class Recovery {
  readonly #source: LogSource;
  readonly #superblock: Superblock;
  readonly #switches: TestSwitches;
  readonly #catalog: Catalog;
  readonly #replayer: Replayer;
  #parts: LogPart[] = [];
  #pages: readonly PagePlace[] = [];
  /** All segments that the manifest on the device needs, those of empty parts included. */
  readonly #needed = new Set<number>();
  #nextOrdinal = 1;
  #checkpoint = 0;
  #history: ClaimHistory = NO_HISTORY;
  #end: RecoveredEnd | undefined;

  constructor(device: Device, superblock: Superblock, switches: TestSwitches) {
    const mode = switches.cachedRecovery === true ? 'cached' : 'uncached';
    this.#source = new LogSource(device, superblock.geometry, mode);
    this.#superblock = superblock;
    this.#switches = switches;
    this.#catalog = new Catalog(superblock.geometry.segmentCount, switches);
    this.#replayer = new Replayer(this.#catalog);
  }

  async run(slot: Slot): Promise<void> {
    const start = await this.#readPointer(slot);
    const { manifest } = start;
    for (const part of manifest.parts) {
      const isThere = this.#isPlace(part.segment, part.start, part.end);
      if (!isThere) throw this.#corruptManifest(start, 'a part of the log lies outside the device');
    }
    this.#replayer.nextLsn = manifest.nextLsn;
    this.#nextOrdinal = manifest.nextOrdinal;
    this.#checkpoint = manifest.checkpoint;
    this.#replayer.lastCheckpoint = manifest.checkpoint;
    this.#pages = manifest.pages;
    this.#history = manifest.history;
    await this.#loadCheckpoint(manifest, start.use);
    for (const part of manifest.parts) await this.#replayPart(part);
    await this.#replayTail(slot, start);
  }

  async manifestOf(slot: Slot): Promise<Manifest> {
    return (await this.#readPointer(slot)).manifest;
  }

  finish({ setFences }: RecoverOptions): Recovered {
    const fences = setFences?.(this.#history, this.#end) ?? [];
    const quarantined =
      this.#switches.ignoreQuarantine === true
        ? new Set<number>()
        : segmentsOf(fences, this.#superblock.geometry.segmentCount);
    this.#catalog.segments.finishRecovery(this.#needed, quarantined);
    this.#catalog.segments.setPages(this.#pages);
    return {
      catalog: this.#catalog,
      nextLsn: this.#replayer.nextLsn,
      nextOrdinal: this.#nextOrdinal,
      checkpoint: this.#checkpoint,
      lastCheckpoint: this.#replayer.lastCheckpoint,
      pages: this.#pages,
      parts: this.#parts,
      history: setFences === undefined ? this.#history : { ...this.#history, fences },
      bytesRead: this.#source.bytesRead,
    };
  }

  async #readPointer(slot: Slot): Promise<LogStart> {
    const { checkpoint, identity } = slot;
    if (checkpoint === undefined) throw this.#corrupt(0, 0, 'the slot names no manifest');
    const { segment, segmentOrdinal: ordinal } = checkpoint;
    if (segment >= this.#superblock.geometry.segmentCount) {
      throw this.#corrupt(0, 0, `the slot names segment ${segment}, which does not exist`);
    }
    const use = { segment, ordinal, seed: seedOf(identity) };
    const offset = checkpoint.groupOffset - this.#source.place(segment, 0);
    let found: { manifest: Manifest; firstGroup: number } | undefined;
    const header = await this.#readHeader(segment);
    if (header?.ordinal === ordinal && equalBytes(header.identity.nonce, identity.nonce)) {
      found = await this.#readManifest(use, offset);
    }
    if (found === undefined) {
      throw this.#corrupt(segment, offset, 'the manifest that the newest claim names is damaged');
    }
    return { use, identity, offset, ...found };
  }

  async #readManifest(
    use: SegmentUse,
    offset: number,
  ): Promise<{ manifest: Manifest; firstGroup: number } | undefined> {
    const { segmentStrideBytes } = this.#superblock.geometry;
    if (offset < BLOCK_BYTES || offset % BLOCK_BYTES !== 0 || offset >= segmentStrideBytes) {
      return undefined;
    }
    const firstGroup = await this.#source.peekGroupIndex(use, offset);
    if (firstGroup === undefined) return undefined;
    let manifest: Manifest | undefined;
    await this.#source.walk(
      use,
      { start: offset, end: segmentStrideBytes, firstGroup },
      (group) => {
        const head = group.heads?.[0];
        if (head?.type === RECORD_MANIFEST && isValueIntact(group.bytes, head, use.seed)) {
          const value = group.bytes.subarray(head.valueStart, head.valueStart + head.valueBytes);
          manifest = this.#decode(use, offset, () => decodeManifest(value));
        }
        return false;
      },
    );
    return manifest === undefined ? undefined : { manifest, firstGroup };
  }

  async #loadCheckpoint(manifest: Manifest, own: SegmentUse): Promise<void> {
    const seeds = new Map(manifest.parts.map((part) => [part.ordinal, seedOf(part.identity)]));
    seeds.set(own.ordinal, own.seed);
    const tables: PlacedTable[] = [];
    for (const page of manifest.pages) {
      const seed = seeds.get(page.ordinal);
      const reason = 'a page of the checkpoint is damaged';
      if (seed === undefined) throw this.#corrupt(page.segment, page.offset, reason);
      const value = await readPage(this.#source, page, manifest.checkpoint, seed);
      if (value === undefined) throw this.#corrupt(page.segment, page.offset, reason);
      const content = this.#decode(page, page.offset, () => decodeCheckpointPage(value));
      if (content.kind === 'tables') tables.push(...content.tables);
      else if (content.kind === 'counters') this.#catalog.restoreCounters(content.counters);
      else {
        for (const row of content.rows) {
          const isThere = this.#isPlace(row.segment, 0, row.end);
          const outside = 'it names a piece of log outside the device';
          if (!isThere) throw this.#corrupt(page.segment, page.offset, outside);
          this.#catalog.restoreRow(row);
        }
      }
    }
    const isOutside = tables.some(
      ({ meta }) => !this.#isPlace(meta.segment, meta.offset, meta.offset + meta.sizeBytes),
    );
    const problem = isOutside
      ? 'a table lies outside the device'
      : this.#catalog.restoreTables(tables);
    if (problem !== undefined) {
      const first = manifest.pages[0] ?? { segment: own.segment, offset: 0 };
      throw this.#corrupt(
        first.segment,
        first.offset,
        `the checkpoint contradicts itself: ${problem}`,
      );
    }
  }

  /** Whether the device has these bytes of a segment. */
  #isPlace(segment: number, start: number, end: number): boolean {
    const { segmentCount, segmentStrideBytes } = this.#superblock.geometry;
    return segment < segmentCount && start <= end && end <= segmentStrideBytes;
  }

  #corruptManifest({ use, offset }: LogStart, reason: string): EngineError {
    return this.#corrupt(use.segment, offset, `the manifest contradicts itself: ${reason}`);
  }

  async #replayPart(part: LogPart): Promise<void> {
    const use = { ...part, seed: seedOf(part.identity) };
    this.#beginPart(part);
    const end = this.#switches.ignoreFence
      ? this.#superblock.geometry.segmentStrideBytes
      : part.end;
    const reached = await this.#source.walk(use, { ...part, end }, (group) => {
      if (group.heads === undefined) return false;
      this.#apply(group);
      return true;
    });
    if (reached.offset < part.end) {
      throw this.#corrupt(part.segment, reached.offset, 'a group of a closed segment is damaged');
    }
    this.#endPart(part);
  }

  async #replayTail(slot: Slot, start: LogStart): Promise<void> {
    const strideBytes = this.#superblock.geometry.segmentStrideBytes;
    let { use } = start;
    let { offset, firstGroup } = start;
    for (;;) {
      const limit = this.#limitOf(slot, use);
      const next = limit === undefined ? await this.#findNext(slot, use) : undefined;
      const stop = limit ?? next?.previous?.end ?? strideBytes;
      const from = { offset, firstGroup };
      this.#beginPart({ ...use, identity: start.identity, end: stop });
      const end = await this.#replayOpenEnd(use, from, {
        stop,
        isSealed: next !== undefined || limit !== undefined,
        flushedEnd: this.#flushedEndOf(slot, use),
      });
      this.#endPart({ ...use, identity: start.identity, start: offset, end, firstGroup });
      this.#checkLogEnd(slot, use, end);
      this.#nextOrdinal = Math.max(this.#nextOrdinal, use.ordinal + 1);
      this.#end = { segment: use.segment, ordinal: use.ordinal, end };
      if (next === undefined) return;
      use = { segment: next.segment, ordinal: next.ordinal, seed: use.seed };
      offset = BLOCK_BYTES;
      firstGroup = 0;
    }
  }

  /** Replays a segment to its end, which is known when another segment follows. */
  async #replayOpenEnd(
    use: SegmentUse,
    from: { readonly offset: number; readonly firstGroup: number },
    known: {
      readonly stop: number;
      readonly isSealed: boolean;
      /** Whatever begins below this offset had been flushed. */
      readonly flushedEnd: number;
    },
  ): Promise<number> {
    const { stop, isSealed, flushedEnd } = known;
    let next = { offset: from.offset, groupIndex: from.firstGroup };
    let isFirstForced = false;
    let rereadOffset = -1;
    for (;;) {
      const range = { start: next.offset, end: stop, firstGroup: next.groupIndex };
      const refused = { headsIntact: false };
      next = await this.#source.walk(use, range, (group) => {
        refused.headsIntact = group.heads !== undefined;
        const isFlushed = isSealed || isFirstForced || group.header.offset < flushedEnd;
        const isTrusted = isFlushed || this.#switches.skipTailValues === true;
        isFirstForced = false;
        const isTaken = refused.headsIntact && (isTrusted || areValuesIntact(group, use.seed));
        if (isTaken) {
          this.#apply(group);
          refused.headsIntact = false;
        }
        return isTaken;
      });
      if (isSealed ? next.offset === stop : !(await this.#goesOn(use, next))) return next.offset;
      if (next.offset > rereadOffset) {
        // It may have been on its way when it was read, from a writer that is not dead.
        rereadOffset = next.offset;
        continue;
      }
      // The place had been flushed. Where its heads are intact, only values are damaged: go on.
      if (!refused.headsIntact) {
        throw this.#corrupt(
          use.segment,
          next.offset,
          'a group in the middle of the log is damaged',
        );
      }
      isFirstForced = true;
    }
  }

  #goesOn(use: SegmentUse, at: { offset: number; groupIndex: number }): Promise<boolean> {
    return this.#source.findLaterGroup(use, at.offset + BLOCK_BYTES, at.groupIndex + 1);
  }

  /** The segment that the claim went on in after `use`, if it had begun one. */
  async #findNext(slot: Slot, use: SegmentUse): Promise<SegmentHeader | undefined> {
    const ordinal = use.ordinal + 1;
    for (const segment of slot.reservation) {
      if (segment === use.segment || segment >= this.#superblock.geometry.segmentCount) continue;
      const header = await this.#readHeaderOf(slot, segment, ordinal);
      if (header?.previous?.segment === use.segment) return header;
      if (header !== undefined) continue;
      // Without its header a segment that holds more than its first group had been flushed.
      const begun = { segment, ordinal, seed: use.seed };
      if ((await this.#source.peekGroupIndex(begun, BLOCK_BYTES)) === undefined) continue;
      if (!(await this.#source.findLaterGroup(begun, BLOCK_BYTES, 1))) continue;
      // Once more: it may have been on its way when it was read.
      const again = await this.#readHeaderOf(slot, segment, ordinal);
      if (again?.previous?.segment === use.segment) return again;
      throw this.#corrupt(segment, 0, 'the header of a segment of the log is damaged');
    }
    return undefined;
  }

  /** The header of a segment if it is that of this use by this claim. */
  async #readHeaderOf(
    slot: Slot,
    segment: number,
    ordinal: number,
  ): Promise<SegmentHeader | undefined> {
    const header = await this.#readHeader(segment);
    const isOurs =
      header?.ordinal === ordinal &&
      header.segment === segment &&
      equalBytes(header.identity.nonce, slot.identity.nonce);
    return isOurs ? header : undefined;
  }

  /** Where a segment ends because what lies beyond was never flushed with success. */
  #limitOf(slot: Slot, use: SegmentUse): number | undefined {
    if (slot.failedFlush === undefined || slot.logEnd?.segmentOrdinal !== use.ordinal) {
      return undefined;
    }
    return this.#flushedEndOf(slot, use);
  }

  /** Up to which offset in the segment the slot says that the log had been flushed; 0: nothing. */
  #flushedEndOf(slot: Slot, use: SegmentUse): number {
    const { logEnd } = slot;
    if (logEnd?.segmentOrdinal !== use.ordinal) return 0;
    return logEnd.offset - this.#source.place(use.segment, 0);
  }

  #checkLogEnd(slot: Slot, use: SegmentUse, end: number): void {
    if (end < this.#flushedEndOf(slot, use)) {
      throw this.#corrupt(use.segment, end, 'the end of the log is damaged');
    }
  }

  async #readHeader(segment: number): Promise<SegmentHeader | undefined> {
    const header = decodeSegmentHeader(await this.#source.read(segment, 0, BLOCK_BYTES));
    const isOurs = header !== undefined && equalBytes(header.deviceId, this.#superblock.deviceId);
    return isOurs ? header : undefined;
  }

  #apply(group: WalkedGroup): void {
    if (this.#replayer.replay(group)) return;
    const { segment, offset } = group.header;
    throw this.#corrupt(segment, offset, 'the end of a range delete is damaged');
  }

  /** Records of a part are about to be replayed: from now on the segment is known. */
  #beginPart(part: Pick<LogPart, 'segment' | 'ordinal' | 'identity' | 'end'>): void {
    const { segment, ordinal, end } = part;
    this.#replayer.hasContent = this.#pages.some((page) => page.segment === segment);
    this.#needed.add(segment);
    this.#catalog.segments.restore({ segment, ordinal, seed: seedOf(part.identity), end });
  }

  /** Keeps a part if it holds anything; one that goes on where the last ended becomes one with it. */
  #endPart(part: LogPart): void {
    const { segment, ordinal, identity, start, end, firstGroup } = part;
    this.#catalog.segments.restore({ segment, ordinal, seed: seedOf(identity), end });
    if (!this.#replayer.hasContent) return;
    const last = this.#parts.at(-1);
    if (last?.ordinal === ordinal && last.segment === segment && last.end === start) {
      this.#parts[this.#parts.length - 1] = { ...last, end };
    } else {
      this.#parts.push({ segment, ordinal, identity, start, end, firstGroup });
    }
  }

  #decode<Result>(use: { readonly segment: number }, offset: number, decode: () => Result): Result {
    try {
      return decode();
    } catch (error) {
      if (error instanceof CodecError) throw this.#corrupt(use.segment, offset, error.message);
      throw error;
    }
  }

  #corrupt(segment: number, offset: number, reason: string): EngineError {
    return corrupt(this.#source.device.path, this.#source.place(segment, offset), reason);
  }
}

/** The segments that fences name, as far as the device has them. */
export function segmentsOf(fences: readonly Fence[], segmentCount: number): Set<number> {
  const segments = fences.flatMap((fence) => fence.segments);
  return new Set(segments.filter((segment) => segment < segmentCount));
}

/** Where the open-ended rest of the log begins. */
interface LogStart {
  readonly use: SegmentUse;
  readonly identity: ClaimIdentity;
  readonly manifest: Manifest;
  /** Byte offset in the segment and index of the manifest's group. */
  readonly offset: number;
  readonly firstGroup: number;
}

/** The value of a checkpoint page's record; `undefined` when it is damaged. */
export async function readPage(
  source: LogSource,
  page: PagePlace,
  checkpoint: number,
  seed: number,
): Promise<Uint8Array | undefined> {
  const { segmentCount, segmentStrideBytes } = source.geometry;
  const sizeBytes = headBytesOf(0, page.valueBytes) + page.valueBytes;
  if (page.segment >= segmentCount || page.offset + sizeBytes > segmentStrideBytes)
    return undefined;
  const bytes = await source.read(page.segment, page.offset, sizeBytes);
  const head = decodeRecordHead(bytes, 0, sizeBytes, seed);
  const isExpected =
    head?.type === RECORD_CHECKPOINT_PAGE &&
    head.lsn === checkpoint &&
    head.valueBytes === page.valueBytes;
  if (!isExpected || !isValueIntact(bytes, head, seed)) return undefined;
  return bytes.subarray(head.valueStart);
}
