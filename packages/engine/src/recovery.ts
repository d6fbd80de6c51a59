/**
 * Recovery: from the slot's pointer to the tree and a memtable, without writing anything.
 *
 * 1. The newest claim that has written a manifest names it in its slot.
 * 2. The manifest names the pages of a checkpoint and the closed parts of the log since. They
 *    were flushed before the manifest was: anything unreadable in them is damage, and refused.
 * 3. From the manifest's own group on the log is open ended: first the rest of that segment, then the
 *    segments of the claim's reservation that name each other as predecessor. How far it goes is told in
 *    `log-tail.ts`.
 *
 * The claimed device's former holder may still be writing while this reads. What it appends is either
 * seen whole or not at all.
 *
 * All of it is read past the page cache: it may show what another machine has overwritten since, and
 * after a flush that failed what is not on the disk. The holder notes such a failure together with how
 * far the log was durable, and exactly that much is taken.
 *
 * The position in the log decides which record of a key is the newest: a record that reclaim moved
 * keeps its LSN and stands later.
 */
import { CodecError, hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import type { ClaimIdentity, Slot } from '@dozo/claim';
import { Catalog } from './catalog.ts';
import { readCheckpoint, restoreCheckpoint } from './checkpoint-reader.ts';
import { NO_HISTORY } from './claim-history.ts';
import type { ClaimHistory, Fence } from './claim-history.ts';
import type { EngineError } from './errors.ts';
import { segmentsOf } from './fences.ts';
import type { RecoveredEnd } from './fences.ts';
import { hasPlace } from './geometry.ts';
import { BLOCK_BYTES } from './limits.ts';
import { LogTail } from './log-tail.ts';
import { LogSource } from './log-walk.ts';
import type { SegmentUse, WalkedGroup } from './log-walk.ts';
import { decodeManifest } from './manifest.ts';
import type { LogPart, Manifest, PagePlace } from './manifest.ts';
import { RECORD_MANIFEST, isValueIntact } from './record.ts';
import { Replayer } from './replay.ts';
import { seedOf } from './segment-header.ts';
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
      const { segment, start: from, end } = part;
      const isThere = hasPlace(this.#superblock.geometry, segment, from, end);
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
    await this.#replayTail(this.#tailOf(slot), start);
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
    if (checkpoint === undefined) throw this.#source.corrupt(0, 0, 'the slot names no manifest');
    const { segment, segmentOrdinal: ordinal } = checkpoint;
    if (segment >= this.#superblock.geometry.segmentCount) {
      throw this.#source.corrupt(0, 0, `the slot names segment ${segment}, which does not exist`);
    }
    const use = { segment, ordinal, seed: seedOf(identity) };
    const offset = checkpoint.groupOffset - this.#source.place(segment, 0);
    let found: { manifest: Manifest; firstGroup: number } | undefined;
    if ((await this.#tailOf(slot).headerOf(segment, ordinal)) !== undefined) {
      found = await this.#readManifest(use, offset);
    }
    if (found === undefined) {
      throw this.#source.corrupt(
        segment,
        offset,
        'the manifest that the newest claim names is damaged',
      );
    }
    return { use, identity, offset, ...found };
  }

  #tailOf(slot: Slot): LogTail {
    const { deviceId } = this.#superblock;
    return new LogTail({ source: this.#source, deviceId, slot, switches: this.#switches });
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
    const checkpoint = await readCheckpoint(this.#source, manifest, own);
    if (checkpoint.kind === 'damaged') {
      const { page, reason } = checkpoint;
      throw this.#source.corrupt(page.segment, page.offset, reason);
    }
    const problem = restoreCheckpoint(this.#catalog, checkpoint);
    if (problem === undefined) return;
    const first = manifest.pages[0] ?? { segment: own.segment, offset: 0 };
    const reason = `the checkpoint contradicts itself: ${problem}`;
    throw this.#source.corrupt(first.segment, first.offset, reason);
  }

  #corruptManifest({ use, offset }: LogStart, reason: string): EngineError {
    return this.#source.corrupt(use.segment, offset, `the manifest contradicts itself: ${reason}`);
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
      throw this.#source.corrupt(
        part.segment,
        reached.offset,
        'a group of a closed segment is damaged',
      );
    }
    this.#endPart(part);
  }

  async #replayTail(tail: LogTail, start: LogStart): Promise<void> {
    const strideBytes = this.#superblock.geometry.segmentStrideBytes;
    const { identity } = start;
    let { use } = start;
    let { offset, firstGroup } = start;
    for (;;) {
      const limit = tail.limitOf(use);
      const next = limit === undefined ? await tail.findNext(use) : undefined;
      const stop = limit ?? next?.previous?.end ?? strideBytes;
      const isSealed = next !== undefined || limit !== undefined;
      this.#beginPart({ ...use, identity, end: stop });
      const from = { offset, groupIndex: firstGroup };
      const end = await tail.walk(use, from, { stop, isSealed }, (group) => {
        this.#apply(group);
      });
      this.#endPart({ ...use, identity, start: offset, end, firstGroup });
      this.#nextOrdinal = Math.max(this.#nextOrdinal, use.ordinal + 1);
      this.#end = { segment: use.segment, ordinal: use.ordinal, end };
      if (next === undefined) return;
      use = { segment: next.segment, ordinal: next.ordinal, seed: use.seed };
      offset = BLOCK_BYTES;
      firstGroup = 0;
    }
  }

  #apply(group: WalkedGroup): void {
    if (this.#replayer.replay(group)) return;
    const { segment, offset } = group.header;
    throw this.#source.corrupt(segment, offset, 'the end of a range delete is damaged');
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
      if (error instanceof CodecError)
        throw this.#source.corrupt(use.segment, offset, error.message);
      throw error;
    }
  }
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
