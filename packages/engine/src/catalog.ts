/**
 * The index and the table of segments, changed together: which records are live, and where.
 *
 * Recovery and commits go through the same two methods, in the order of the log.
 */
import { indexEntryBytesOf } from './index-page.ts';
import { TreeIndex } from './key-index.ts';
import type { IndexEntry } from './key-index.ts';
import { recordBytesOf } from './record.ts';
import { SegmentTable } from './segment-table.ts';

/** See the file comment. */
export class Catalog {
  readonly index = new TreeIndex();
  readonly segments: SegmentTable;
  #indexBytes = 0;
  #diedBytes = 0;

  constructor(segmentCount: number) {
    this.segments = new SegmentTable(segmentCount);
  }

  /** What a snapshot of the index would take. */
  get indexBytes(): number {
    return this.#indexBytes;
  }

  /** Bytes of records that were overwritten or deleted since the start. */
  get diedBytes(): number {
    return this.#diedBytes;
  }

  put(key: string, entry: IndexEntry): void {
    this.segments.addLive(entry.segment, recordBytesOf(key.length, entry.valueBytes));
    const before = this.index.set(key, entry);
    if (before === undefined) this.#indexBytes += indexEntryBytesOf(key.length);
    else this.#drop(key, before);
  }

  delete(key: string): void {
    const before = this.index.delete(key);
    if (before === undefined) return;
    this.#indexBytes -= indexEntryBytesOf(key.length);
    this.#drop(key, before);
  }

  /** A live record lies elsewhere now. */
  move(key: string, entry: IndexEntry): void {
    this.put(key, entry);
    this.#diedBytes -= recordBytesOf(key.length, entry.valueBytes);
  }

  #drop(key: string, entry: IndexEntry): void {
    const bytes = recordBytesOf(key.length, entry.valueBytes);
    this.#diedBytes += bytes;
    this.segments.removeLive(entry.segment, bytes);
  }
}
