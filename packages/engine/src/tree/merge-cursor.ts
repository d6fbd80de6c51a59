/**
 * Merges the sources of a tree into what is visible: for every key what the newest source says, without
 * deletes and without what the range deletes of a newer source cover.
 *
 * The source with the first key is looked for again only when its next key is not before the first key
 * of all others: as most of a tree lies in its last level, a step mostly compares two keys. Sources that
 * must read are waited for together. Where a range delete covers much, the source below jumps over it.
 */
import type { MaybePromise } from '../maybe-promise.ts';
import type { EntryCursor } from './entry-cursor.ts';
import type { SeekingCursor, SourceRanges } from './source-cursors.ts';
import { ENTRY_DELETE } from './tree-entry.ts';
import type { TreeEntry } from './tree-entry.ts';

/** After so many covered entries of a source it jumps to the end of the range delete. */
const COVERED_STEPS_MAX = 8;

/** Steps after which others get the thread: about a millisecond of work. */
const STEPS_MAX = 2048;

/** A source of a merge. */
export class MergeSource {
  readonly cursor: SeekingCursor;
  /** Its range deletes; undefined where it has none. */
  readonly ranges: SourceRanges | undefined;
  /** The key where it stands. */
  key = '';
  /** Whether it goes one on before the next step. */
  isMoving = true;
  isAtEnd = false;
  /** Entries one after the other that were covered. */
  coveredCount = 0;

  constructor(cursor: SeekingCursor, ranges: SourceRanges | undefined) {
    this.cursor = cursor;
    this.ranges = ranges;
  }

  arrive(isThere: boolean): void {
    this.isMoving = false;
    this.isAtEnd = !isThere;
    if (isThere) this.key = this.cursor.key;
  }
}

export interface MergeOptions {
  /** Newest first. */
  readonly sources: readonly MergeSource[];
  readonly reverse: boolean;
  /** Lets others have the thread. */
  readonly breathe: () => Promise<void>;
}

/** See the file comment. */
export class MergeCursor implements EntryCursor {
  readonly #sources: readonly MergeSource[];
  readonly #reverse: boolean;
  readonly #breathe: () => Promise<void>;
  /** Whether any source but the last has range deletes. */
  readonly #hasRanges: boolean;
  #best: MergeSource | undefined;
  #bestAt = 0;
  /** The first key of all sources but the best; undefined where the others are at their ends. */
  #secondKey: string | undefined;
  #isSelected = false;
  #stepCount = 0;
  #key = '';
  #entry: TreeEntry | undefined;

  constructor({ sources, reverse, breathe }: MergeOptions) {
    this.#sources = sources;
    this.#reverse = reverse;
    this.#breathe = breathe;
    this.#hasRanges = sources.some((source) => source.ranges !== undefined);
  }

  get key(): string {
    return this.#key;
  }

  get entry(): TreeEntry {
    return this.#entry as TreeEntry;
  }

  next(): MaybePromise<boolean> {
    const outcome = this.#advance();
    return typeof outcome === 'boolean' ? outcome : this.#nextAfter(outcome);
  }

  async #nextAfter(first: Promise<unknown>): Promise<boolean> {
    let waiting = first;
    for (;;) {
      await waiting;
      const outcome = this.#advance();
      if (typeof outcome === 'boolean') return outcome;
      waiting = outcome;
    }
  }

  /** Goes to the next visible entry; a promise where something must be waited for, to be called again. */
  #advance(): boolean | Promise<unknown> {
    for (;;) {
      if (!this.#isSelected) {
        const pulling = this.#pull();
        if (pulling !== undefined) return pulling;
        this.#select();
        this.#isSelected = true;
      }
      const best = this.#best;
      if (best === undefined) return false;
      if (this.#hasRanges) {
        const preparing = this.#prepareRanges(best.key);
        if (preparing !== undefined) return preparing;
      }
      if (this.#take(best)) return true;
      if (++this.#stepCount >= STEPS_MAX) {
        this.#stepCount = 0;
        return this.#breathe();
      }
    }
  }

  /** Moves the sources that are to move. */
  #pull(): Promise<unknown> | undefined {
    const best = this.#best;
    if (best !== undefined) return best.isMoving ? pullOne(best) : undefined;
    let waiting: Promise<unknown>[] | undefined;
    for (const source of this.#sources) {
      if (!source.isMoving) continue;
      const pulling = pullOne(source);
      if (pulling !== undefined) (waiting ??= []).push(pulling);
    }
    return waiting === undefined ? undefined : Promise.all(waiting);
  }

  /** Finds the source with the first key, the newest of them where several have it. */
  #select(): void {
    const before = this.#best;
    if (before !== undefined && !before.isAtEnd) {
      const second = this.#secondKey;
      if (second === undefined || this.#isBefore(before.key, second)) return;
    }
    let best: MergeSource | undefined;
    let second: string | undefined;
    let at = 0;
    for (const source of this.#sources) {
      if (!source.isAtEnd) {
        if (best === undefined || this.#isBefore(source.key, best.key)) {
          second = best?.key;
          best = source;
          this.#bestAt = at;
        } else if (second === undefined || this.#isBefore(source.key, second)) {
          second = source.key;
        }
      }
      at++;
    }
    this.#best = best;
    this.#secondKey = second;
  }

  /** Takes the best source's entry, and lets all sources that have its key go on. True if visible. */
  #take(best: MergeSource): boolean {
    const { key } = best;
    const isHidden = this.#hasRanges && this.#isCovered(best);
    const entry = isHidden ? undefined : best.cursor.entry;
    best.isMoving = true;
    this.#isSelected = false;
    if (this.#secondKey === key) {
      for (const source of this.#sources) {
        if (!source.isAtEnd && source.key === key) source.isMoving = true;
      }
      this.#best = undefined;
    }
    if (entry === undefined || entry.kind === ENTRY_DELETE) return false;
    this.#key = key;
    this.#entry = entry;
    return true;
  }

  /** Whether a source newer than the best covers its key. */
  #isCovered(best: MergeSource): boolean {
    for (let at = 0; at < this.#bestAt; at++) {
      const interval = this.#sources[at]?.ranges?.covering(best.key);
      if (interval === undefined) continue;
      if (++best.coveredCount >= COVERED_STEPS_MAX) {
        best.coveredCount = 0;
        best.cursor.skipTo(this.#reverse ? interval.from : interval.to);
      }
      return true;
    }
    best.coveredCount = 0;
    return false;
  }

  #prepareRanges(key: string): Promise<unknown> | undefined {
    for (let at = 0; at < this.#bestAt; at++) {
      const preparing = this.#sources[at]?.ranges?.prepare(key);
      if (preparing !== undefined) return preparing;
    }
    return undefined;
  }

  #isBefore(left: string, right: string): boolean {
    return this.#reverse ? left > right : left < right;
  }
}

function pullOne(source: MergeSource): Promise<unknown> | undefined {
  const isThere = source.cursor.next();
  if (typeof isThere === 'boolean') {
    source.arrive(isThere);
    return undefined;
  }
  return isThere.then((answer) => {
    source.arrive(answer);
  });
}
