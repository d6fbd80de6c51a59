/**
 * Finds the table of a run that a key belongs to, as every read does for every run.
 *
 * All bounds of a run lie between its first and its last, so they begin with what these two have in
 * common. Of what follows, six bytes make a number: the search compares numbers in one array, and strings,
 * each somewhere else in memory, only where the numbers are the same.
 */
import type { TableMeta } from '../table/table-meta.ts';

const TWO_TO_24 = 2 ** 24;

/** See the file comment. */
export class RunFinder {
  readonly #run: readonly TableMeta[];
  /** What all bounds begin with. */
  readonly #prefix: string;
  /** The six bytes after the prefix of where each table ends. */
  readonly #ends: Float64Array;

  /** @param run not empty, in key order, not overlapping. */
  constructor(run: readonly TableMeta[]) {
    this.#run = run;
    const first = run[0]?.smallest ?? '';
    const last = run.at(-1)?.end ?? '';
    let shared = 0;
    while (shared < first.length && first[shared] === last[shared]) shared++;
    this.#prefix = first.slice(0, shared);
    this.#ends = Float64Array.from(run, ({ end }) => numberAt(end, shared));
  }

  /** The table whose bounds contain `key`. */
  tableFor(key: string): TableMeta | undefined {
    const prefix = this.#prefix;
    // It is below or above all tables then.
    if (!key.startsWith(prefix)) return undefined;
    const run = this.#run;
    const ends = this.#ends;
    const number = numberAt(key, prefix.length);
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const end = ends[middle] as number;
      if (end < number || (end === number && (run[middle] as TableMeta).end <= key))
        low = middle + 1;
      else high = middle;
    }
    const table = run[low];
    return table !== undefined && table.smallest <= key ? table : undefined;
  }
}

/** Six bytes of a binary string as a number, zeros past its end. */
function numberAt(text: string, at: number): number {
  // What is past the end is NaN, and 0 as an integer.
  const high =
    (text.charCodeAt(at) << 16) | (text.charCodeAt(at + 1) << 8) | text.charCodeAt(at + 2);
  const low =
    (text.charCodeAt(at + 3) << 16) | (text.charCodeAt(at + 4) << 8) | text.charCodeAt(at + 5);
  return high * TWO_TO_24 + low;
}
