/**
 * Recovers a log that is damaged, for repair: what `recovery.ts` refuses is passed over here, and listed.
 *
 * Where the manifest that the slot names or a page of its checkpoint is damaged, an older manifest is
 * looked for whose checkpoint is whole; the log since then is replayed on top, so nothing is lost by that.
 * Only manifests that nothing speaks against are taken: those of the newest claim, and those of claims
 * before it as long as each has given the device back, because then nothing of a zombie lies behind them.
 * Where no checkpoint is whole nothing is repaired: what the tree was made of would be a guess.
 *
 * Writes nothing. All reads go past the page cache.
 */
import { CodecError, assert } from '@dozo/base';
import type { Device } from '@dozo/base';
import type { Ring, Slot } from '@dozo/claim';
import { Catalog } from './catalog.ts';
import { readCheckpoint, restoreCheckpoint } from './checkpoint-reader.ts';
import { corrupt } from './errors.ts';
import { segmentsOf } from './fences.ts';
import type { RecoveredEnd } from './fences.ts';
import { GROUP_HEADER_BYTES, padded } from './group.ts';
import { BLOCK_BYTES, REPAIR_USES_MAX } from './limits.ts';
import { LogLosses } from './log-losses.ts';
import type { LogLoss, LogRefusal } from './log-losses.ts';
import type { LogSource, SegmentUse } from './log-walk.ts';
import { decodeManifest } from './manifest.ts';
import type { LogPart, Manifest } from './manifest.ts';
import { RECORD_MANIFEST, headBytesOf, isValueIntact } from './record.ts';
import type { RecordHead } from './record.ts';
import type { RecoverOptions, Recovered } from './recovery.ts';
import { chainOf, findUses } from './repair-uses.ts';
import type { LogUse } from './repair-uses.ts';
import { recordsIn, walkDamaged } from './repair-walk.ts';
import type { LogGap, RepairVisitor } from './repair-walk.ts';
import { Replayer } from './replay.ts';
import { RescueSource } from './rescue-source.ts';
import { decodeSegmentHeader, seedOf } from './segment-header.ts';
import type { Superblock } from './superblock.ts';
import { decodeFooter } from './table/table-footer.ts';
import type { TableMeta } from './table/table-meta.ts';

/** What was recovered in spite of the damage. */
export interface RepairedLog {
  readonly recovered: Recovered;
  readonly losses: readonly LogLoss[];
  /** Whether an older checkpoint than the newest was the last whole one. */
  readonly isOlderCheckpoint: boolean;
  /** Why recovery refuses it; absent when it does not. */
  readonly refusal?: LogRefusal;
}

export interface RepairLogOptions extends RecoverOptions {
  readonly ring: Ring;
}

/** A manifest that was found. */
interface Candidate {
  readonly use: LogUse;
  readonly offset: number;
  readonly firstGroup: number;
  readonly manifest: Manifest;
}

/** See the file comment. Rejects with `DEVICE_CORRUPT` where no checkpoint is whole. */
export function recoverDamaged(
  device: Device,
  superblock: Superblock,
  options: RepairLogOptions,
): Promise<RepairedLog> {
  return new DamagedRecovery(device, superblock, options).run();
}

class DamagedRecovery {
  readonly #source: LogSource;
  readonly #superblock: Superblock;
  readonly #options: RepairLogOptions;
  readonly #newest: Slot;
  #catalog: Catalog;
  #replayer: Replayer;
  #losses: LogLosses;
  #parts: LogPart[] = [];
  #nextOrdinal = 1;

  constructor(device: Device, superblock: Superblock, options: RepairLogOptions) {
    assert(options.from !== undefined, 'without a claim there is no log');
    this.#source = new RescueSource(device, superblock.geometry, 'uncached');
    this.#superblock = superblock;
    this.#options = options;
    this.#newest = options.from;
    this.#catalog = new Catalog(superblock.geometry.segmentCount);
    this.#replayer = new Replayer(this.#catalog);
    this.#losses = this.#newLosses(0);
  }

  async run(): Promise<RepairedLog> {
    const chain = chainOf(this.#options.ring, this.#newest);
    const { uses, nextOrdinal } = await findUses(this.#source, chain);
    this.#nextOrdinal = nextOrdinal;
    let isNewest = true;
    for await (const candidate of this.#candidates(uses)) {
      const isOlderCheckpoint = !(isNewest && this.#isNamed(candidate));
      isNewest = false;
      if (isOlderCheckpoint && !(await this.#isLogThere(candidate, uses))) continue;
      if (!(await this.#loadCheckpoint(candidate, isOlderCheckpoint))) continue;
      await this.#replay(candidate, uses);
      const { list: losses } = this.#losses;
      return { recovered: this.#recovered(candidate), losses, isOlderCheckpoint };
    }
    const { checkpoint } = this.#newest;
    const reason = 'no checkpoint on it is whole, so what the data was made of is not known';
    throw corrupt(this.#source.device.path, checkpoint?.groupOffset ?? 0, reason);
  }

  /** Manifests, the newest first. */
  async *#candidates(uses: readonly LogUse[]): AsyncGenerator<Candidate> {
    for (const use of uses.slice(0, REPAIR_USES_MAX)) {
      const found: Candidate[] = [];
      const start = { offset: BLOCK_BYTES, groupIndex: 0 };
      await this.#walkUse(use, start, uses, {
        group: ({ header, heads, bytes }) => {
          const manifest = manifestIn(bytes, heads?.[0], use.seed);
          if (manifest === undefined) return;
          found.push({ use, offset: header.offset, firstGroup: header.index, manifest });
        },
        gap: () => undefined,
      });
      yield* found.reverse();
    }
  }

  #isNamed({ use, offset }: Candidate): boolean {
    const place = this.#source.place(use.segment, offset);
    return this.#newest.checkpoint?.groupOffset === place;
  }

  #newLosses(lastLsn: number): LogLosses {
    return new LogLosses((segment, offset) => this.#source.place(segment, offset), lastLsn);
  }

  /** Loads the checkpoint of a manifest; false, and nothing has changed, when it is not whole. */
  async #loadCheckpoint({ manifest, use }: Candidate, isOlder: boolean): Promise<boolean> {
    const checkpoint = await readCheckpoint(this.#source, manifest, use);
    if (checkpoint.kind === 'damaged') return false;
    for (const { meta } of checkpoint.tables) {
      // What an older checkpoint names may have been written over since.
      if (isOlder && !(await this.#isThere(meta))) return false;
    }
    const catalog = new Catalog(this.#superblock.geometry.segmentCount);
    if (restoreCheckpoint(catalog, checkpoint) !== undefined) return false;
    this.#catalog = catalog;
    this.#replayer = new Replayer(catalog);
    this.#replayer.nextLsn = manifest.nextLsn;
    const lsns = checkpoint.tables.map(({ meta }) => meta.lsnMax);
    this.#losses = this.#newLosses(lsns.reduce((highest, lsn) => Math.max(highest, lsn), 0));
    this.#replayer.lastCheckpoint = manifest.checkpoint;
    this.#nextOrdinal = Math.max(this.#nextOrdinal, manifest.nextOrdinal);
    return true;
  }

  /** Whether all of the log since a manifest is there: what only older ones name may be used again. */
  async #isLogThere({ use: own, manifest }: Candidate, uses: readonly LogUse[]): Promise<boolean> {
    const since = uses.slice(0, uses.indexOf(own) + 1);
    const newest = since[0]?.ordinal ?? own.ordinal;
    if (newest - own.ordinal !== since.length - 1) return false;
    for (const part of manifest.parts) {
      if (part.segment >= this.#catalog.segments.count) return false;
      const use = { ...part, seed: seedOf(part.identity) };
      if ((await this.#source.peekGroupIndex(use, part.start)) !== part.firstGroup) return false;
    }
    return true;
  }

  async #isThere({
    segment,
    ordinal,
    offset,
    sizeBytes,
    number,
    seed,
  }: TableMeta): Promise<boolean> {
    const at = offset + sizeBytes - BLOCK_BYTES;
    if (at + BLOCK_BYTES > this.#superblock.geometry.segmentStrideBytes) return false;
    const block = await this.#source.read(segment, 0, BLOCK_BYTES);
    if (decodeSegmentHeader(block, 'tables')?.ordinal !== ordinal) return false;
    const footer = decodeFooter(await this.#source.read(segment, at, BLOCK_BYTES));
    return footer?.number === number && footer.seed === seed;
  }

  async #replay(candidate: Candidate, uses: readonly LogUse[]): Promise<void> {
    for (const part of candidate.manifest.parts) await this.#replayPart(part);
    const { use: own, offset, firstGroup } = candidate;
    let before = own.ordinal - 1;
    for (const use of uses.slice(0, uses.indexOf(own) + 1).reverse()) {
      const isOwn = use === own;
      this.#tellMissing(before, use);
      before = use.ordinal;
      const start = isOwn
        ? { offset, groupIndex: firstGroup }
        : { offset: BLOCK_BYTES, groupIndex: 0 };
      this.#restore(use, this.#superblock.geometry.segmentStrideBytes);
      const end = await this.#walkUse(use, start, uses, this.#visitor(use));
      this.#restore(use, end);
      const { segment, ordinal, slot } = use;
      this.#parts.push({
        ...{ segment, ordinal, identity: slot.identity },
        ...{ start: start.offset, end, firstGroup: start.groupIndex },
      });
      this.#nextOrdinal = Math.max(this.#nextOrdinal, ordinal + 1);
    }
    for (const place of [this.#newest.checkpoint, this.#newest.logEnd]) {
      if (place === undefined || place.segmentOrdinal <= before) continue;
      before = place.segmentOrdinal;
      const reason = 'a whole segment of the log cannot be recognised any more';
      const { segmentStrideBytes: sizeBytes } = this.#superblock.geometry;
      this.#losses.add({ segment: place.segment, start: 0, sizeBytes, savedCount: 0, reason });
    }
  }

  /** A use that should be there and is not. */
  #tellMissing(before: number, use: LogUse): void {
    if (use.ordinal <= before + 1) return;
    const reason = `${use.ordinal - before - 1} segments of the log before this one cannot be recognised any more`;
    this.#losses.add({ segment: use.segment, start: 0, sizeBytes: 0, savedCount: 0, reason });
  }

  async #replayPart(part: LogPart): Promise<void> {
    const use = { ...part, seed: seedOf(part.identity) };
    this.#restore(use, part.end);
    const stretch = { ...part, use, flushedEnd: part.end };
    await walkDamaged(this.#source, stretch, this.#visitor(use));
    this.#parts.push(part);
  }

  #restore({ segment, ordinal, seed }: SegmentUse, end: number): void {
    this.#catalog.segments.restore({ segment, ordinal, seed, end });
  }

  /** Walks a use from a group on as far as the log goes in it. */
  #walkUse(
    use: LogUse,
    start: { readonly offset: number; readonly groupIndex: number },
    uses: readonly LogUse[],
    visitor: RepairVisitor,
  ): Promise<number> {
    const { offset, groupIndex: firstGroup } = start;
    const { slot, ordinal } = use;
    const next = uses.find((other) => other.slot === slot && other.ordinal === ordinal + 1);
    const { logEnd, failedFlush } = slot;
    const isLast = logEnd?.segmentOrdinal === ordinal;
    const flushedEnd = isLast ? logEnd.offset - this.#source.place(use.segment, 0) : 0;
    // What lies beyond was never flushed with success, or not written by this claim.
    const isExact = isLast && (failedFlush !== undefined || slot.state === 'released');
    const sealed = next?.header?.previous;
    const sealedEnd = sealed?.segment === use.segment ? sealed.end : undefined;
    const end = isExact ? flushedEnd : sealedEnd;
    const stretch = { use, start: offset, firstGroup, end, flushedEnd };
    return walkDamaged(this.#source, stretch, visitor);
  }

  #visitor(use: SegmentUse): RepairVisitor {
    return {
      group: (group) => {
        this.#losses.goOn(group.heads ?? []);
        if (this.#replayer.replay(group)) return;
        const { offset: start, sizeBytes, recordCount } = group.header;
        const reason = 'the end of a range delete is damaged, so what it deleted comes back';
        const { segment } = use;
        const savedCount = recordCount - 1;
        this.#losses.add({ segment, start, sizeBytes, savedCount, lostCount: 1, reason });
      },
      gap: (gap) => {
        this.#replayGap(use, gap);
      },
    };
  }

  #replayGap(use: SegmentUse, gap: LogGap): void {
    const { segment, ordinal } = use;
    const { header, start } = gap;
    const heads = recordsIn(gap, use.seed);
    const place = { segment, ordinal, offset: start };
    const areReplayed = heads.map((head) => this.#replayer.replayRecord(gap.bytes, head, place));
    const savedCount = areReplayed.filter((isReplayed) => isReplayed).length;
    const missingCount =
      header === undefined ? lostIn(gap, heads) : header.recordCount - heads.length;
    // A range delete of which the end is damaged was found, and is lost all the same.
    const lostCount =
      missingCount === undefined ? undefined : missingCount + heads.length - savedCount;
    const sizeBytes = gap.end - start;
    const reason = 'a group of the log is damaged';
    this.#losses.add({ segment, start, sizeBytes, savedCount, lostCount, reason, header });
    // No number is given twice: a record takes more than 20 bytes.
    if (header === undefined) this.#replayer.nextLsn += Math.ceil(sizeBytes / 20);
    else this.#replayer.nextLsn = Math.max(this.#replayer.nextLsn, header.lastLsn + 1);
  }

  #recovered({ manifest }: Candidate): Recovered {
    const { setFences } = this.#options;
    const last = this.#parts.at(-1);
    const end: RecoveredEnd | undefined =
      last === undefined
        ? undefined
        : { segment: last.segment, ordinal: last.ordinal, end: last.end };
    const { history, pages, checkpoint } = manifest;
    const fences = setFences?.(history, end) ?? [];
    const { segments } = this.#catalog;
    const needed = new Set(this.#parts.map(({ segment }) => segment));
    segments.finishRecovery(needed, segmentsOf(fences, segments.count));
    segments.setPages(pages);
    const { nextLsn, lastCheckpoint } = this.#replayer;
    return {
      catalog: this.#catalog,
      nextLsn,
      nextOrdinal: this.#nextOrdinal,
      checkpoint,
      lastCheckpoint,
      pages,
      parts: this.#parts,
      history: setFences === undefined ? history : { ...history, fences },
      bytesRead: this.#source.bytesRead,
    };
  }
}

/** 0 when the records that were found fill a group whose header alone is damaged. */
function lostIn({ bytes }: LogGap, heads: readonly RecordHead[]): number | undefined {
  let end = GROUP_HEADER_BYTES;
  for (const head of heads) {
    if (head.valueStart - headBytesOf(head.keyEnd - head.keyStart, head.valueBytes) !== end) {
      return undefined;
    }
    end = head.valueStart + head.valueBytes;
  }
  const isFilled = padded(end) === bytes.length && bytes.subarray(end).every((byte) => byte === 0);
  return isFilled && heads.length > 0 ? 0 : undefined;
}

function manifestIn(
  bytes: Uint8Array,
  head: RecordHead | undefined,
  seed: number,
): Manifest | undefined {
  if (head?.type !== RECORD_MANIFEST || !isValueIntact(bytes, head, seed)) return undefined;
  return decoded(() =>
    decodeManifest(bytes.subarray(head.valueStart, head.valueStart + head.valueBytes)),
  );
}

function decoded<Result>(decode: () => Result): Result | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof CodecError) return undefined;
    throw error;
  }
}
