/**
 * What is written in each segment: in which use of it, of which kind, with whose checksums, and how far; and
 * in which segment a use of the log lies.
 *
 * A use has an *ordinal*, and no other use of any segment ever has the same one.
 */
import type { SegmentRow } from './checkpoint-page.ts';
import type { TableMeta } from './table/table-meta.ts';

const LOG = 0;
const TABLES = 1;

/** What is written into a segment during one use of it. */
export type SegmentKind = 'log' | 'tables';

/** See the file comment. */
export class SegmentUses {
  readonly #kinds: Uint8Array;
  readonly #ordinals: Float64Array;
  readonly #seeds: Uint32Array;
  readonly #ends: Uint32Array;
  /** Which segment a use of the log lies in, for all that may still be read. */
  readonly #segmentOfOrdinal = new Map<number, number>();
  /** Segments of the log that may have been left before they were full, because their claim ended. */
  readonly #cutShort = new Set<number>();

  constructor(count: number) {
    this.#kinds = new Uint8Array(count);
    this.#ordinals = new Float64Array(count);
    this.#seeds = new Uint32Array(count);
    this.#ends = new Uint32Array(count);
  }

  /** Where a use of the log lies; `undefined` when nothing of it is live any more. */
  segmentOf(ordinal: number): number | undefined {
    return this.#segmentOfOrdinal.get(ordinal);
  }

  seedOf(segment: number): number {
    return this.#seeds[segment] as number;
  }

  ordinalOf(segment: number): number {
    return this.#ordinals[segment] as number;
  }

  /** Where the last group of a closed segment ends, as an offset in the segment. */
  endOf(segment: number): number {
    return this.#ends[segment] as number;
  }

  isOfTables(segment: number): boolean {
    return this.#kinds[segment] === TABLES;
  }

  /** Whether a segment of the log may have been left before it was full. */
  isCutShort(segment: number): boolean {
    return this.#cutShort.has(segment);
  }

  /** A segment is used anew. */
  begin(segment: number, ordinal: number, seed: number, kind: SegmentKind): void {
    this.#kinds[segment] = kind === 'log' ? LOG : TABLES;
    this.#ordinals[segment] = ordinal;
    this.#seeds[segment] = seed;
    this.#ends[segment] = 0;
    this.#cutShort.delete(segment);
    if (kind === 'log') this.#segmentOfOrdinal.set(ordinal, segment);
  }

  /** Nothing is written any more in this use. */
  close(segment: number, end: number): void {
    this.#ends[segment] = end;
  }

  /** During recovery: a segment holds a piece of a claim's log. */
  restore(row: Omit<SegmentRow, 'liveBytes'>): void {
    const { segment, ordinal } = row;
    this.#kinds[segment] = LOG;
    this.#ordinals[segment] = ordinal;
    this.#seeds[segment] = row.seed;
    this.#ends[segment] = row.end;
    this.#segmentOfOrdinal.set(ordinal, segment);
  }

  /** During recovery: a table of the checkpoint lies there. */
  restoreTable({ segment, ordinal, offset, sizeBytes }: TableMeta): void {
    this.#kinds[segment] = TABLES;
    this.#ordinals[segment] = ordinal;
    this.#ends[segment] = Math.max(this.endOf(segment), offset + sizeBytes);
  }

  /** During recovery: what was restored of a segment is of a use that has ended. */
  forgetRestored(segment: number): void {
    this.#segmentOfOrdinal.delete(this.#ordinals[segment] as number);
  }

  /** After recovery: notes the last segment that each claim has used. */
  findCutShort(): void {
    const lastOfSeed = new Map<number, number>();
    for (const [ordinal, segment] of this.#segmentOfOrdinal) {
      const seed = this.seedOf(segment);
      const last = lastOfSeed.get(seed);
      if (last === undefined || this.ordinalOf(last) < ordinal) lastOfSeed.set(seed, segment);
    }
    for (const segment of lastOfSeed.values()) this.#cutShort.add(segment);
  }

  /** The use has ended: the segment becomes free. */
  end(segment: number): void {
    if (this.#kinds[segment] !== LOG) return;
    const ordinal = this.#ordinals[segment] as number;
    // A later use of another segment never has the same ordinal; an entry of ours may be gone already.
    if (this.#segmentOfOrdinal.get(ordinal) === segment) this.#segmentOfOrdinal.delete(ordinal);
  }
}
