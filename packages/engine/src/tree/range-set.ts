/**
 * The range deletes of one source: intervals `[from, to)` of keys, in order, neither overlapping nor
 * touching. Touching ones become one, so that many small deletes side by side stay one interval.
 *
 * A set is never changed: each operation gives a new one, which costs the length of the list. Sets are
 * short (a memtable bounds its own by its bytes), and snapshots and tables keep the ones they have.
 */

/** Keys from `from` on and below `to`, `from < to`. Both are binary strings, in byte order. */
export interface KeyInterval {
  readonly from: string;
  readonly to: string;
}

/** See the file comment. */
export class RangeSet {
  /** The set without intervals. */
  static readonly EMPTY = new RangeSet([]);

  readonly #intervals: readonly KeyInterval[];

  /** Intervals that are in order and do not touch. `of` takes any. */
  constructor(intervals: readonly KeyInterval[]) {
    this.#intervals = intervals;
  }

  /** A set of these intervals, in any order, overlapping or not; those with `to <= from` are empty. */
  static of(intervals: readonly KeyInterval[]): RangeSet {
    const sorted = intervals.filter(({ from, to }) => from < to);
    if (sorted.length === 0) return RangeSet.EMPTY;
    sorted.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
    return new RangeSet(joined(sorted));
  }

  get isEmpty(): boolean {
    return this.#intervals.length === 0;
  }

  /** Count of intervals. */
  get size(): number {
    return this.#intervals.length;
  }

  /** The intervals in key order. */
  list(): readonly KeyInterval[] {
    return this.#intervals;
  }

  /** This set and `[from, to)`. */
  add(from: string, to: string): RangeSet {
    if (to <= from) return this;
    const all = this.#intervals;
    // The first interval that ends at or past `from`, and the first that begins past `to`.
    const first = this.#endingFrom(from);
    let past = first;
    while (past < all.length && (all[past] as KeyInterval).from <= to) past++;
    const head = all[first];
    const tail = all[past - 1];
    if (past === first || head === undefined || tail === undefined) {
      return new RangeSet([...all.slice(0, first), { from, to }, ...all.slice(first)]);
    }
    if (past === first + 1 && head.from <= from && to <= head.to) return this;
    const wide = {
      from: head.from < from ? head.from : from,
      to: tail.to > to ? tail.to : to,
    };
    return new RangeSet([...all.slice(0, first), wide, ...all.slice(past)]);
  }

  /** Whether an interval contains `key`. */
  covers(key: string): boolean {
    return this.covering(key) !== undefined;
  }

  /** The interval that contains `key`. */
  covering(key: string): KeyInterval | undefined {
    if (this.#intervals.length === 0) return undefined;
    const interval = this.firstEndingPast(key);
    return interval !== undefined && interval.from <= key ? interval : undefined;
  }

  /** The first interval that ends past `key`: it contains `key`, or begins past it. */
  firstEndingPast(key: string): KeyInterval | undefined {
    const all = this.#intervals;
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((all[middle] as KeyInterval).to <= key) low = middle + 1;
      else high = middle;
    }
    return all[low];
  }

  /** Both sets together. */
  union(other: RangeSet): RangeSet {
    if (other.isEmpty) return this;
    if (this.isEmpty) return other;
    return RangeSet.of([...this.#intervals, ...other.#intervals]);
  }

  /** The part in `[from, to)`; `to` undefined: without an end. */
  clip(from: string, to?: string): RangeSet {
    const clipped: KeyInterval[] = [];
    for (const interval of this.#intervals) {
      const low = interval.from < from ? from : interval.from;
      const high = to !== undefined && to < interval.to ? to : interval.to;
      if (low < high) clipped.push({ from: low, to: high });
    }
    return clipped.length === 0 ? RangeSet.EMPTY : new RangeSet(clipped);
  }

  #endingFrom(key: string): number {
    const all = this.#intervals;
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((all[middle] as KeyInterval).to < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function joined(sorted: readonly KeyInterval[]): KeyInterval[] {
  const result: KeyInterval[] = [];
  let last: KeyInterval | undefined;
  for (const interval of sorted) {
    if (last !== undefined && interval.from <= last.to) {
      if (interval.to <= last.to) continue;
      last = { from: last.from, to: interval.to };
      result[result.length - 1] = last;
    } else {
      last = interval;
      result.push(interval);
    }
  }
  return result;
}
