/**
 * Builds a table in memory, from entries in key order or from the blocks that merge steps made.
 *
 * A table is written in one piece, so all of it is here until then: the caller bounds it by asking
 * {@link TableBuilder.isFull} after each entry or step.
 */
import { assert, binaryStringOf, compareBytes, writeBinaryString } from '@dozo/base';
import { BLOCK_BYTES, KEY_BYTES_MAX } from '../limits.ts';
import { endOf } from '../pacer.ts';
import { RangeSet } from '../tree/range-set.ts';
import type { TreeEntry } from '../tree/tree-entry.ts';
import { encodeFilter } from './bloom.ts';
import { BlockWriter } from './block-writer.ts';
import type { BlockRun } from './block-writer.ts';
import { writeTail } from './entry-reader.ts';
import { encodeIndex, shortFence } from './index-block.ts';
import { encodeRanges } from './ranges-block.ts';
import { encodeFooter } from './table-footer.ts';
import { DATA_BLOCK_BYTES, TABLE_INLINE_BYTES_MAX } from './table-format.ts';
import type { BlockPlace, TableContent, TableMeta, TablePlace } from './table-meta.ts';

/** Bytes that are copied in one go: some tenths of a millisecond. */
const COPY_BYTES = 1024 * 1024;

/** A table that has no place yet. */
export interface BuiltTable {
  /** All of it, a multiple of `BLOCK_BYTES`. */
  readonly bytes: Uint8Array;
  readonly content: TableContent;
}

/** What a builder must know. */
export interface TableBuilderOptions {
  readonly number: number;
  /** `tableSeedOf` the claim and the number. */
  readonly seed: number;
  /** How long a table should be. */
  readonly targetBytes: number;
}

/** The meta of a table that lies at `place`. */
export function placeTable(content: TableContent, place: TablePlace): TableMeta {
  const { segment, ordinal, offset } = place;
  return { ...content, segment, ordinal, offset };
}

/** See the file comment. */
export class TableBuilder {
  readonly #options: TableBuilderOptions;
  readonly #runs: BlockRun[] = [];
  #runBytes = 0;
  #writer: BlockWriter | undefined;
  readonly #key = new Uint8Array(KEY_BYTES_MAX);
  readonly #tail = new Uint8Array(64 + TABLE_INLINE_BYTES_MAX);

  constructor(options: TableBuilderOptions) {
    this.#options = options;
  }

  /** Whether it has no entries. */
  get isEmpty(): boolean {
    return this.#runs.length === 0 && this.#writer === undefined;
  }

  /** Bytes that the table will have about, without its range deletes. */
  get sizeBytes(): number {
    return this.#runBytes + (this.#writer?.tableBytes ?? 0) + BLOCK_BYTES;
  }

  /** What may still be added in bytes: the `outputBytesMax` of the next merge step; at least 1. */
  get remainingBytes(): number {
    return Math.max(1, this.#options.targetBytes - this.sizeBytes);
  }

  /** Whether another block would make it longer than it should be. */
  get isFull(): boolean {
    return this.sizeBytes + DATA_BLOCK_BYTES > this.#options.targetBytes;
  }

  /** Adds an entry. Its key, bytes or a binary string, is greater than all before. */
  add(key: Uint8Array | string, entry: TreeEntry): void {
    let keyInBytes = this.#key;
    if (typeof key === 'string') {
      assert(key.length <= KEY_BYTES_MAX, 'a key of a table has 1 to 1,536 bytes');
      writeBinaryString(key, keyInBytes, 0);
    } else {
      keyInBytes = key as Uint8Array<ArrayBuffer>;
    }
    const tailBytes = writeTail(entry, this.#tail, 0);
    this.addTail(keyInBytes, key.length, this.#tail, 0, tailBytes);
  }

  /** The same for an entry whose key is `key[0, keyBytes)` and whose tail `tail[tailStart, tailEnd)`. */
  addTail(
    key: Uint8Array,
    keyBytes: number,
    tail: Uint8Array,
    tailStart: number,
    tailEnd: number,
  ): void {
    const { seed, targetBytes } = this.#options;
    this.#writer ??= new BlockWriter(seed, targetBytes - this.#runBytes);
    const isAdded = this.#writer.add(key, keyBytes, tail, tailStart, tailEnd);
    assert(isAdded, 'the keys of a table ascend');
  }

  /** Adds blocks whose keys are all greater than those before, made with the seed of this table. */
  addBlocks(run: BlockRun): void {
    this.#closeWriter();
    if (run.entryCount === 0) return;
    const before = this.#runs.at(-1);
    assert(
      before === undefined || compareBytes(before.lastKey, run.firstKey) < 0,
      'the keys of a table ascend',
    );
    this.#runs.push(run);
    const { blocks, fences, blockEnds, hashes } = run;
    this.#runBytes +=
      blocks.length + fences.length + 8 * blockEnds.length + (hashes.length * 5) / 8;
  }

  /** The table. It has entries or range deletes. The builder is used up. */
  finish(ranges: RangeSet = RangeSet.EMPTY): BuiltTable {
    return endOf(this.finishInSteps(ranges));
  }

  /** The same; a yield is a place for others to get the thread. */
  *finishInSteps(ranges: RangeSet): Generator<undefined, BuiltTable> {
    this.#closeWriter();
    assert(this.#runs.length > 0 || !ranges.isEmpty, 'a table holds something');
    const { number, seed } = this.#options;
    const runs = this.#runs;
    const data = runs.map((run) => run.blocks);
    const filter = yield* encodeFilter(
      runs.map((run) => run.hashes),
      seed,
    );
    const rangesBlock = ranges.isEmpty ? undefined : encodeRanges(ranges, seed);
    const index = encodeIndex(joinRuns(runs), seed);
    yield;
    const parts = [...data, filter, ...(rangesBlock === undefined ? [] : [rangesBlock]), index];
    const filterPlace = { offset: sizeOf(data), sizeBytes: filter.length };
    const rangesPlace: BlockPlace = {
      offset: filterPlace.offset + filter.length,
      sizeBytes: rangesBlock?.length ?? 0,
    };
    const unsized: TableContent = {
      number,
      seed,
      sizeBytes: 0,
      filter: filterPlace,
      ranges: rangesBlock === undefined ? undefined : rangesPlace,
      index: { offset: rangesPlace.offset + rangesPlace.sizeBytes, sizeBytes: index.length },
      ...totalsOf(runs),
      rangeCount: ranges.size,
      ...boundsOf(runs, ranges),
    };
    const footerBytes = encodeFooter(unsized).length;
    const sizeBytes = Math.ceil((sizeOf(parts) + footerBytes) / BLOCK_BYTES) * BLOCK_BYTES;
    const content = { ...unsized, sizeBytes };
    const bytes = new Uint8Array(sizeBytes);
    let at = 0;
    for (const part of parts) {
      for (let start = 0; start < part.length; start += COPY_BYTES) {
        bytes.set(part.subarray(start, start + COPY_BYTES), at + start);
        yield;
      }
      at += part.length;
    }
    bytes.set(encodeFooter(content), sizeBytes - footerBytes);
    return { bytes, content };
  }

  #closeWriter(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = undefined;
    this.addBlocks(writer.finish());
  }
}

/** The blocks of all runs with their places in the table. */
function joinRuns(runs: readonly BlockRun[]): { ends: number[]; fences: Uint8Array[] } {
  const ends: number[] = [];
  const fences: Uint8Array[] = [];
  let start = 0;
  let before: BlockRun | undefined;
  for (const run of runs) {
    let fenceStart = 0;
    for (const [number, fenceEnd] of run.fenceEnds.entries()) {
      const fence =
        number === 0 && before !== undefined
          ? shortFence(before.lastKey, run.firstKey)
          : run.fences.subarray(fenceStart, fenceEnd);
      ends.push(start + (run.blockEnds[number] as number));
      fences.push(fence);
      fenceStart = fenceEnd;
    }
    start += run.blocks.length;
    before = run;
  }
  return { ends, fences };
}

function totalsOf(
  runs: readonly BlockRun[],
): Pick<TableContent, 'entryCount' | 'deleteCount' | 'pointerCount' | 'dataBytes' | 'lsnMax'> {
  const totals = { entryCount: 0, deleteCount: 0, pointerCount: 0, dataBytes: 0, lsnMax: 0 };
  for (const run of runs) {
    totals.entryCount += run.entryCount;
    totals.deleteCount += run.deleteCount;
    totals.pointerCount += run.pointerCount;
    totals.dataBytes += run.dataBytes;
    totals.lsnMax = Math.max(totals.lsnMax, run.lsnMax);
  }
  return totals;
}

/** The bounds of keys and range deletes together. */
function boundsOf(runs: readonly BlockRun[], ranges: RangeSet): { smallest: string; end: string } {
  const starts: string[] = [];
  const ends: string[] = [];
  const first = runs[0];
  const last = runs.at(-1);
  if (first !== undefined && last !== undefined) {
    starts.push(binaryStringOf(first.firstKey));
    ends.push(`${binaryStringOf(last.lastKey)}\0`);
  }
  const intervals = ranges.list();
  const firstInterval = intervals[0];
  const lastInterval = intervals.at(-1);
  if (firstInterval !== undefined && lastInterval !== undefined) {
    starts.push(firstInterval.from);
    ends.push(lastInterval.to);
  }
  const smallest = starts.reduce((least, start) => (start < least ? start : least));
  return { smallest, end: ends.reduce((most, end) => (end > most ? end : most)) };
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
