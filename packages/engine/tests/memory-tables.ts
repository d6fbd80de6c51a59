/** Tables in memory for tests of what reads them: a disk, the page cache over it, and a list of reads. */
import { bytesOfBinaryString, DeviceError } from '@dozo/base';

import { RangeSet } from '../src/tree/range-set.ts';
import { TreeEntry } from '../src/tree/tree-entry.ts';
import { TableBuilder, placeTable } from '../src/table/table-builder.ts';
import type { TableMeta } from '../src/table/table-meta.ts';
import type { TableReads, TableSource } from '../src/table/table-source.ts';

/** A read that a reader has made. */
export interface SeenRead {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly mode: 'cached' | 'uncached';
}

/** A source of tables whose bytes a test may change. */
export class MemoryTables implements TableSource {
  readonly path = 'memory';
  readonly reads: SeenRead[] = [];
  /** Whether reads are answered at once: the pages are in memory. */
  isInMemory = false;
  readonly #disk = new Map<number, Uint8Array>();
  readonly #pages = new Map<number, Uint8Array>();
  readonly #broken: {
    readonly offset: number;
    readonly mode: 'cached' | 'both';
    readonly number: number | undefined;
  }[] = [];
  readonly uncached: TableReads = {
    read: (meta, offset, sizeBytes) => this.#read(meta, { offset, sizeBytes, mode: 'uncached' }),
  };

  /** Builds a table of keys and entries, in order, and range deletes. */
  add(
    number: number,
    rows: Iterable<readonly [string, TreeEntry]>,
    ranges: readonly { readonly from: string; readonly to: string }[] = [],
  ): TableMeta {
    const builder = new TableBuilder({
      number,
      seed: 1000 + number,
      targetBytes: 64 * 1024 * 1024,
    });
    for (const [key, entry] of rows) builder.add(bytesOfBinaryString(key), entry);
    const { bytes, content } = builder.finish(new RangeSet(ranges));
    this.#disk.set(number, bytes);
    this.#pages.set(number, bytes.slice());
    return placeTable(content, { segment: 3, ordinal: 7, offset: 8192 });
  }

  /** Flips bits of a byte, on the disk or only in a page of the cache. */
  damage(meta: TableMeta, offset: number, where: 'disk' | 'page'): void {
    const copies = where === 'disk' ? [this.#disk, this.#pages] : [this.#pages];
    for (const copy of copies) {
      const bytes = copy.get(meta.number) as Uint8Array;
      bytes[offset] = (bytes[offset] as number) ^ 0x40;
    }
  }

  /** The bytes of a table on the disk, to be changed. */
  bytesOf(meta: TableMeta): readonly Uint8Array[] {
    return [this.#disk.get(meta.number) as Uint8Array, this.#pages.get(meta.number) as Uint8Array];
  }

  /** From now on reads that touch the byte at `offset` fail, of one table or of all. */
  break(offset: number, mode: 'cached' | 'both' = 'both', meta?: TableMeta): void {
    this.#broken.push({ offset, mode, number: meta?.number });
  }

  place(meta: TableMeta, offset: number): number {
    return 1_000_000 + meta.offset + offset;
  }

  read(meta: TableMeta, offset: number, sizeBytes: number): Promise<Uint8Array> {
    return this.#read(meta, { offset, sizeBytes, mode: 'cached' });
  }

  readCached(meta: TableMeta, offset: number, into: Uint8Array): boolean {
    const read = { offset, sizeBytes: into.length, mode: 'cached' } as const;
    if (!this.isInMemory || this.#isBroken(meta, read)) return false;
    this.reads.push(read);
    const bytes = this.#pages.get(meta.number) as Uint8Array;
    into.set(bytes.subarray(offset, offset + into.length));
    return true;
  }

  async #read(meta: TableMeta, read: SeenRead): Promise<Uint8Array> {
    this.reads.push(read);
    const { offset, sizeBytes, mode } = read;
    // A device answers later, and not all at once.
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    if (this.#isBroken(meta, read)) {
      throw new DeviceError('Reading: a sector is broken.', {
        ...{ code: 'DEVICE_READ_FAILED', path: this.path },
        ...{ offset: this.place(meta, offset), cause: 'EIO' },
      });
    }
    const bytes = (mode === 'cached' ? this.#pages : this.#disk).get(meta.number) as Uint8Array;
    return bytes.slice(offset, offset + sizeBytes);
  }

  #isBroken(meta: TableMeta, { offset, sizeBytes, mode }: SeenRead): boolean {
    return this.#broken.some((broken) => {
      const isOfTable = broken.number === undefined || broken.number === meta.number;
      const isHit = broken.offset >= offset && broken.offset < offset + sizeBytes;
      return isOfTable && isHit && (broken.mode === 'both' || mode === 'cached');
    });
  }
}

/** So many rows with keys `prefix` and a number, entries of all three kinds. */
export function* rowsOf(prefix: string, count: number): Generator<[string, TreeEntry]> {
  for (let index = 0; index < count; index++) {
    const key = keyOf(prefix, index);
    const value = new Uint8Array(80).fill(index & 255);
    if (index % 7 === 3) yield [key, TreeEntry.delete(index + 1)];
    else if (index % 7 === 5) yield [key, TreeEntry.pointer(index + 1, 5000, 9, index * 64)];
    else yield [key, TreeEntry.inline(index + 1, value)];
  }
}

/** The key of row `index` of {@link rowsOf}. */
export function keyOf(prefix: string, index: number): string {
  return `${prefix}${String(index).padStart(8, '0')}`;
}
