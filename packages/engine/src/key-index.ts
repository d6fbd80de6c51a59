/**
 * The ordered index in memory: a B+ tree from keys to entries.
 *
 * Keys are binary strings, which compare with `<` in byte order. Snapshots cost nothing: every node
 * belongs to one tree (its *owner*), a snapshot makes all nodes shared, and a tree copies a shared node
 * before it changes it. Nodes that fall below a quarter are joined with a neighbour.
 *
 * Source: D. Comer, "The Ubiquitous B-Tree" (1979); the ownership of nodes is that of Clojure's
 * transient collections.
 */

/** Entries of a leaf and children of an inner node, at most. */
const NODE_ITEMS_MAX = 64;
/** A node with fewer is joined with a neighbour. */
const NODE_ITEMS_MIN = 16;

/** A view of the index that does not change. */
export interface IndexView<Entry extends object> {
  readonly size: number;
  get(key: string): Entry | undefined;
  /**
   * Up to `limit` rows with keys in `[from, to)`, ascending, or descending with `reverse`. `to`
   * undefined: past the last key.
   */
  rows(range: IndexRange, limit: number): IndexRow<Entry>[];
}

export interface IndexRange {
  readonly from: string;
  readonly to?: string | undefined;
  readonly reverse: boolean;
}

export interface IndexRow<Entry extends object> {
  readonly key: string;
  readonly entry: Entry;
}

/** An index that can be changed. */
export interface KeyIndex<Entry extends object> extends IndexView<Entry> {
  /** Sets a key and returns what it had before. */
  set(key: string, entry: Entry): Entry | undefined;
  /** Removes a key and returns what it had. */
  delete(key: string): Entry | undefined;
  /** A view of this moment. */
  snapshot(): IndexView<Entry>;
}

class Leaf<Entry extends object> {
  readonly owner: object;
  readonly keys: string[];
  readonly entries: Entry[];

  constructor(owner: object, keys: string[], entries: Entry[]) {
    this.owner = owner;
    this.keys = keys;
    this.entries = entries;
  }

  get itemCount(): number {
    return this.keys.length;
  }
}

class Inner<Entry extends object> {
  readonly owner: object;
  /** `keys[i]` is not above any key of `children[i]`; `keys[0]` is not used. */
  readonly keys: string[];
  readonly children: Node<Entry>[];

  constructor(owner: object, keys: string[], children: Node<Entry>[]) {
    this.owner = owner;
    this.keys = keys;
    this.children = children;
  }

  get itemCount(): number {
    return this.children.length;
  }
}

type Node<Entry extends object> = Leaf<Entry> | Inner<Entry>;

/** See the file comment. */
export class TreeIndex<Entry extends object> implements KeyIndex<Entry> {
  #owner: object = {};
  #root: Node<Entry> = new Leaf(this.#owner, [], []);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): Entry | undefined {
    return find(this.#root, key);
  }

  set(key: string, entry: Entry): Entry | undefined {
    const leaf = this.#leafFor(key);
    const at = lowerBound(leaf.keys, key);
    if (leaf.keys[at] === key) {
      const before = leaf.entries[at];
      leaf.entries[at] = entry;
      return before;
    }
    leaf.keys.splice(at, 0, key);
    leaf.entries.splice(at, 0, entry);
    this.#size++;
    if (leaf.itemCount > NODE_ITEMS_MAX) {
      // The way there is needed once in many times.
      const path: Inner<Entry>[] = [];
      const slots: number[] = [];
      this.#split(this.#descend(key, path, slots), path, slots);
    }
    return undefined;
  }

  delete(key: string): Entry | undefined {
    if (this.get(key) === undefined) return undefined;
    const path: Inner<Entry>[] = [];
    const slots: number[] = [];
    const leaf = this.#descend(key, path, slots);
    const at = lowerBound(leaf.keys, key);
    const before = leaf.entries[at];
    leaf.keys.splice(at, 1);
    leaf.entries.splice(at, 1);
    this.#size--;
    if (leaf.itemCount < NODE_ITEMS_MIN) this.#join(path, slots);
    return before;
  }

  /**
   * Removes all keys in `[from, to)` and returns their rows in key order. Subtrees that lie in the range
   * are taken out whole, so that the cost is that of listing them.
   */
  deleteRange(from: string, to: string): IndexRow<Entry>[] {
    const removed = this.rows({ from, to, reverse: false }, Number.POSITIVE_INFINITY);
    if (removed.length === 0) return removed;
    this.#size -= removed.length;
    this.#root = this.#cut(this.#root, from, to) ?? new Leaf<Entry>(this.#owner, [], []);
    while (this.#root instanceof Inner && this.#root.itemCount === 1) {
      this.#root = this.#root.children[0] as Node<Entry>;
    }
    return removed;
  }

  rows(range: IndexRange, limit: number): IndexRow<Entry>[] {
    const rows: IndexRow<Entry>[] = [];
    collect(this.#root, range, limit, rows);
    return rows;
  }

  snapshot(): IndexView<Entry> {
    const root = this.#root;
    const size = this.#size;
    // From now on no node belongs to this tree: each is copied before it changes.
    this.#owner = {};
    return {
      size,
      get: (key) => find(root, key),
      rows: (range, limit) => {
        const rows: IndexRow<Entry>[] = [];
        collect(root, range, limit, rows);
        return rows;
      },
    };
  }

  /** The leaf for a key, with it and all nodes above it made our own. */
  #leafFor(key: string): Leaf<Entry> {
    let node = this.#own(this.#root);
    this.#root = node;
    while (node instanceof Inner) {
      const slot = childSlot(node, key);
      const child = this.#own(node.children[slot] as Node<Entry>);
      if (child !== node.children[slot]) node.children[slot] = child;
      node = child;
    }
    return node;
  }

  /** The same, with the way there. */
  #descend(key: string, path: Inner<Entry>[], slots: number[]): Leaf<Entry> {
    let node = this.#own(this.#root);
    this.#root = node;
    while (node instanceof Inner) {
      const slot = childSlot(node, key);
      const child = this.#own(node.children[slot] as Node<Entry>);
      node.children[slot] = child;
      path.push(node);
      slots.push(slot);
      node = child;
    }
    return node;
  }

  #own(node: Node<Entry>): Node<Entry> {
    if (node.owner === this.#owner) return node;
    return node instanceof Leaf
      ? new Leaf(this.#owner, node.keys.slice(), node.entries.slice())
      : new Inner(this.#owner, node.keys.slice(), node.children.slice());
  }

  /** The node without the keys in `[from, to)`; undefined when nothing is left of it. */
  #cut(node: Node<Entry>, from: string, to: string): Node<Entry> | undefined {
    const own = this.#own(node);
    if (own instanceof Leaf) {
      const start = lowerBound(own.keys, from);
      const count = lowerBound(own.keys, to) - start;
      own.keys.splice(start, count);
      own.entries.splice(start, count);
      return own.itemCount === 0 ? undefined : own;
    }
    const first = childSlot(own, from);
    const last = childSlot(own, to);
    const left = this.#cut(own.children[first] as Node<Entry>, from, to);
    const right =
      last === first ? undefined : this.#cut(own.children[last] as Node<Entry>, from, to);
    const keys: string[] = [];
    const children: Node<Entry>[] = [];
    if (left !== undefined) {
      keys.push(own.keys[first] as string);
      children.push(left);
    }
    if (right !== undefined) {
      keys.push(own.keys[last] as string);
      children.push(right);
    }
    own.keys.splice(first, last - first + 1, ...keys);
    own.children.splice(first, last - first + 1, ...children);
    if (own.itemCount === 0) return undefined;
    // What was cut may have become small enough for its neighbour.
    for (let slot = Math.min(first + 2, own.itemCount - 1); slot >= first && slot > 0; slot--) {
      this.#joinChild(own, slot);
    }
    return own;
  }

  #split(node: Node<Entry>, path: Inner<Entry>[], slots: number[]): void {
    const parent = path.pop();
    const slot = slots.pop() ?? 0;
    // Keys that arrive in order leave full nodes behind them.
    const isLast = parent === undefined || slot === parent.itemCount - 1;
    const at = isLast ? Math.ceil(node.itemCount * 0.9) : node.itemCount >> 1;
    const right =
      node instanceof Leaf
        ? new Leaf(this.#owner, node.keys.splice(at), node.entries.splice(at))
        : new Inner(this.#owner, node.keys.splice(at), node.children.splice(at));
    const separator = right.keys[0] as string;
    if (parent === undefined) {
      this.#root = new Inner(this.#owner, ['', separator], [node, right]);
      return;
    }
    parent.keys.splice(slot + 1, 0, separator);
    parent.children.splice(slot + 1, 0, right);
    if (parent.itemCount > NODE_ITEMS_MAX) this.#split(parent, path, slots);
  }

  /** Joins the node below the end of the path with a neighbour, and goes up while that is needed. */
  #join(path: Inner<Entry>[], slots: number[]): void {
    for (;;) {
      const parent = path.pop();
      const slot = slots.pop();
      if (parent === undefined || slot === undefined) break;
      this.#joinChild(parent, slot);
      if (parent.itemCount >= NODE_ITEMS_MIN) break;
    }
    while (this.#root instanceof Inner && this.#root.itemCount === 1) {
      this.#root = this.#root.children[0] as Node<Entry>;
    }
  }

  #joinChild(parent: Inner<Entry>, slot: number): void {
    const leftSlot = slot === 0 ? 0 : slot - 1;
    const left = parent.children[leftSlot];
    const right = parent.children[leftSlot + 1];
    if (left === undefined || right === undefined) return;
    const isOneEmpty = left.itemCount === 0 || right.itemCount === 0;
    const roomItems = isOneEmpty ? NODE_ITEMS_MAX : (NODE_ITEMS_MAX * 3) / 4;
    if (left.itemCount + right.itemCount > roomItems) return;
    const separator = parent.keys[leftSlot + 1] as string;
    const joined = this.#own(left);
    if (joined instanceof Leaf && right instanceof Leaf) {
      joined.keys.push(...right.keys);
      joined.entries.push(...right.entries);
    } else if (joined instanceof Inner && right instanceof Inner) {
      // The unused first key of the right node becomes a separator.
      joined.keys.push(separator, ...right.keys.slice(1));
      joined.children.push(...right.children);
    }
    parent.children[leftSlot] = joined;
    parent.keys.splice(leftSlot + 1, 1);
    parent.children.splice(leftSlot + 1, 1);
  }
}

function find<Entry extends object>(root: Node<Entry>, key: string): Entry | undefined {
  let node = root;
  while (node instanceof Inner) node = node.children[childSlot(node, key)] as Node<Entry>;
  const at = lowerBound(node.keys, key);
  return node.keys[at] === key ? node.entries[at] : undefined;
}

/** The child that holds `key` if any does. */
function childSlot(node: Inner<object>, key: string): number {
  let low = 1;
  let high = node.keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((node.keys[middle] as string) <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The first place whose key is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function collect<Entry extends object>(
  node: Node<Entry>,
  range: IndexRange,
  limit: number,
  rows: IndexRow<Entry>[],
): void {
  const { from, to, reverse } = range;
  if (to !== undefined && to <= from) return;
  if (node instanceof Leaf) {
    const start = lowerBound(node.keys, from);
    const end = to === undefined ? node.keys.length : lowerBound(node.keys, to);
    const step = reverse ? -1 : 1;
    for (let at = reverse ? end - 1 : start; at >= start && at < end; at += step) {
      if (rows.length >= limit) return;
      rows.push({ key: node.keys[at] as string, entry: node.entries[at] as Entry });
    }
    return;
  }
  const first = childSlot(node, from);
  const last = to === undefined ? node.children.length - 1 : childSlot(node, to);
  const step = reverse ? -1 : 1;
  for (let slot = reverse ? last : first; slot >= first && slot <= last; slot += step) {
    if (rows.length >= limit) return;
    collect(node.children[slot] as Node<Entry>, range, limit, rows);
  }
}
