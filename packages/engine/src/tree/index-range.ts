/** How walks of an ordered index are asked for, and what they give. Keys are binary strings. */

/** Keys in `[from, to)`, ascending, or descending with `reverse`. `to` undefined: past the last key. */
export interface IndexRange {
  readonly from: string;
  readonly to?: string | undefined;
  readonly reverse: boolean;
}

/** A key and what it has. */
export interface IndexRow<Entry extends object> {
  readonly key: string;
  readonly entry: Entry;
}
