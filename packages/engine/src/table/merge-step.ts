/**
 * One step of a merge: data blocks of several sources in, sealed data blocks out.
 *
 * A step is a pure function of plain objects and typed arrays, so that it can run on another thread,
 * and it keeps no state: where it stopped is a key, and the next step skips what is not greater. It
 * goes on until a source that has more blocks elsewhere has no more here (all keys up to that point
 * are known then), until the output is long enough, or until all sources are at their end.
 *
 * The newest source that has a key wins. A key is hidden, too, by the range deletes of sources newer
 * than the newest that has it. Keys and tails are moved as bytes; nothing is allocated for an entry.
 *
 * Selection: the source with the smallest key goes on alone while its keys are below the runner-up's,
 * which is one comparison for each entry; among all sources it chooses only when that ends.
 */
import { assert } from '@dozo/base';
import { ENTRY_DELETE, ENTRY_POINTER } from '../tree/tree-entry.ts';
import { compareKeys } from './block.ts';
import { BlockWriter } from './block-writer.ts';
import type { BlockRun } from './block-writer.ts';
import { EntryReader } from './entry-reader.ts';
import type { PackedRanges } from './ranges-block.ts';
import { isBlockIntact } from './table-format.ts';

/** Whole data blocks of one table, in order, and what its source hides. */
export interface MergeSource {
  readonly blocks: Uint8Array;
  /** Where each block ends in `blocks`. At least one, unless `isLast`. */
  readonly blockEnds: Uint32Array;
  /** The seed of the table that the blocks are from. */
  readonly seed: number;
  /** No blocks of this source follow: neither of this table nor of a later one of its run. */
  readonly isLast: boolean;
  /** The range deletes of the source that concern the keys of this step or more of them. */
  readonly ranges: PackedRanges;
}

/** What a step works on. */
export interface MergeInput {
  /** Newest first. */
  readonly sources: readonly MergeSource[];
  /** `upTo` of the step before: keys up to it are done. Undefined for the first step. */
  readonly after: Uint8Array | undefined;
  /** Instead of `after`: keys below it are done. */
  readonly from?: Uint8Array;
  /** The step ends before this key, where a table must end. */
  readonly stopAt?: Uint8Array | undefined;
  /** Nothing older is left below: deletes are not written. */
  readonly dropDeletes: boolean;
  /** The seed of the table that the output is for. */
  readonly seed: number;
  /** The step ends when the output takes so many bytes of a table, or at most one entry more. */
  readonly outputBytesMax: number;
}

/** What a step made of it. */
export interface MergeStep {
  readonly isDamaged: false;
  readonly run: BlockRun;
  /** The last key that is done; undefined when the whole merge is. */
  readonly upTo: Uint8Array | undefined;
  /** All keys below `stopAt` are done, and others are left; `upTo` says nothing then. */
  readonly isAtStop: boolean;
  /** For each source how many of its blocks are done: the next step does not need them. */
  readonly consumedBlocks: readonly number[];
  /** Entries of all sources that were passed. */
  readonly readCount: number;
  /** Of those, pointers that are not in the output. */
  readonly droppedPointerCount: number;
}

/** A block that is not as it was written. Nothing of the step counts. */
export interface MergeDamage {
  readonly isDamaged: true;
  /** Index of the source in the input. */
  readonly source: number;
  /** Index of the block among those given. */
  readonly block: number;
  readonly reason: 'checksum' | 'content';
}

/** Merges as far as the blocks that are there allow. */
export function mergeStep(input: MergeInput): MergeStep | MergeDamage {
  return new Merger(input).run();
}

/** A source of a merge and where in it the merge is. */
class SourceCursor {
  readonly #source: MergeSource;
  readonly reader = new EntryReader();
  /** Index of the block that the entry is in. */
  block = -1;
  /** It is on an entry. */
  isOnEntry = false;
  damage: 'checksum' | 'content' | undefined;

  constructor(source: MergeSource) {
    assert(source.isLast || source.blockEnds.length > 0, 'a source that goes on has blocks');
    this.#source = source;
  }

  get isLast(): boolean {
    return this.#source.isLast;
  }

  /** How many blocks are done. */
  get consumedBlocks(): number {
    return this.isOnEntry ? this.block : this.#source.blockEnds.length;
  }

  /** Goes to the next entry and tells whether there was one; at damage there is none. */
  next(): boolean {
    this.isOnEntry = this.reader.next() || this.#openNextBlock();
    return this.isOnEntry;
  }

  /** Goes to the first entry whose key is greater than `bound`, or equal to it where that is included. */
  skipPast(bound: Uint8Array, isIncluded: boolean): void {
    const { reader } = this;
    while (this.next()) {
      const order = compareKeys(reader.key, reader.keyBytes, bound, bound.length);
      if (order > 0 || (isIncluded && order === 0)) return;
    }
  }

  #openNextBlock(): boolean {
    const { blocks, blockEnds, seed } = this.#source;
    if (this.reader.isDamaged) {
      this.damage = 'content';
      return false;
    }
    this.block++;
    if (this.block >= blockEnds.length) return false;
    const start = this.block === 0 ? 0 : (blockEnds[this.block - 1] as number);
    const end = blockEnds[this.block] as number;
    if (!isBlockIntact(blocks.subarray(start, end), seed)) {
      this.damage = 'checksum';
      return false;
    }
    this.reader.open(blocks, start, end);
    if (this.reader.next()) return true;
    this.damage = 'content';
    return false;
  }
}

/** The range deletes of one source while keys ascend. */
class RangeCursor {
  readonly #ranges: PackedRanges;
  /** Index of the source whose ranges these are: they hide those with a higher one. */
  readonly source: number;
  #index = 0;

  constructor(ranges: PackedRanges, source: number) {
    this.#ranges = ranges;
    this.source = source;
  }

  /** Whether a range contains `key[0, keyBytes)`, which is not less than the key asked before. */
  covers(key: Uint8Array, keyBytes: number): boolean {
    const { ends } = this.#ranges;
    while (this.#index < ends.length) {
      if (this.#compare(this.#index + 1, key, keyBytes) > 0) {
        return this.#compare(this.#index, key, keyBytes) <= 0;
      }
      this.#index += 2;
    }
    return false;
  }

  /** Compares bound `index` with the key. */
  #compare(index: number, key: Uint8Array, keyBytes: number): number {
    const { bytes, ends } = this.#ranges;
    const start = index === 0 ? 0 : (ends[index - 1] as number);
    const boundBytes = (ends[index] as number) - start;
    const length = boundBytes < keyBytes ? boundBytes : keyBytes;
    for (let at = 0; at < length; at++) {
      const difference = (bytes[start + at] as number) - (key[at] as number);
      if (difference !== 0) return difference;
    }
    return boundBytes - keyBytes;
  }
}

class Merger {
  readonly #input: MergeInput;
  readonly #cursors: readonly SourceCursor[];
  readonly #ranges: readonly RangeCursor[];
  readonly #writer: BlockWriter;
  #readCount = 0;
  #pointersRead = 0;
  /** Set once: the last key that is done when a source or the room for output has come to its end. */
  #upTo: Uint8Array | undefined;
  #damage: MergeDamage | undefined;
  #isAtStop = false;

  constructor(input: MergeInput) {
    this.#input = input;
    this.#cursors = input.sources.map((source) => new SourceCursor(source));
    this.#ranges = input.sources.flatMap(({ ranges }, index) =>
      ranges.ends.length === 0 ? [] : [new RangeCursor(ranges, index)],
    );
    const inputBytes = input.sources.reduce((sum, { blocks }) => sum + blocks.length, 0);
    this.#writer = new BlockWriter(input.seed, Math.min(inputBytes, input.outputBytesMax));
  }

  run(): MergeStep | MergeDamage {
    const { after, from } = this.#input;
    for (const [index, cursor] of this.#cursors.entries()) {
      if (after !== undefined) cursor.skipPast(after, false);
      else if (from !== undefined) cursor.skipPast(from, true);
      else cursor.next();
      this.#noteEnd(index, cursor, after ?? new Uint8Array(0));
    }
    while (this.#upTo === undefined && this.#damage === undefined) {
      const best = this.#smallest();
      if (best < 0) break;
      if (this.#isStop(this.#cursors[best] as SourceCursor)) {
        this.#isAtStop = true;
        break;
      }
      this.#advance(best, this.#passSameKey(best));
    }
    if (this.#damage !== undefined) return this.#damage;
    const run = this.#writer.finish();
    return {
      isDamaged: false,
      run,
      upTo: this.#upTo,
      isAtStop: this.#isAtStop,
      consumedBlocks: this.#cursors.map((cursor) => cursor.consumedBlocks),
      readCount: this.#readCount,
      droppedPointerCount: this.#pointersRead - run.pointerCount,
    };
  }

  /** The newest of the sources with the smallest key; -1 when all are at their end. */
  #smallest(): number {
    const cursors = this.#cursors;
    let best = -1;
    for (let index = 0; index < cursors.length; index++) {
      const cursor = cursors[index] as SourceCursor;
      if (!cursor.isOnEntry) continue;
      if (best < 0 || compareCursors(cursor, cursors[best] as SourceCursor) < 0) best = index;
    }
    return best;
  }

  /** Takes the older sources past the key of `best`. The next smallest, or undefined for none. */
  #passSameKey(best: number): SourceCursor | undefined {
    const cursors = this.#cursors;
    const first = cursors[best] as SourceCursor;
    let second: SourceCursor | undefined;
    for (let index = 0; index < cursors.length; index++) {
      const cursor = cursors[index] as SourceCursor;
      if (index === best || !cursor.isOnEntry) continue;
      if (index > best && compareCursors(cursor, first) === 0) {
        this.#countRead(cursor);
        if (!cursor.next()) {
          this.#noteEnd(index, cursor, keyOf(first));
          continue;
        }
      }
      if (second === undefined || compareCursors(cursor, second) < 0) second = cursor;
    }
    return second;
  }

  /** Writes entries of source `best` while its keys are below the key of `second`. */
  #advance(best: number, second: SourceCursor | undefined): void {
    const cursor = this.#cursors[best] as SourceCursor;
    const { outputBytesMax } = this.#input;
    const writer = this.#writer;
    for (;;) {
      this.#write(best, cursor);
      if (writer.tableBytes >= outputBytesMax) this.#upTo ??= keyOf(cursor);
      if (this.#upTo !== undefined || this.#damage !== undefined) return;
      if (!cursor.next()) {
        this.#noteEnd(best, cursor, keyOf(cursor));
        return;
      }
      if (second !== undefined && compareCursors(cursor, second) >= 0) return;
      if (this.#isStop(cursor)) return;
    }
  }

  /** Whether the key of a cursor belongs to the next table. */
  #isStop({ reader }: SourceCursor): boolean {
    const { stopAt } = this.#input;
    if (stopAt === undefined) return false;
    return compareKeys(reader.key, reader.keyBytes, stopAt, stopAt.length) >= 0;
  }

  /** Writes the entry that source `index` is on, unless it is hidden or not needed. */
  #write(index: number, cursor: SourceCursor): void {
    this.#countRead(cursor);
    const { reader } = cursor;
    const { bytes, key, keyBytes, tailStart, tailEnd } = reader;
    if (this.#input.dropDeletes && bytes[tailStart] === ENTRY_DELETE) return;
    for (const ranges of this.#ranges) {
      if (ranges.source >= index) break;
      if (ranges.covers(key, keyBytes)) return;
    }
    if (!this.#writer.add(key, keyBytes, bytes, tailStart, tailEnd)) {
      this.#damage ??= { isDamaged: true, source: index, block: cursor.block, reason: 'content' };
    }
  }

  #countRead({ reader }: SourceCursor): void {
    this.#readCount++;
    if (reader.bytes[reader.tailStart] === ENTRY_POINTER) this.#pointersRead++;
  }

  /** When a source is on no entry any more: what that means for the step, where `key` is done. */
  #noteEnd(source: number, cursor: SourceCursor, key: Uint8Array): void {
    if (cursor.isOnEntry) return;
    const { block, damage: reason, isLast } = cursor;
    if (reason !== undefined) this.#damage ??= { isDamaged: true, source, block, reason };
    else if (!isLast) this.#upTo ??= key;
  }
}

function compareCursors(left: SourceCursor, right: SourceCursor): number {
  const { reader } = left;
  return compareKeys(reader.key, reader.keyBytes, right.reader.key, right.reader.keyBytes);
}

function keyOf({ reader }: SourceCursor): Uint8Array {
  return reader.key.slice(0, reader.keyBytes);
}
