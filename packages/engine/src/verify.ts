/**
 * Verify: reads everything that anybody could ever need from the device, and reports what is damaged.
 *
 * Superblocks, ring, the pages of the checkpoint, the parts of the log that would be replayed, every table, and
 * every live record of the log, with large reads. Dead records are not checked: nobody needs them. What is not right is
 * read once more past the page cache before it is reported. It goes on behind damage: of a damaged table
 * what can still be had of it is walked, and the keys that its damaged blocks covered are reported.
 *
 * Beside writers it is not of one moment: the log and the pages are those of its begin, and each table and
 * each batch of values is checked as it is when its turn comes. So a value that was there all the time is
 * checked wherever it has been moved to; what was put, overwritten or deleted meanwhile may or may not be.
 * Of tables that have come meanwhile those are checked that are there when the others have been; what the
 * walk of the values reads of later ones is checked as every read is.
 */
import { SLOT_BYTES, readRing } from '@dozo/claim';
import type { CheckpointPointer } from '@dozo/claim';
import type { Catalog } from './catalog.ts';
import { readPage } from './checkpoint-reader.ts';
import type { Damage, VerifyProgress, VerifyReport } from './engine-types.ts';
import { EngineError } from './errors.ts';
import { LenientTables } from './lenient-tables.ts';
import { BLOCK_BYTES, DAMAGES_LISTED_MAX, VERIFY_TABLE_ROUNDS_MAX } from './limits.ts';
import type { LogSource } from './log-walk.ts';
import type { LogPart, PagePlace } from './manifest.ts';
import { RECORD_MANIFEST, isValueIntact } from './record.ts';
import type { RecordReader } from './record-reader.ts';
import { isGrowUnfinished, isSameSuperblock, readBothSuperblocks } from './read-superblock.ts';
import { decodeSegmentHeader, seedOf } from './segment-header.ts';
import type { Superblock } from './superblock.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TableSalvage } from './table/table-salvage.ts';
import type { TreeAccess } from './tree-access.ts';
import { verifyLogPart } from './verify-log.ts';
import { readUnlessBroken, verifyValues } from './verify-values.ts';

export interface VerifyOptions {
  readonly superblock: Superblock;
  readonly source: LogSource;
  readonly catalog: Catalog;
  /** The log as recovery would read it, and the pages it would start from. */
  readonly parts: readonly LogPart[];
  readonly pages: readonly PagePlace[];
  /** Number of the checkpoint that the pages make up. */
  readonly checkpointNumber: number;
  readonly tree: TreeAccess;
  readonly records: RecordReader;
  /** Where the next recovery starts; absent when one has just read it. */
  readonly checkpoint?: CheckpointPointer | undefined;
  readonly onProgress: ((progress: VerifyProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
  /** Throws when the device is not ours any more: then what is read means nothing. */
  readonly assertServing?: () => void;
  /**
   * Lets go of what was there before, so that it may be used again, and holds what is there now. Absent
   * where nothing changes.
   */
  readonly renew?: () => void;
  /** Told of each place that was right only past the page cache. */
  readonly onStaleRead?: () => void;
  /** Told of every damage, also of those that are too many for the report. */
  readonly onDamage?: (damage: Damage) => void;
  /**
   * Has memory flushed and a checkpoint written: called when the checkpoint or the log that the next start
   * would need is damaged. Only where all that they say is still at hand.
   */
  readonly requestFlush?: () => void;
  /** Told what can still be had of each damaged table. */
  readonly onSalvage?: (table: TableMeta, salvage: TableSalvage) => void;
}

/** Verifies. The caller has entered the table of segments. Rejects with the signal's reason. */
export async function verifyDevice(options: VerifyOptions): Promise<VerifyReport> {
  return new Verification(options).run();
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #bytesTotal: number;
  readonly #damages: Damage[] = [];
  /** Those included that are too many for the report. */
  #damageCount = 0;
  readonly #salvages = new Map<number, TableSalvage>();
  #bytesDone = 0;
  #recordCount = 0;
  #isGrowUnfinished = false;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#bytesTotal = options.catalog.segments.totalLiveBytes;
  }

  async run(): Promise<VerifyReport> {
    // Also where there is nothing to count: that it has begun is told once at least.
    this.#count(0);
    await this.#verifySuperblocks();
    await this.#verifyRing();
    const damageCount = this.#damageCount;
    await this.#verifyCheckpoint();
    await this.#verifyPages();
    await this.#verifyParts();
    const { requestFlush } = this.#options;
    const isFlushRequested = requestFlush !== undefined && this.#damageCount > damageCount;
    if (isFlushRequested) requestFlush();
    await this.#verifyTables();
    await this.#verifyValues();
    const damages = this.#damages;
    damages.sort((left, right) => left.offset - right.offset);
    return {
      recordCount: this.#recordCount,
      bytesChecked: this.#bytesDone,
      damages,
      ...(isFlushRequested ? { isFlushRequested: true as const } : {}),
      ...(this.#isGrowUnfinished ? { isGrowUnfinished: true as const } : {}),
    };
  }

  async #verifySuperblocks(): Promise<void> {
    const { source, superblock } = this.#options;
    for (const { offset, reading } of await readBothSuperblocks(source.device, superblock)) {
      let reason = reading.kind === 'damaged' ? reading.reason : 'it is not a superblock of ours';
      if (reading.kind === 'valid') {
        if (isSameSuperblock(superblock, reading.superblock)) continue;
        if (isGrowUnfinished(superblock, reading.superblock)) {
          this.#isGrowUnfinished = true;
          continue;
        }
        reason = 'it is that of another device';
      }
      this.#report({ segment: -1, offset, sizeBytes: 4096, reason: `superblock: ${reason}` });
    }
  }

  async #verifyRing(): Promise<void> {
    const { source, superblock } = this.#options;
    const { ringOffset, ringSlotCount } = superblock.geometry;
    const place = { offset: ringOffset, slotCount: ringSlotCount, deviceId: superblock.deviceId };
    const ring = await readRing(source.device, place);
    for (const index of ring.lostSlots) {
      const offset = ringOffset + index * SLOT_BYTES;
      const reason = `claim ring: both blocks of slot ${index} are damaged`;
      this.#report({ segment: -1, offset, sizeBytes: SLOT_BYTES, reason });
    }
  }

  /** The header and the manifest that recovery starts from; their group is verified with its part. */
  async #verifyCheckpoint(): Promise<void> {
    const { checkpoint } = this.#options;
    if (checkpoint === undefined) return;
    const found = await this.#twice((source) => this.#checkpointDamage(source, checkpoint));
    for (const damage of found ?? []) this.#report(damage);
  }

  /** What is damaged; `undefined`: nothing. */
  async #checkpointDamage(
    source: LogSource,
    checkpoint: CheckpointPointer,
  ): Promise<Damage[] | undefined> {
    const { catalog } = this.#options;
    const damages: Damage[] = [];
    const { segment, segmentOrdinal: ordinal, groupOffset } = checkpoint;
    const refused = 'opening the device will be refused';
    const report = (offset: number, reason: string): void => {
      damages.push({ segment, offset, sizeBytes: BLOCK_BYTES, reason: `${reason}; ${refused}` });
    };
    const header = await readUnlessBroken(() => source.read(segment, 0, BLOCK_BYTES));
    if (header === undefined || decodeSegmentHeader(header)?.ordinal !== ordinal) {
      report(
        source.place(segment, 0),
        'the header of the segment of the newest manifest is damaged',
      );
    }
    const use = { segment, ordinal, seed: catalog.segments.seedOf(segment) };
    const start = groupOffset - source.place(segment, 0);
    const end = source.geometry.segmentStrideBytes;
    await readUnlessBroken(async () => {
      const firstGroup = await source.peekGroupIndex(use, start);
      if (firstGroup === undefined) return;
      await source.walk(use, { start, end, firstGroup }, ({ bytes, heads }) => {
        const head = heads?.[0];
        const isIntact = head?.type === RECORD_MANIFEST && isValueIntact(bytes, head, use.seed);
        if (heads !== undefined && !isIntact) report(groupOffset, 'the newest manifest is damaged');
        return false;
      });
    });
    return damages.length === 0 ? undefined : damages;
  }

  async #verifyPages(): Promise<void> {
    const { source, pages, parts, checkpointNumber, catalog } = this.#options;
    for (const page of pages) {
      this.#stopIfUnwanted();
      const part = parts.find(({ ordinal }) => ordinal === page.ordinal);
      const seed =
        part === undefined ? catalog.segments.seedOf(page.segment) : seedOf(part.identity);
      const damage = await this.#twice(async (from) => {
        const value = await readUnlessBroken(() => readPage(from, page, checkpointNumber, seed));
        return value === undefined ? 'damaged' : undefined;
      });
      this.#bytesDone += page.valueBytes;
      if (damage === undefined) continue;
      this.#report({
        segment: page.segment,
        offset: source.place(page.segment, page.offset),
        sizeBytes: page.valueBytes,
        reason: 'a page of the checkpoint is damaged',
      });
    }
  }

  async #verifyParts(): Promise<void> {
    const { source, parts, tree, checkpoint } = this.#options;
    const last = parts.at(-1);
    const options = {
      source,
      twice: <Result>(look: (from: LogSource) => Promise<Result | undefined>) => this.#twice(look),
      lookUp: (name: string) => tree.lookUp(name),
      report: (damage: Damage) => {
        this.#report(damage);
      },
      stopIfUnwanted: () => {
        this.#stopIfUnwanted();
      },
    };
    for (const part of parts) {
      // A log that was just recovered ends with a group that counts.
      const newestEnd = part === last && checkpoint !== undefined ? part.end : undefined;
      await verifyLogPart(options, part, newestEnd);
    }
  }

  async #verifyTables(): Promise<void> {
    const { catalog } = this.#options;
    const seen = new Set<TableMeta>();
    for (let round = 0; round < VERIFY_TABLE_ROUNDS_MAX; round++) {
      let { version } = catalog;
      const tables = [...version.tables()].filter((meta) => !seen.has(meta));
      if (tables.length === 0) return;
      let current = new Set(tables);
      for (const meta of tables) {
        this.#stopIfUnwanted();
        this.#options.renew?.();
        if (catalog.version !== version) {
          version = catalog.version;
          current = new Set(version.tables());
        }
        seen.add(meta);
        // What is not part of the tree any more may have been written over.
        if (current.has(meta)) await this.#verifyTable(meta);
      }
    }
  }

  async #verifyTable(meta: TableMeta): Promise<void> {
    const { damages, salvage } = await this.#options.tree.tables.verify(meta);
    for (const damage of damages) this.#report(damage);
    this.#count(meta.sizeBytes);
    if (salvage === undefined) return;
    this.#salvages.set(meta.number, salvage);
    this.#options.onSalvage?.(meta, salvage);
  }

  async #verifyValues(): Promise<void> {
    const { source, catalog, tree, records, onStaleRead, renew } = this.#options;
    const lookup = new LenientTables(tree.tables, this.#salvages);
    try {
      this.#recordCount = await verifyValues({
        nextView: () => {
          renew?.();
          return tree.frozen(lookup);
        },
        source,
        segments: catalog.segments,
        records,
        report: (damage) => {
          this.#report(damage);
        },
        onBytes: (sizeBytes) => {
          this.#count(sizeBytes);
        },
        onStaleRead: () => onStaleRead?.(),
        stopIfUnwanted: () => {
          this.#stopIfUnwanted();
        },
      });
    } catch (error) {
      // It has been damaged since its table was looked at, and how much it hides is not known.
      if (!(error instanceof EngineError) || error.detail.code !== 'INDEX_DAMAGED') throw error;
      const { segment, offset, sizeBytes, reason } = error.detail;
      this.#report({ segment, offset, sizeBytes, reason });
    }
  }

  #count(sizeBytes: number): void {
    this.#bytesDone += sizeBytes;
    this.#options.onProgress?.({
      bytesDone: Math.min(this.#bytesDone, this.#bytesTotal),
      bytesTotal: this.#bytesTotal,
    });
  }

  /** Looks, and where something is wrong looks again past the page cache: that counts. */
  async #twice<Result>(
    look: (source: LogSource) => Promise<Result | undefined>,
  ): Promise<Result | undefined> {
    const { source } = this.#options;
    if ((await look(source)) === undefined) return undefined;
    const again = await look(source.uncached);
    if (again === undefined) this.#options.onStaleRead?.();
    return again;
  }

  /** Throws when the verification is not wanted any more. */
  #stopIfUnwanted(): void {
    this.#options.signal?.throwIfAborted();
    this.#options.assertServing?.();
  }

  #report(damage: Damage): void {
    this.#damageCount++;
    this.#options.onDamage?.(damage);
    if (this.#damages.length < DAMAGES_LISTED_MAX) this.#damages.push(damage);
  }
}
