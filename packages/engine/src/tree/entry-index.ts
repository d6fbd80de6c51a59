/**
 * The ordered index of a memtable: a B+ tree from keys to numbers of entries in an {@link EntryArena}.
 *
 * Nodes hold no keys. For each item there is the number of an entry that has the key, and four bytes of
 * the key: those behind what all keys of the node share (`skip`). As keys that stand together mostly share
 * a long begin, a search compares the key with one entry's up to there, and then mostly numbers alone: it
 * touches two records, and not six, of which each would be a miss of the processor's cache.
 *
 * Snapshots cost nothing: every node belongs to one time of the tree (its *owner*), a snapshot makes all
 * nodes shared, and the tree copies a shared node before it changes it. Nodes that fall below a quarter
 * are joined with a neighbour where a range is removed.
 *
 * Source: D. Comer, "The Ubiquitous B-Tree" (1979); R. Bayer and K. Unterauer, "Prefix B-Trees" (1977); the
 * ownership of nodes is that of Clojure's transient collections.
 */
import { bytesOfBinaryString } from '@dozo/base';
import type { IndexRange } from './index-range.ts';
import { NO_ENTRY, keyStartOf, prefixAt } from './entry-arena.ts';
import type { EntryArena } from './entry-arena.ts';

/** Entries of a leaf and children of an inner node, at most. */
const NODE_ITEMS_MAX = 64;
/** Where the entry numbers of a node begin: behind the bytes of keys. */
const NUMBERS = NODE_ITEMS_MAX;

/** A key in bytes. */
interface Key {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

class Node {
  readonly owner: number;
  /** Of an inner node; undefined: a leaf. */
  readonly children: Node[] | undefined;
  count = 0;
  /** So many bytes all keys share. */
  skip = 0;
  /**
   * For each item four bytes of its key, then for each the number of its entry. For an inner node the key
   * is not above any of the child's, that of the first child is not used, and the entry may be gone: its
   * key is still there.
   */
  readonly items: Int32Array;

  constructor(owner: number, children: Node[] | undefined, items?: Int32Array) {
    this.owner = owner;
    this.children = children;
    this.items = items ?? new Int32Array(2 * NODE_ITEMS_MAX);
  }

  /** The first item that has a key. */
  get first(): number {
    return this.children === undefined ? 0 : 1;
  }

  copyFor(owner: number): Node {
    const copy = new Node(owner, this.children?.slice(), this.items.slice());
    copy.count = this.count;
    copy.skip = this.skip;
    return copy;
  }
}

/** A state of the index that does not change. */
export interface IndexState {
  readonly root: Node;
  readonly size: number;
}

/** See the file comment. */
export class EntryIndex {
  readonly #arena: EntryArena;
  #owner = 0;
  #root = new Node(0, undefined);
  #size = 0;
  /** Where `locate` has been. */
  #leaf = this.#root;
  #at = 0;

  constructor(arena: EntryArena) {
    this.#arena = arena;
  }

  get size(): number {
    return this.#size;
  }

  /** The state of now. The next changes copy the nodes that they touch. */
  snapshot(): IndexState {
    this.#owner++;
    return this.#state;
  }

  get #state(): IndexState {
    return { root: this.#root, size: this.#size };
  }

  /** The number of the entry with the key `bytes[0, bytes.length)`. */
  find(key: Uint8Array): number {
    return findIn(this.#root, this.#arena, key);
  }

  /** See {@link numbersIn}. */
  numbers(range: IndexRange, limit: number): number[] {
    return numbersIn(this.#root, this.#arena, range, limit);
  }

  /**
   * The number of the entry with the key `bytes[start, start + length)`, or `NO_ENTRY`. What `replace` or
   * `insert` then do is done there.
   */
  locate(bytes: Uint8Array, start: number, length: number): number {
    const leaf = this.#leafFor(bytes, start, length);
    const found = search(leaf, this.#arena, bytes, start, length);
    this.#leaf = leaf;
    this.#at = found >> 1;
    return (found & 1) === 1 ? (leaf.items[NUMBERS + this.#at] as number) : NO_ENTRY;
  }

  /** Gives the located key another entry. */
  replace(number: number): void {
    this.#leaf.items[NUMBERS + this.#at] = number;
  }

  /** Inserts an entry whose key was located and not found. */
  insert(number: number): void {
    if (this.#leaf.count === NODE_ITEMS_MAX) {
      const bytes = this.#arena.bytesOf(number);
      const length = this.#arena.keyBytesOf(number);
      this.#splitFor(bytes, keyStartOf(number), length);
      this.locate(bytes, keyStartOf(number), length);
    }
    this.#insertAt(this.#leaf, this.#at, number);
    this.#size++;
  }

  /**
   * Removes all keys in `[from, to)`, of which there are some. Subtrees that lie in the range are taken out
   * whole.
   *
   * @param count how many there are.
   */
  removeRange(from: string, to: string, count: number): void {
    this.#size -= count;
    this.#root = this.#cut(this.#root, keyOf(from), keyOf(to)) ?? new Node(this.#owner, undefined);
    while (this.#root.children !== undefined && this.#root.count === 1) {
      this.#root = this.#root.children[0] as Node;
    }
  }

  /** The leaf for a key, with it and all nodes above it made our own. */
  #leafFor(bytes: Uint8Array, start: number, length: number): Node {
    let node = this.#own(this.#root);
    this.#root = node;
    while (node.children !== undefined) {
      const slot = childSlot(node, this.#arena, bytes, start, length);
      const before = node.children[slot] as Node;
      const child = this.#own(before);
      if (child !== before) node.children[slot] = child;
      node = child;
    }
    return node;
  }

  #own(node: Node): Node {
    return node.owner === this.#owner ? node : node.copyFor(this.#owner);
  }

  #insertAt(node: Node, at: number, number: number): void {
    const { items, count, first } = node;
    const arena = this.#arena;
    const bytes = arena.bytesOf(number);
    const start = keyStartOf(number);
    const length = arena.keyBytesOf(number);
    if (count <= first) {
      node.skip = length;
    } else if (node.skip > 0) {
      const other = items[NUMBERS + first] as number;
      const shared = arena.sharedBytes(other, node.skip, bytes, start, length);
      if (shared < node.skip) this.#setSkip(node, shared);
    }
    for (let index = count; index > at; index--) {
      items[index] = items[index - 1] as number;
      items[NUMBERS + index] = items[NUMBERS + index - 1] as number;
    }
    items[at] = prefixAt(bytes, start + node.skip, start + length);
    items[NUMBERS + at] = number;
    node.count = count + 1;
  }

  #setSkip(node: Node, skip: number): void {
    node.skip = skip;
    const { items, count, first } = node;
    for (let at = first; at < count; at++) {
      items[at] = this.#arena.prefixOf(items[NUMBERS + at] as number, skip);
    }
  }

  /** Sets what follows from the entry numbers of a node. */
  #rebuild(node: Node): void {
    const { items, count, first } = node;
    if (count <= first) {
      node.skip = 0;
      return;
    }
    const arena = this.#arena;
    const last = items[NUMBERS + count - 1] as number;
    const length = arena.keyBytesOf(last);
    const key = arena.bytesOf(last);
    const low = items[NUMBERS + first] as number;
    this.#setSkip(node, arena.sharedBytes(low, length, key, keyStartOf(last), length));
  }

  /** Splits the full leaf where a key belongs, and what is full above it. */
  #splitFor(bytes: Uint8Array, start: number, length: number): void {
    if (this.#root.count === NODE_ITEMS_MAX) {
      const root = new Node(this.#owner, [this.#root]);
      root.count = 1;
      this.#root = root;
    }
    let node = this.#root;
    // Whatever is full on the way is split before its child, so that there is room for the new one.
    while (node.children !== undefined) {
      let slot = childSlot(node, this.#arena, bytes, start, length);
      const child = node.children[slot] as Node;
      if (child.count === NODE_ITEMS_MAX) {
        this.#splitChild(node, slot);
        slot = childSlot(node, this.#arena, bytes, start, length);
      }
      node = node.children[slot] as Node;
    }
  }

  #splitChild(parent: Node, slot: number): void {
    const children = parent.children as Node[];
    const left = children[slot] as Node;
    // Keys that arrive in order leave full nodes behind them.
    const isLast = slot === parent.count - 1;
    const at = isLast ? Math.ceil(left.count * 0.9) : left.count >> 1;
    const right = new Node(this.#owner, left.children?.splice(at));
    right.items.set(left.items.subarray(NUMBERS + at, NUMBERS + left.count), NUMBERS);
    right.count = left.count - at;
    left.count = at;
    this.#rebuild(left);
    this.#rebuild(right);
    this.#insertAt(parent, slot + 1, right.items[NUMBERS] as number);
    children.splice(slot + 1, 0, right);
  }

  /** The node without the keys in `[from, to)`; undefined when nothing is left of it. */
  #cut(node: Node, from: Key, to: Key): Node | undefined {
    const own = this.#own(node);
    const { items, children } = own;
    if (children === undefined) {
      const start = positionOf(own, this.#arena, from);
      const end = positionOf(own, this.#arena, to);
      items.copyWithin(NUMBERS + start, NUMBERS + end, NUMBERS + own.count);
      own.count -= end - start;
      this.#rebuild(own);
      return own.count === 0 ? undefined : own;
    }
    const first = slotOf(own, this.#arena, from);
    const last = slotOf(own, this.#arena, to);
    const left = this.#cut(children[first] as Node, from, to);
    const right = last === first ? undefined : this.#cut(children[last] as Node, from, to);
    const numbers: number[] = [];
    const kept: Node[] = [];
    if (left !== undefined) {
      numbers.push(items[NUMBERS + first] as number);
      kept.push(left);
    }
    if (right !== undefined) {
      numbers.push(items[NUMBERS + last] as number);
      kept.push(right);
    }
    children.splice(first, last - first + 1, ...kept);
    items.copyWithin(NUMBERS + first + kept.length, NUMBERS + last + 1, NUMBERS + own.count);
    items.set(numbers, NUMBERS + first);
    own.count = children.length;
    if (own.count === 0) return undefined;
    // What was cut may have become small enough for its neighbour.
    for (let slot = Math.min(first + 2, own.count - 1); slot >= first && slot > 0; slot--) {
      this.#joinWithLeft(own, slot);
    }
    this.#rebuild(own);
    return own;
  }

  /** Joins a child with its left neighbour if both are small. The parent is rebuilt by the caller. */
  #joinWithLeft(parent: Node, slot: number): void {
    const children = parent.children as Node[];
    const left = children[slot - 1] as Node;
    const right = children[slot] as Node;
    if (left.count + right.count > (NODE_ITEMS_MAX * 3) / 4) return;
    const joined = this.#own(left);
    const { items, count } = joined;
    items.set(right.items.subarray(NUMBERS, NUMBERS + right.count), NUMBERS + count);
    if (joined.children !== undefined) {
      // The unused first key of the right node becomes a separator.
      items[NUMBERS + count] = parent.items[NUMBERS + slot] as number;
      joined.children.push(...(right.children as Node[]));
    }
    joined.count = count + right.count;
    this.#rebuild(joined);
    children[slot - 1] = joined;
    children.splice(slot, 1);
    parent.items.copyWithin(NUMBERS + slot, NUMBERS + slot + 1, NUMBERS + parent.count);
    parent.count--;
  }
}

/** The number of the entry with a key, or `NO_ENTRY`. */
export function findIn(root: Node, arena: EntryArena, key: Uint8Array): number {
  const { length } = key;
  let node = root;
  while (node.children !== undefined) {
    node = node.children[childSlot(node, arena, key, 0, length)] as Node;
  }
  const found = search(node, arena, key, 0, length);
  return (found & 1) === 1 ? (node.items[NUMBERS + (found >> 1)] as number) : NO_ENTRY;
}

/** Numbers of up to `limit` entries with keys in a range, in its order. */
export function numbersIn(
  root: Node,
  arena: EntryArena,
  { from, to, reverse }: IndexRange,
  limit: number,
): number[] {
  const numbers: number[] = [];
  if (to !== undefined && to <= from) return numbers;
  const toKey = to === undefined ? undefined : keyOf(to);
  collect(root, { arena, from: keyOf(from), to: toKey, reverse, limit, numbers });
  return numbers;
}

interface Collection {
  readonly arena: EntryArena;
  readonly from: Key;
  readonly to: Key | undefined;
  readonly reverse: boolean;
  readonly limit: number;
  readonly numbers: number[];
}

function collect(node: Node, collection: Collection): void {
  const { arena, from, to, reverse, limit, numbers } = collection;
  const { items, count, children } = node;
  const step = reverse ? -1 : 1;
  if (children === undefined) {
    const start = positionOf(node, arena, from);
    const end = to === undefined ? count : positionOf(node, arena, to);
    for (let at = reverse ? end - 1 : start; at >= start && at < end; at += step) {
      if (numbers.length >= limit) return;
      numbers.push(items[NUMBERS + at] as number);
    }
    return;
  }
  const first = slotOf(node, arena, from);
  const last = to === undefined ? count - 1 : slotOf(node, arena, to);
  for (let slot = reverse ? last : first; slot >= first && slot <= last; slot += step) {
    if (numbers.length >= limit) return;
    collect(children[slot] as Node, collection);
  }
}

function keyOf(name: string): Key {
  const bytes = bytesOfBinaryString(name);
  return { bytes, start: 0, length: bytes.length };
}

function positionOf(node: Node, arena: EntryArena, { bytes, start, length }: Key): number {
  return search(node, arena, bytes, start, length) >> 1;
}

function slotOf(node: Node, arena: EntryArena, { bytes, start, length }: Key): number {
  return childSlot(node, arena, bytes, start, length);
}

/** The child that holds a key if any does. */
function childSlot(
  node: Node,
  arena: EntryArena,
  bytes: Uint8Array,
  start: number,
  length: number,
): number {
  const found = search(node, arena, bytes, start, length);
  return (found & 1) === 1 ? found >> 1 : (found >> 1) - 1;
}

/** Twice the first item whose key is not below a key, and one more where it is the same. */
function search(
  node: Node,
  arena: EntryArena,
  key: Uint8Array,
  start: number,
  length: number,
): number {
  const { items, count, skip } = node;
  const first = node.children === undefined ? 0 : 1;
  if (count <= first) return 2 * first;
  if (skip > 0) {
    const side = arena.compareBegin(items[NUMBERS + first] as number, skip, key, start, length);
    if (side !== 0) return side > 0 ? 2 * first : 2 * count;
  }
  const prefix = prefixAt(key, start + skip, start + length);
  let low = first;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = items[middle] as number;
    if (other < prefix) {
      low = middle + 1;
    } else if (other > prefix) {
      high = middle;
    } else {
      const number = items[NUMBERS + middle] as number;
      const order = arena.compareKey(number, skip, key, start, length);
      if (order === 0) return 2 * middle + 1;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
  }
  return 2 * low;
}
