/**
 * Reads records from the device and checks them: what is returned is what was written.
 *
 * A small record is read in one piece. Of a large one only the head and the blocks of the asked range
 * are read; each block of 64 KiB has a checksum of its own in the head.
 *
 * What is not right is read once more past the page cache: pages of it may be from before another
 * machine wrote there. Only then it is damaged.
 */
import {
  assert,
  binaryStringOf,
  bytesOfBinaryString,
  CACHED_READ_BYTES_MAX,
  copyOfBytes,
} from '@dozo/base';
import type { Counters } from './counters.ts';
import type { ByteRange } from './engine-types.ts';
import { EngineError } from './errors.ts';
import { VALUE_BLOCK_BYTES } from './limits.ts';
import type { LogSource, ReadMode } from './log-walk.ts';
import { RECORD_PUT, areBlocksIntact, decodeRecordHead, headBytesOf } from './record.ts';
import type { RecordHead } from './record.ts';
import type { SegmentTable } from './segment-table.ts';
import type { TestSwitches } from './test-switches.ts';
import type { TreeEntry } from './tree/tree-entry.ts';

export interface RecordReaderOptions {
  readonly source: LogSource;
  readonly segments: SegmentTable;
  readonly counters: Counters;
  readonly switches: TestSwitches;
}

/** A value, and what is wrong with its record if anything is. */
interface Reading {
  readonly value: Uint8Array;
  readonly reason: string | undefined;
}

/** See the file comment. */
export class RecordReader {
  readonly #options: RecordReaderOptions;
  /** A record that is looked at within a call. */
  readonly #scratch = new Uint8Array(CACHED_READ_BYTES_MAX);

  constructor(options: RecordReaderOptions) {
    this.#options = options;
  }

  /**
   * The value of a record, or the bytes `[start, end)` of it, in a buffer of its own. The caller has
   * entered the table of segments. Rejects with `VALUE_DAMAGED` and the device's read errors.
   */
  async read(
    name: string,
    entry: TreeEntry,
    range?: ByteRange,
    mode: ReadMode = 'cached',
  ): Promise<Uint8Array> {
    const { source } = this.#options;
    if (mode === 'cached') {
      const first = await this.#readFrom(source, name, entry, range);
      if (first.reason === undefined) return first.value;
    }
    const again = await this.#readFrom(source.uncached, name, entry, range);
    if (again.reason !== undefined) throw this.#damaged(name, entry, again.reason);
    this.#options.counters.staleReadCount++;
    return again.value;
  }

  /**
   * The same if the record is short, in memory and right; else by which way it must be read. The caller has
   * looked the entry up in this turn and need not have entered anything.
   */
  readCached(name: string, entry: TreeEntry, range?: ByteRange): Uint8Array | ReadMode {
    const { valueBytes } = entry;
    const headBytes = headBytesOf(name.length, valueBytes);
    if (headBytes + valueBytes > CACHED_READ_BYTES_MAX) return 'cached';
    const bytes = this.#scratch.subarray(0, headBytes + valueBytes);
    const { source } = this.#options;
    if (!source.readCached(this.#segmentOf(entry), entry.offset, bytes)) return 'cached';
    if (this.#check(name, entry, bytes) !== undefined) return 'uncached';
    const { start, end } = partOf(valueBytes, range);
    return copyOfBytes(bytes.subarray(headBytes + start, headBytes + end));
  }

  /** What is wrong with a whole record that begins at the start of `bytes`, if anything is. */
  problemOf(name: string, entry: TreeEntry, bytes: Uint8Array): string | undefined {
    return this.#check(name, entry, bytes);
  }

  async #readFrom(
    source: LogSource,
    name: string,
    entry: TreeEntry,
    range: ByteRange | undefined,
  ): Promise<Reading> {
    const { valueBytes } = entry;
    const segment = this.#segmentOf(entry);
    const { start, end } = partOf(valueBytes, range);
    const headBytes = headBytesOf(name.length, valueBytes);
    if (valueBytes <= 2 * VALUE_BLOCK_BYTES || start < VALUE_BLOCK_BYTES) {
      // From the head on in one piece, up to the end of the last block that is needed.
      const blocksEnd = Math.min(wholeBlocks(end), valueBytes);
      const bytes = await source.read(segment, entry.offset, headBytes + blocksEnd);
      const reason = this.#check(name, entry, bytes);
      return { value: bytes.subarray(headBytes + start, headBytes + end), reason };
    }
    if (start === end) return { value: new Uint8Array(0), reason: undefined };
    const firstBlock = Math.floor(start / VALUE_BLOCK_BYTES);
    const blocksStart = firstBlock * VALUE_BLOCK_BYTES;
    const blocksEnd = Math.min(wholeBlocks(end), valueBytes);
    const [headPart, blocks] = await Promise.all([
      source.read(segment, entry.offset, headBytes),
      source.read(segment, entry.offset + headBytes + blocksStart, blocksEnd - blocksStart),
    ]);
    const reason = this.#checkBlocks(name, entry, { headPart, blocks, firstBlock });
    return { value: blocks.subarray(start - blocksStart, end - blocksStart), reason };
  }

  /** Checks a record, or the first blocks of it, that begins at the start of `bytes`. */
  #check(name: string, entry: TreeEntry, bytes: Uint8Array): string | undefined {
    const headBytes = headBytesOf(name.length, entry.valueBytes);
    const headPart = bytes.subarray(0, headBytes);
    const blocks = bytes.subarray(headBytes);
    return this.#checkBlocks(name, entry, { headPart, blocks, firstBlock: 0 });
  }

  /** What is wrong with a part of a record, if anything is. */
  #checkBlocks(
    name: string,
    entry: TreeEntry,
    part: {
      readonly headPart: Uint8Array;
      readonly blocks: Uint8Array;
      readonly firstBlock: number;
    },
  ): string | undefined {
    const { segments, switches } = this.#options;
    if (switches.skipReadChecks === true) return undefined;
    const { headPart, blocks, firstBlock } = part;
    const seed = segments.seedOf(this.#segmentOf(entry));
    const head = decodeRecordHead(headPart, 0, headPart.length, seed);
    if (head === undefined) return 'the head of its record is damaged';
    if (!isRecordOf(headPart, head, name, entry)) return 'another record is in its place';
    const checksumsStart = head.keyEnd;
    const areIntact = areBlocksIntact({
      head: headPart,
      checksumsStart,
      blocks,
      firstBlock,
      seed,
    });
    return areIntact ? undefined : 'its checksum does not match';
  }

  #segmentOf(entry: TreeEntry): number {
    const segment = this.#options.segments.segmentOf(entry.ordinal);
    assert(segment !== undefined, 'a visible value lies in a use of a segment that is over');
    return segment;
  }

  #damaged(name: string, entry: TreeEntry, reason: string): EngineError {
    const { source, counters } = this.#options;
    counters.checksumErrorCount++;
    const segment = this.#segmentOf(entry);
    const offset = source.place(segment, entry.offset);
    const { path } = source.device;
    return new EngineError(
      `Reading a value of ${entry.valueBytes} bytes from ${path} at byte ${offset}: ${reason}. It is ` +
        'not returned. Write the key again or delete it; `dozo device verify` lists all damage.',
      {
        code: 'VALUE_DAMAGED',
        path,
        key: bytesOfBinaryString(name),
        segment,
        offset,
        reason,
      },
    );
  }
}

function isRecordOf(bytes: Uint8Array, head: RecordHead, name: string, entry: TreeEntry): boolean {
  return (
    head.type === RECORD_PUT &&
    head.lsn === entry.lsn &&
    head.valueBytes === entry.valueBytes &&
    binaryStringOf(bytes, head.keyStart, head.keyEnd) === name
  );
}

/** What of a value is asked for. */
function partOf(valueBytes: number, range: ByteRange | undefined): ByteRange {
  const start = Math.min(Math.max(range?.start ?? 0, 0), valueBytes);
  return { start, end: Math.min(Math.max(range?.end ?? valueBytes, start), valueBytes) };
}

function wholeBlocks(bytes: number): number {
  return Math.ceil(bytes / VALUE_BLOCK_BYTES) * VALUE_BLOCK_BYTES;
}
