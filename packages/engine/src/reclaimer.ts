/**
 * Empties one closed segment of the log: reads it front to back and hands out its live records to be
 * written again.
 *
 * A record is live when the tree has a pointer to just this place. Whether it still is is looked at again
 * when the group that moves it is formed. Each one is checked before it is moved, where it is not right after a second look past the page cache. One
 * that is damaged stays where it is and keeps its segment from
 * being used again, so that nothing is lost in silence. Where a table is damaged that would say whether a
 * record is live, the record stays too; its segment is tried again when the tree has changed.
 */
import { DozoError, binaryStringOf, hasCode } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import { BLOCK_BYTES, LOOKUPS_AT_ONCE, WALK_WINDOW_BYTES } from './limits.ts';
import type { LogSource, SegmentUse, WalkedGroup } from './log-walk.ts';
import { isPromise } from './maybe-promise.ts';
import type { MaybePromise } from './maybe-promise.ts';
import type { Pace } from './pacer.ts';
import { RECORD_PUT, headBytesOf, isValueIntact, valueChecksums } from './record.ts';
import type { RecordHead } from './record.ts';
import { decodeSegmentHeader } from './segment-header.ts';
import { isInline } from './space.ts';
import { ENTRY_POINTER } from './tree/tree-entry.ts';
import type { TreeEntry } from './tree/tree-entry.ts';

/** A live record on its way. */
export interface Move {
  readonly name: string;
  /** Where it was when it was read. */
  readonly entry: TreeEntry;
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
  readonly pacer: Pace;
  /** What a key has now. */
  readonly lookUp: (name: string) => MaybePromise<TreeEntry | undefined>;
  /** The seed of the claim that moves. */
  readonly seed: number;
}

/** Records that were live when they were looked up. */
export interface Moves {
  readonly moves: readonly Move[];
  /** See `Catalog.generation`: while it is the same, only the memtables can know of newer ones. */
  readonly generation: number;
}

/** A record that may be live. */
interface Candidate {
  readonly name: string;
  readonly offset: number;
  /** The whole record, in the window that it was read in. */
  readonly record: Uint8Array;
  readonly head: RecordHead;
  readonly isDamaged: boolean;
}

/** What one read of the segment gave, and where the next one begins. */
interface Window {
  readonly candidates: Candidate[];
  /** Groups whose records cannot be told; the walk ends at the first place that holds no group. */
  readonly lostCount: number;
  readonly offset: number;
  readonly groupIndex: number;
}

/** See the file comment. */
export class Reclaimer {
  readonly segment: number;
  /** What was handed out, and the longest record of it. */
  movedBytes = 0;
  recordBytesMax = 0;
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

  /** Some live records, or `undefined` when the segment has been walked. Rejects with bugs of ours alone. */
  async next(): Promise<Moves | undefined> {
    const { source, catalog } = this.#options;
    const reader = catalog.segments.enter(true);
    try {
      if (this.#offset === BLOCK_BYTES && (await this.#isUsedAgain())) return undefined;
      while (this.#offset < this.#end && catalog.segments.liveBytesOf(this.segment) > 0) {
        const found = await this.#live(await this.#read(source));
        if (found.moves.length > 0) return found;
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof DozoError)) throw error;
      // The device could not read it: what is left here stays, and reading it will say why.
      if (hasCode(error, 'DEVICE_READ_FAILED')) catalog.segments.markDamaged(this.segment);
      return undefined;
    } finally {
      catalog.segments.leave(reader, true);
    }
  }

  /**
   * Whether the segment has been used again since. After a crash it may still count bytes of records that
   * had all been moved or overwritten: the log that was replayed says so, once it is settled. The same with
   * one that was discarded: it begins with zeros, which no use of it does.
   */
  async #isUsedAgain(): Promise<boolean> {
    const { source } = this.#options;
    const isOther = (block: Uint8Array): boolean => {
      const header = decodeSegmentHeader(block) ?? decodeSegmentHeader(block, 'tables');
      if (header === undefined) return block.every((byte) => byte === 0);
      return header.ordinal !== this.#use.ordinal;
    };
    if (!isOther(await source.read(this.segment, 0, BLOCK_BYTES))) return false;
    return isOther(await source.uncached.read(this.segment, 0, BLOCK_BYTES));
  }

  /** Those of some moves that are still live: after entries have gone from one source to another. */
  async recheck(moves: readonly Move[]): Promise<Moves> {
    const { catalog } = this.#options;
    const reader = catalog.segments.enter(true);
    try {
      return await this.#stillLive(moves);
    } finally {
      catalog.segments.leave(reader, true);
    }
  }

  async #stillLive(moves: readonly Move[]): Promise<Moves> {
    const { catalog } = this.#options;
    for (;;) {
      const { generation } = catalog;
      const live: Move[] = [];
      for (const move of moves) {
        const found = this.#lookUp(move.name);
        const entry = isPromise(found) ? await found : found;
        if (entry !== undefined && isAt(entry, this.#use.ordinal, move.entry.offset))
          live.push(move);
      }
      if (generation === catalog.generation) return { moves: live, generation };
    }
  }

  /** Looks candidates up, many at a time, and makes moves of those that are live. */
  async #live(candidates: readonly Candidate[]): Promise<Moves> {
    const { catalog, pacer } = this.#options;
    const { generation } = catalog;
    const moves: Move[] = [];
    pacer.begin();
    for (let at = 0; at < candidates.length; at += LOOKUPS_AT_ONCE) {
      const some = candidates.slice(at, at + LOOKUPS_AT_ONCE);
      const found = some.map(({ name }) => this.#lookUp(name));
      const entries = found.some((entry) => isPromise(entry))
        ? await pacer.wait(Promise.all(found.map((entry) => Promise.resolve(entry))))
        : found;
      for (const [index, candidate] of some.entries()) {
        const entry = entries[index] as TreeEntry | undefined;
        if (entry === undefined || !isAt(entry, this.#use.ordinal, candidate.offset)) continue;
        if (candidate.isDamaged) this.#noteDamage(1);
        else moves.push(this.#move(candidate, entry));
      }
      await pacer.pause();
    }
    // A look that began before a flush and ended after it may have missed an entry on its way.
    return generation === catalog.generation ? { moves, generation } : this.#stillLive(moves);
  }

  /** What a key has now; `undefined` also where that cannot be told: then its record stays where it is. */
  #lookUp(name: string): MaybePromise<TreeEntry | undefined> {
    try {
      const found = this.#options.lookUp(name);
      return isPromise(found) ? found.catch(unknownIfDamaged) : found;
    } catch (error) {
      return unknownIfDamaged(error);
    }
  }

  /** The next window; where it is not right, once more past the page cache. */
  async #read(source: LogSource): Promise<readonly Candidate[]> {
    let window = await this.#walk(source);
    const isRight = ({ lostCount, candidates }: Window): boolean =>
      lostCount === 0 && !candidates.some(({ isDamaged }) => isDamaged);
    if (!isRight(window)) {
      window = await this.#walk(source.uncached);
      if (isRight(window)) this.#options.counters.staleReadCount++;
    }
    if (window.lostCount > 0) this.#noteDamage(window.lostCount);
    this.#offset = window.offset;
    this.#groupIndex = window.groupIndex;
    return window.candidates;
  }

  #noteDamage(count: number): void {
    const { catalog, counters } = this.#options;
    counters.checksumErrorCount += count;
    catalog.segments.markDamaged(this.segment);
  }

  async #walk(source: LogSource): Promise<Window> {
    const candidates: Candidate[] = [];
    const start = this.#offset;
    const end = Math.min(this.#end, start + WALK_WINDOW_BYTES);
    const range = { start, end: this.#end, firstGroup: this.#groupIndex };
    let next = start;
    let lostCount = 0;
    const reached = await source.walk(this.#use, range, (group) => {
      if (next >= end) return false;
      next = group.header.offset + 1;
      if (group.heads === undefined) lostCount++;
      else this.#collect(group, group.heads, candidates);
      return true;
    });
    const { offset, groupIndex } = reached;
    const isCutOff = offset === start || (offset < end && offset < this.#end);
    if (!isCutOff) return { candidates, lostCount, offset, groupIndex };
    return { candidates, lostCount: lostCount + 1, offset: this.#end, groupIndex };
  }

  /** Collects the records of a group that may be live. */
  #collect(group: WalkedGroup, heads: readonly RecordHead[], candidates: Candidate[]): void {
    for (const head of heads) {
      if (head.type !== RECORD_PUT) continue;
      const isDamaged = !isValueIntact(group.bytes, head, this.#use.seed);
      // A short value stands in the tree, unless it was damaged when the log was replayed.
      if (isInline(head.valueBytes) && !isDamaged) continue;
      const valueEnd = head.valueStart + head.valueBytes;
      const start = head.valueStart - headBytesOf(head.keyEnd - head.keyStart, head.valueBytes);
      candidates.push({
        name: binaryStringOf(group.bytes, head.keyStart, head.keyEnd),
        offset: group.header.offset + start - group.at,
        record: group.bytes.subarray(start, valueEnd),
        head: {
          ...head,
          keyStart: head.keyStart - start,
          keyEnd: head.keyEnd - start,
          valueStart: head.valueStart - start,
        },
        isDamaged,
      });
    }
  }

  #move({ name, record, head }: Candidate, entry: TreeEntry): Move {
    const { seed } = this.#options;
    this.movedBytes += record.length;
    this.recordBytesMax = Math.max(this.recordBytesMax, record.length);
    const value = record.subarray(head.valueStart, head.valueStart + head.valueBytes);
    const isOwn = this.#use.seed === seed;
    return {
      name,
      entry,
      key: record.subarray(head.keyStart, head.keyEnd),
      value,
      checksums: isOwn ? [] : valueChecksums(value, seed),
      ...(isOwn ? { encoded: record } : {}),
    };
  }
}

/** A table that would say it is damaged, which whoever reads the key is told; anything else goes on. */
function unknownIfDamaged(error: unknown): TreeEntry | undefined {
  if (hasCode(error, 'INDEX_DAMAGED', 'DEVICE_READ_FAILED')) return undefined;
  throw error;
}

function isAt(entry: TreeEntry, ordinal: number, offset: number): boolean {
  return entry.kind === ENTRY_POINTER && entry.ordinal === ordinal && entry.offset === offset;
}
