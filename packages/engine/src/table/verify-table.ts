/**
 * Checks all of a table: every block against its checksum, and that whoever looks for a key of it will
 * find it: keys ascend, lie inside the bounds, the filter does not deny them, the index leads to them.
 *
 * Reads go past the block cache, in large runs; what is not right is read once more past the page cache.
 */
import { CodecError, bytesOfBinaryString, hasCode } from '@dozo/base';
import type { Damage } from '../engine-types.ts';
import { BLOCK_BYTES, KEY_BYTES_MAX, TABLE_RUN_BYTES } from '../limits.ts';
import { compareKeys } from './block.ts';
import { hashOfKey, mayContain } from './bloom.ts';
import { EntryReader } from './entry-reader.ts';
import { blockCountOf, blockPlaceAt, findInIndex } from './index-block.ts';
import { decodeRanges } from './ranges-block.ts';
import { decodeFooter } from './table-footer.ts';
import type { BlockPlace, TableMeta } from './table-meta.ts';
import type { CheckedTableSource } from './table-source.ts';

/** What a check of a table has found. */
export interface TableCheck {
  readonly entryCount: number;
  readonly bytesChecked: number;
  /** In order of offset. */
  readonly damages: readonly Damage[];
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
    const index = await this.#readBlock(meta.index, 'the index');
    if (index !== undefined) await this.#checkData(index, filter);
    await this.#checkFooter();
    this.#damages.sort((left, right) => left.offset - right.offset);
    const bytesChecked = meta.sizeBytes;
    return { entryCount: this.#entryCount, bytesChecked, damages: this.#damages };
  }

  async #checkRanges(): Promise<void> {
    const { ranges, rangeCount } = this.#meta;
    if (ranges === undefined) return;
    const block = await this.#readBlock(ranges, 'the range block');
    if (block === undefined) return;
    try {
      if (decodeRanges(block).size === rangeCount) return;
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
    }
    this.#report(ranges, 'the range deletes are not those of the table');
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
        const block = row[position] ?? (await this.#readBlock(place, 'a data block'));
        if (block === undefined) continue;
        const blockNumber = number - places.length + position;
        const reason = this.#checkEntries(block, blockNumber, index, filter);
        if (reason !== undefined) this.#report(place, reason);
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
  ): string | undefined {
    const reader = this.#reader;
    reader.open(block, 0, block.length);
    while (reader.next()) {
      const { keyBytes } = reader;
      const key = reader.key.subarray(0, keyBytes);
      if (compareKeys(key, keyBytes, this.#lastKey, this.#lastKeyBytes) <= 0) {
        return 'the keys of a data block are not in order';
      }
      this.#lastKey.set(key);
      this.#lastKeyBytes = keyBytes;
      const isInside =
        compareKeys(key, keyBytes, this.#smallest, this.#smallest.length) >= 0 &&
        compareKeys(key, keyBytes, this.#end, this.#end.length) < 0;
      if (!isInside) return 'a data block has keys outside the bounds of its table';
      if (findInIndex(index, key) !== blockNumber) return 'the index does not lead to a data block';
      if (filter !== undefined && !mayContain(filter, hashOfKey(key))) {
        return 'the filter denies keys of a data block';
      }
      this.#entryCount++;
    }
    return reader.isDamaged ? 'the entries of a data block are damaged' : undefined;
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
  async #readBlock(place: BlockPlace, what: string): Promise<Uint8Array | undefined> {
    const first = await this.#unlessBroken(this.#checked.readOne(this.#meta, place));
    if (first !== undefined) return first;
    const again = await this.#unlessBroken(this.#checked.readAgain(this.#meta, place));
    if (again === undefined) this.#report(place, `${what} of a table is damaged`);
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

  #report(place: BlockPlace, reason: string): void {
    const offset = this.#checked.place(this.#meta, place.offset);
    const { segment } = this.#meta;
    this.#damages.push({ segment, offset, sizeBytes: place.sizeBytes, reason });
  }
}
