/**
 * Verify: reads everything that anybody could ever need from the device, and reports what is damaged.
 *
 * Superblocks, ring, the manifest's parts of the log, the pages of the index snapshot, and every live
 * record in the order of the device, with large reads. Dead records are not read: nobody will. What is
 * not right is read once more past the page cache before it is reported.
 */
import { binaryStringOf, bytesOfBinaryString, hasCode } from '@dozo/base';
import { SLOT_BYTES, readRing } from '@dozo/claim';
import type { CheckpointPointer } from '@dozo/claim';
import type { Catalog } from './catalog.ts';
import type { Damage, VerifyProgress, VerifyReport } from './engine-types.ts';
import type { IndexRow, IndexView } from './key-index.ts';
import { BLOCK_BYTES, DAMAGES_LISTED_MAX } from './limits.ts';
import { READ_GAP_BYTES_MAX, WALK_WINDOW_BYTES } from './limits.ts';
import type { LogSource } from './log-walk.ts';
import type { LogPart, PagePlace } from './manifest.ts';
import { RECORD_MANIFEST, RECORD_PUT, decodeRecordHead } from './record.ts';
import { isValueIntact, recordBytesOf } from './record.ts';
import { isGrowUnfinished, isSameSuperblock, readBothSuperblocks } from './read-superblock.ts';
import { readPage, seedOf } from './recovery.ts';
import { decodeSegmentHeader } from './segment-header.ts';
import type { Superblock } from './superblock.ts';

export interface VerifyOptions {
  readonly superblock: Superblock;
  readonly source: LogSource;
  readonly catalog: Catalog;
  /** The log as recovery would read it, and the pages it would start from. */
  readonly parts: readonly LogPart[];
  readonly pages: readonly PagePlace[];
  readonly snapshot: number;
  /** Where the next recovery starts; absent when one has just read it. */
  readonly checkpoint?: CheckpointPointer | undefined;
  readonly onProgress: ((progress: VerifyProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
  /** Throws when the device is not ours any more: then what is read means nothing. */
  readonly assertServing?: () => void;
  /** Told of each place that was right only past the page cache. */
  readonly onStaleRead?: () => void;
}

/** More than the bytes of any record; with an offset in a segment it stays below 2^53. */
const RECORD_BYTES_END = 2 ** 24;

/** Rows that are taken from the index at once. */
const ROWS_AT_ONCE = 1024;

/** Verifies. The caller has entered the table of segments. Rejects with the signal's reason. */
export async function verifyDevice(options: VerifyOptions): Promise<VerifyReport> {
  return new Verification(options).run();
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #view: IndexView;
  readonly #bytesTotal: number;
  readonly #damages: Damage[] = [];
  /** Damaged records whose key the damage may hide, by device offset. */
  readonly #nameless = new Map<number, Damage>();
  #bytesDone = 0;
  #recordCount = 0;
  #isGrowUnfinished = false;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#view = options.catalog.index.snapshot();
    this.#bytesTotal = options.catalog.segments.totalLiveBytes;
  }

  async run(): Promise<VerifyReport> {
    await this.#verifySuperblocks();
    await this.#verifyRing();
    await this.#verifyCheckpoint();
    await this.#verifyPages();
    await this.#verifyParts();
    await this.#verifyRecords();
    this.#nameTheNameless();
    const damages = [...this.#damages, ...this.#nameless.values()];
    damages.sort((left, right) => left.offset - right.offset);
    return {
      recordCount: this.#recordCount,
      bytesChecked: this.#bytesDone,
      damages,
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
    const { source, pages, parts, snapshot, catalog } = this.#options;
    for (const page of pages) {
      this.#stopIfUnwanted();
      const part = parts.find(({ ordinal }) => ordinal === page.ordinal);
      const seed =
        part === undefined ? catalog.segments.seedOf(page.segment) : seedOf(part.identity);
      const damage = await this.#twice(async (from) => {
        const value = await readUnlessBroken(() => readPage(from, page, snapshot, seed));
        return value === undefined ? 'damaged' : undefined;
      });
      this.#bytesDone += page.valueBytes;
      if (damage === undefined) continue;
      this.#report({
        segment: page.segment,
        offset: source.place(page.segment, page.offset),
        sizeBytes: page.valueBytes,
        reason: 'a page of the index snapshot is damaged',
      });
    }
  }

  async #verifyParts(): Promise<void> {
    const { source, parts } = this.#options;
    for (const part of parts) {
      const use = { ...part, seed: seedOf(part.identity) };
      const offset = await this.#twice(async (from) => {
        const reached = await readUnlessBroken(() =>
          from.walk(use, part, (group) => {
            this.#stopIfUnwanted();
            return group.heads !== undefined;
          }),
        );
        const end = reached?.offset ?? part.start;
        return end < part.end ? end : undefined;
      });
      if (offset === undefined) continue;
      this.#report({
        segment: part.segment,
        offset: source.place(part.segment, offset),
        sizeBytes: part.end - offset,
        reason: 'a group of the log is damaged; opening the device will be refused',
      });
    }
  }

  async #verifyRecords(): Promise<void> {
    const { segmentCount } = this.#options.superblock.geometry;
    const { places, starts } = this.#places();
    for (let segment = 0; segment < segmentCount; segment++) {
      const inSegment = places.subarray(starts[segment], starts[segment + 1]).sort();
      let start = 0;
      while (start < inSegment.length) {
        this.#stopIfUnwanted();
        start = await this.#verifyRun(segment, inSegment, start);
        this.#options.onProgress?.({
          bytesDone: Math.min(this.#bytesDone, this.#bytesTotal),
          bytesTotal: this.#bytesTotal,
        });
      }
    }
  }

  /**
   * Where all live records are: for each one its offset in the segment and its length in one number,
   * which sorts by offset; those of segment n at `[starts[n], starts[n + 1])`.
   */
  #places(): { readonly places: Float64Array; readonly starts: Float64Array } {
    const { segmentCount } = this.#options.superblock.geometry;
    const starts = new Float64Array(segmentCount + 2);
    for (const { entry } of this.#rows()) addAt(starts, entry.segment + 2, 1);
    for (let segment = 1; segment < starts.length; segment++) {
      addAt(starts, segment, starts[segment - 1] as number);
    }
    const places = new Float64Array(this.#view.size);
    // Each start moves to the end of its segment, which is the start of the next.
    for (const { key, entry } of this.#rows()) {
      const at = addAt(starts, entry.segment + 1, 1) - 1;
      const sizeBytes = recordBytesOf(key.length, entry.valueBytes);
      places[at] = entry.offset * RECORD_BYTES_END + sizeBytes;
    }
    return { places, starts };
  }

  /** Reads and checks neighbouring records in one go; returns where the next run begins. */
  async #verifyRun(segment: number, places: Float64Array, start: number): Promise<number> {
    const { source } = this.#options;
    const offsetOf = (index: number): number =>
      Math.floor((places[index] as number) / RECORD_BYTES_END);
    const endOf = (index: number): number =>
      offsetOf(index) + ((places[index] as number) % RECORD_BYTES_END);
    const runStart = offsetOf(start);
    let runEnd = runStart;
    let end = start;
    while (end < places.length) {
      const isFar =
        offsetOf(end) - runEnd > READ_GAP_BYTES_MAX || endOf(end) - runStart > WALK_WINDOW_BYTES;
      if (end > start && isFar) break;
      runEnd = endOf(end);
      end++;
    }
    const bytes = await readUnlessBroken(() => source.read(segment, runStart, runEnd - runStart));
    for (let index = start; index < end; index++) {
      const offset = source.place(segment, offsetOf(index));
      const sizeBytes = endOf(index) - offsetOf(index);
      this.#recordCount++;
      this.#bytesDone += sizeBytes;
      if (bytes === undefined) {
        this.#nameLater(offset, sizeBytes, 'the device cannot read it');
      } else {
        const at = offsetOf(index) - runStart;
        await this.#verifyRecord(bytes.subarray(at, at + sizeBytes), offset);
      }
    }
    return end;
  }

  async #verifyRecord(record: Uint8Array, offset: number): Promise<void> {
    if (this.#recordDamage(record, offset) === undefined) return;
    const { source } = this.#options;
    const segment = this.#segmentAt(offset);
    const inSegment = offset - source.place(segment, 0);
    const again = await readUnlessBroken(() =>
      source.uncached.read(segment, inSegment, record.length),
    );
    const reason =
      again === undefined ? 'the device cannot read it' : this.#recordDamage(again, offset);
    if (reason === undefined) this.#options.onStaleRead?.();
    else this.#nameLater(offset, record.length, reason);
  }

  /** What is wrong with the record at an offset of the device, if anything is. */
  #recordDamage(record: Uint8Array, offset: number): string | undefined {
    const { catalog, source } = this.#options;
    const segment = this.#segmentAt(offset);
    const seed = catalog.segments.seedOf(segment);
    const head = decodeRecordHead(record, 0, record.length, seed);
    if (head?.type !== RECORD_PUT) return 'the head of the record is damaged';
    const entry = this.#view.get(binaryStringOf(record, head.keyStart, head.keyEnd));
    const isInPlace = entry !== undefined && source.place(segment, entry.offset) === offset;
    if (!isInPlace || entry.segment !== segment || entry.lsn !== head.lsn) {
      return 'another record is in its place';
    }
    return isValueIntact(record, head, seed)
      ? undefined
      : 'the checksum of the value does not match';
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

  #segmentAt(offset: number): number {
    const { segmentAreaOffset, segmentStrideBytes } = this.#options.superblock.geometry;
    return Math.floor((offset - segmentAreaOffset) / segmentStrideBytes);
  }

  #nameLater(offset: number, sizeBytes: number, reason: string): void {
    if (this.#nameless.size + this.#damages.length >= DAMAGES_LISTED_MAX) return;
    this.#nameless.set(offset, { segment: this.#segmentAt(offset), offset, sizeBytes, reason });
  }

  /** The index knows the key of every damaged record, whatever the damage hides on the device. */
  #nameTheNameless(): void {
    if (this.#nameless.size === 0) return;
    const { source } = this.#options;
    for (const { key, entry } of this.#rows()) {
      const offset = source.place(entry.segment, entry.offset);
      const damage = this.#nameless.get(offset);
      if (damage !== undefined) {
        this.#nameless.set(offset, { ...damage, key: bytesOfBinaryString(key) });
      }
    }
  }

  *#rows(): Generator<IndexRow> {
    let from = '';
    for (;;) {
      const rows = this.#view.rows({ from, reverse: false }, ROWS_AT_ONCE);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < ROWS_AT_ONCE) return;
      from = `${last.key}\0`;
    }
  }

  #report(damage: Damage): void {
    if (this.#damages.length < DAMAGES_LISTED_MAX) this.#damages.push(damage);
  }
}

function addAt(numbers: Float64Array, index: number, addend: number): number {
  const sum = (numbers[index] as number) + addend;
  numbers[index] = sum;
  return sum;
}

/** What the device cannot read at all is damage too, not the end of the verification. */
async function readUnlessBroken<Result>(read: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    if (hasCode(error, 'DEVICE_READ_FAILED')) return undefined;
    throw error;
  }
}
