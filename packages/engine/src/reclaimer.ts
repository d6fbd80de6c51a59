/**
 * Empties one closed segment: reads it front to back and hands out its live records to be written
 * again.
 *
 * Whether a record is still live is looked at again when the group that moves it is formed. Each one
 * is checked before it is moved, where it is not right after a second look past the page cache. One
 * that is damaged stays where it is and keeps its segment from
 * being used again, so that nothing is lost in silence.
 */
import { binaryStringOf } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import type { IndexEntry } from './key-index.ts';
import { BLOCK_BYTES, WALK_WINDOW_BYTES } from './limits.ts';
import type { LogSource, SegmentUse, WalkedGroup } from './log-walk.ts';
import { RECORD_PUT, headBytesOf, isValueIntact, valueChecksums } from './record.ts';
import type { RecordHead } from './record.ts';

/** A live record on its way. */
export interface Move {
  readonly name: string;
  /** Where it was when it was read. */
  readonly entry: IndexEntry;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly checksums: readonly number[];
  /** The whole record, when this claim wrote it and it can go as it is. */
  readonly encoded?: Uint8Array;
}

export interface ReclaimerOptions {
  readonly source: LogSource;
  readonly catalog: Catalog;
  readonly counters: Counters;
  /** The seed of the claim that moves. */
  readonly seed: number;
}

/** What one read of the segment gave, and where the next one begins. */
interface Window {
  readonly moves: Move[];
  readonly damageCount: number;
  readonly offset: number;
  readonly groupIndex: number;
}

/** See the file comment. */
export class Reclaimer {
  readonly segment: number;
  readonly #options: ReclaimerOptions;
  readonly #use: SegmentUse;
  readonly #end: number;
  #offset = BLOCK_BYTES;
  #groupIndex = 0;

  constructor(options: ReclaimerOptions, segment: number) {
    const { segments } = options.catalog;
    this.segment = segment;
    this.#options = options;
    this.#use = {
      segment,
      ordinal: segments.ordinalOf(segment),
      seed: segments.seedOf(segment),
    };
    this.#end = segments.endOf(segment);
  }

  /** Some live records, or `undefined` when the segment has been walked. Never rejects. */
  async next(): Promise<Move[] | undefined> {
    const { source, catalog } = this.#options;
    const reader = catalog.segments.enter(true);
    try {
      while (this.#offset < this.#end && catalog.segments.liveBytesOf(this.segment) > 0) {
        const moves = await this.#read(source);
        if (moves.length > 0) return moves;
      }
      return undefined;
    } catch {
      // The device could not read it: what is left here stays, and reading it will say why.
      catalog.segments.markDamaged(this.segment);
      return undefined;
    } finally {
      catalog.segments.leave(reader, true);
    }
  }

  /** The next window; where it is not right, once more past the page cache. */
  async #read(source: LogSource): Promise<Move[]> {
    const { catalog, counters } = this.#options;
    let window = await this.#walk(source);
    if (window.damageCount > 0) {
      window = await this.#walk(source.uncached);
      if (window.damageCount === 0) counters.staleReadCount++;
    }
    if (window.damageCount > 0) {
      counters.checksumErrorCount += window.damageCount;
      catalog.segments.markDamaged(this.segment);
    }
    this.#offset = window.offset;
    this.#groupIndex = window.groupIndex;
    return window.moves;
  }

  async #walk(source: LogSource): Promise<Window> {
    const moves: Move[] = [];
    const start = this.#offset;
    const end = Math.min(this.#end, start + WALK_WINDOW_BYTES);
    const range = { start, end: this.#end, firstGroup: this.#groupIndex };
    let next = start;
    let damageCount = 0;
    const reached = await source.walk(this.#use, range, (group) => {
      if (next >= end) return false;
      next = group.header.offset + 1;
      damageCount += this.#collect(group, moves);
      return true;
    });
    const { offset, groupIndex } = reached;
    const isCutOff = offset === start || (offset < end && offset < this.#end);
    if (!isCutOff) return { moves, damageCount, offset, groupIndex };
    return { moves, damageCount: damageCount + 1, offset: this.#end, groupIndex };
  }

  /** Collects the live records of a group; returns how many places in it are damaged. */
  #collect(group: WalkedGroup, moves: Move[]): number {
    const { catalog } = this.#options;
    if (group.heads === undefined) return 1;
    let damageCount = 0;
    for (const head of group.heads) {
      if (head.type !== RECORD_PUT) continue;
      const name = binaryStringOf(group.bytes, head.keyStart, head.keyEnd);
      const entry = catalog.index.get(name);
      const start = head.valueStart - headBytesOf(head.keyEnd - head.keyStart, head.valueBytes);
      const offset = group.header.offset + start - group.at;
      if (entry?.segment !== this.segment || entry.offset !== offset) continue;
      if (isValueIntact(group.bytes, head, this.#use.seed)) {
        moves.push(this.#move(group, head, { name, entry, start }));
      } else {
        damageCount++;
      }
    }
    return damageCount;
  }

  #move(
    group: WalkedGroup,
    head: RecordHead,
    found: { readonly name: string; readonly entry: IndexEntry; readonly start: number },
  ): Move {
    const { seed } = this.#options;
    const end = head.valueStart + head.valueBytes;
    const value = group.bytes.subarray(head.valueStart, end);
    const isOwn = this.#use.seed === seed;
    return {
      name: found.name,
      entry: found.entry,
      key: group.bytes.subarray(head.keyStart, head.keyEnd),
      value,
      checksums: isOwn ? [] : valueChecksums(value, seed),
      ...(isOwn ? { encoded: group.bytes.subarray(found.start, end) } : {}),
    };
  }
}
