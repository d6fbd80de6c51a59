/**
 * Checks all of a table: every block against its checksum, and that whoever looks for a key of it will
 * find it: keys ascend, lie inside the bounds, the filter does not deny them, the index leads to them.
 *
 * Reads go past the block cache, in large runs; what is not right is read once more past the page cache.
 */
import { CodecError, bytesOfBinaryString, hasCode } from '@dozo/base';
import type { Damage, KeyBounds } from '../engine-types.ts';
import { BLOCK_BYTES, KEY_BYTES_MAX, TABLE_RUN_BYTES } from '../limits.ts';
import { compareKeys } from './block.ts';
import { hashOfKey, mayContain } from './bloom.ts';
import { EntryReader } from './entry-reader.ts';
import { blockCountOf, blockPlaceAt, findInIndex } from './index-block.ts';
import { decodeRanges } from './ranges-block.ts';
import { RangeSet } from '../tree/range-set.ts';
import type { KeyInterval } from '../tree/range-set.ts';
import { decodeFooter } from './table-footer.ts';
import type { BlockPlace, TableMeta } from './table-meta.ts';
import { coveredBy, rebuildIndex } from './table-salvage.ts';
import type { TableSalvage } from './table-salvage.ts';
import type { CheckedTableSource } from './table-source.ts';

/** What a check of a table has found. */
export interface TableCheck {
  readonly entryCount: number;
  readonly bytesChecked: number;
  /** In order of offset. */
  readonly damages: readonly Damage[];
  /** Present when something is damaged: what can still be had of it. */
  readonly salvage?: TableSalvage;
}

/** Checks a table. Rejects when the device is closed, not for what is wrong with the table. */
export function checkTable(checked: CheckedTableSource, meta: TableMeta): Promise<TableCheck> {
  return new TableChecking(checked, meta).run();
}

class TableChecking {
  readonly #checked: CheckedTableSource;
  readonly #meta: TableMeta;
  readonly #damages: Damage[] = [];
  readonly #reader = new EntryReader();
  /** The key before, for the order. */
  readonly #lastKey = new Uint8Array(KEY_BYTES_MAX);
  #lastKeyBytes = 0;
  readonly #smallest: Uint8Array;
  readonly #end: Uint8Array;
  readonly #badOffsets = new Set<number>();
  readonly #lost: KeyInterval[] = [];
  #ranges = RangeSet.EMPTY;
  #areRangesLost = false;
  #entryCount = 0;

  constructor(checked: CheckedTableSource, meta: TableMeta) {
    this.#checked = checked;
    this.#meta = meta;
    this.#smallest = bytesOfBinaryString(meta.smallest);
    this.#end = bytesOfBinaryString(meta.end);
  }

  async run(): Promise<TableCheck> {
    const meta = this.#meta;
    const filter = await this.#readBlock(meta.filter, 'the filter');
    await this.#checkRanges();
    const index =
      (await this.#readBlock(meta.index, 'the index')) ??
      rebuildIndex(await this.#readData(), meta.seed);
    await this.#checkData(index, filter);
    await this.#checkFooter();
    this.#damages.sort((left, right) => left.offset - right.offset);
    const found = {
      entryCount: this.#entryCount,
      bytesChecked: meta.sizeBytes,
      damages: this.#damages,
    };
    return this.#damages.length === 0 ? found : { ...found, salvage: this.#salvage(index, filter) };
  }

  #salvage(index: Uint8Array, filter: Uint8Array | undefined): TableSalvage {
    return {
      index,
      badOffsets: this.#badOffsets,
      lost: RangeSet.of(this.#lost).list(),
      ranges: this.#ranges,
      areRangesLost: this.#areRangesLost,
      filter,
    };
  }

  /** All of the table up to its filter; zeros where the device cannot read it. */
  async #readData(): Promise<Uint8Array> {
    const { filter } = this.#meta;
    const bytes = new Uint8Array(filter.offset);
    const pieces = [TABLE_RUN_BYTES, BLOCK_BYTES];
    const readPiece = async (start: number, end: number, level: number): Promise<void> => {
      const sizeBytes = pieces[level];
      if (sizeBytes === undefined) return;
      for (let at = start; at < end; at += sizeBytes) {
        const length = Math.min(sizeBytes, end - at);
        const read = this.#checked.readRaw(this.#meta, at, length, 'uncached');
        const piece = await this.#unlessBroken(read);
        if (piece === undefined) await readPiece(at, at + length, level + 1);
        else bytes.set(piece, at);
      }
    };
    await readPiece(0, bytes.length, 0);
    return bytes;
  }

  async #checkRanges(): Promise<void> {
    const { ranges, rangeCount } = this.#meta;
    if (ranges === undefined) return;
    const block = await this.#readBlock(ranges, 'the range block', wholeOf(this.#meta));
    this.#areRangesLost = true;
    if (block === undefined) return;
    try {
      const found = decodeRanges(block);
      if (found.size === rangeCount) {
        this.#ranges = found;
        this.#areRangesLost = false;
        return;
      }
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
    }
    const reason = 'the range deletes are not those of the table';
    this.#report(ranges, reason, wholeOf(this.#meta));
  }

  async #checkData(index: Uint8Array, filter: Uint8Array | undefined): Promise<void> {
    const count = blockCountOf(index);
    const damagesBefore = this.#damages.length;
    for (let number = 0; number < count;) {
      const first = blockPlaceAt(index, number);
      const places: BlockPlace[] = [];
      let end = first.offset;
      while (number < count && (places.length === 0 || end - first.offset < TABLE_RUN_BYTES)) {
        const place = blockPlaceAt(index, number++);
        places.push(place);
        end = place.offset + place.sizeBytes;
      }
      const row = await this.#checked.readRow(this.#meta, places);
      for (const [position, place] of places.entries()) {
        const blockNumber = number - places.length + position;
        const keys = coveredBy(this.#meta, index, blockNumber);
        const block = row[position] ?? (await this.#readBlock(place, 'a data block', keys));
        const damage = block && this.#checkEntries(block, blockNumber, index, filter);
        if (damage !== undefined) this.#report(place, damage.reason, keys);
        if (block !== undefined && damage?.isLost !== true) continue;
        this.#badOffsets.add(place.offset);
        this.#lost.push(keys);
      }
    }
    const isWhole = this.#damages.length === damagesBefore;
    if (isWhole && this.#entryCount !== this.#meta.entryCount) {
      this.#report(this.#meta.index, 'the table has lost or gained entries');
    }
  }

  /** What is wrong with the entries of a block, if anything is. */
  #checkEntries(
    block: Uint8Array,
    blockNumber: number,
    index: Uint8Array,
    filter: Uint8Array | undefined,
  ): BlockDamage | undefined {
    const reader = this.#reader;
    reader.open(block, 0, block.length);
    while (reader.next()) {
      const { keyBytes } = reader;
      const key = reader.key.subarray(0, keyBytes);
      if (compareKeys(key, keyBytes, this.#lastKey, this.#lastKeyBytes) <= 0) {
        return lost('the keys of a data block are not in order');
      }
      this.#lastKey.set(key);
      this.#lastKeyBytes = keyBytes;
      const isInside =
        compareKeys(key, keyBytes, this.#smallest, this.#smallest.length) >= 0 &&
        compareKeys(key, keyBytes, this.#end, this.#end.length) < 0;
      if (!isInside) return lost('a data block has keys outside the bounds of its table');
      if (findInIndex(index, key) !== blockNumber)
        return { reason: 'the index does not lead to a data block', isLost: false };
      if (filter !== undefined && !mayContain(filter, hashOfKey(key))) {
        return { reason: 'the filter denies keys of a data block', isLost: false };
      }
      this.#entryCount++;
    }
    return reader.isDamaged ? lost('the entries of a data block are damaged') : undefined;
  }

  async #checkFooter(): Promise<void> {
    const { number, seed, sizeBytes } = this.#meta;
    const place = { offset: sizeBytes - BLOCK_BYTES, sizeBytes: BLOCK_BYTES };
    for (const mode of ['cached', 'uncached'] as const) {
      const block = await this.#unlessBroken(
        this.#checked.readRaw(this.#meta, place.offset, place.sizeBytes, mode),
      );
      const footer = block === undefined ? undefined : decodeFooter(block);
      if (footer?.number === number && footer.seed === seed) return;
    }
    this.#report(place, 'the footer of a table is damaged');
  }

  /** A block that is right; one that is not is reported. */
  async #readBlock(
    place: BlockPlace,
    what: string,
    keys?: KeyInterval,
  ): Promise<Uint8Array | undefined> {
    const first = await this.#unlessBroken(this.#checked.readOne(this.#meta, place));
    if (first !== undefined) return first;
    const again = await this.#unlessBroken(this.#checked.readAgain(this.#meta, place));
    if (again === undefined) this.#report(place, `${what} of a table is damaged`, keys);
    return again;
  }

  async #unlessBroken<Value>(read: Promise<Value>): Promise<Value | undefined> {
    try {
      return await read;
    } catch (error) {
      if (hasCode(error, 'DEVICE_READ_FAILED', 'INDEX_DAMAGED')) return undefined;
      throw error;
    }
  }

  #report(place: BlockPlace, reason: string, keys?: KeyInterval): void {
    const offset = this.#checked.place(this.#meta, place.offset);
    const { segment } = this.#meta;
    const damage = { segment, offset, sizeBytes: place.sizeBytes, reason };
    this.#damages.push(keys === undefined ? damage : { ...damage, keys: keyBoundsOf(keys) });
  }
}

/** What is wrong with the entries of a block. */
interface BlockDamage {
  readonly reason: string;
  /** Whether it cannot be used any more. */
  readonly isLost: boolean;
}

function lost(reason: string): BlockDamage {
  return { reason, isLost: true };
}

function wholeOf({ smallest, end }: TableMeta): KeyInterval {
  return { from: smallest, to: end };
}

/** An interval in the form of reports. */
export function keyBoundsOf({ from, to }: KeyInterval): KeyBounds {
  return { from: bytesOfBinaryString(from), to: bytesOfBinaryString(to) };
}
