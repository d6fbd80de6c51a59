/**
 * The plain sorted map that an engine is compared with; it remembers every value ever written.
 *
 * Batches are numbered in the order of the calls. For each key it keeps what every batch made of it, so
 * that the state after the first p batches can be asked for any p: a snapshot is a number, and what a
 * crash may leave is a range of numbers. What does not fit is told apart: *lost* (an acknowledged value
 * is not there), *resurrected* (a value is back that was overwritten or deleted, or one of a batch that
 * a crash had taken), or *wrong* (nobody ever wrote that under this key).
 *
 * Not checked: how long a value that a crash took stays on the device, and the order in which callers
 * are told.
 */
import { equalBytes } from '@dozo/base';
import type { ProofOperation } from '../engine-features.ts';
import type { ValueMaker } from './keys-and-values.ts';

/** Something that must not happen did. */
export class Violation extends Error {}

/** What a batch made of a key. */
interface Version {
  readonly batch: number;
  readonly number: number;
  /** -1: deleted. */
  readonly sizeBytes: number;
}

/** A change of a batch that is being put together. */
export type Change =
  | { readonly kind: 'put'; readonly keyIndex: number; readonly sizeBytes: number }
  | { readonly kind: 'delete'; readonly keyIndex: number }
  /** All keys from the one with that index up to, not with, the other. */
  | { readonly kind: 'delete-range'; readonly fromIndex: number; readonly toIndex: number };

/** What a read gave. */
export interface Found {
  readonly lsn: number;
  readonly sizeBytes: number;
  readonly value?: Uint8Array;
}

/** What a read of several keys gave, in the order in which it came. */
export interface FoundRow extends Found {
  readonly name: string;
}

/** The states that a read may show: after so many batches, both ends included. */
export interface Window {
  readonly low: number;
  readonly high: number;
}

/** Key indexes `[from, to)` in one direction. */
export interface IndexSpan {
  readonly from: number;
  readonly to: number;
  readonly isReverse: boolean;
  readonly limit: number;
}

/** See the file comment. */
export class VersionedMap {
  readonly names: readonly string[];
  readonly #keys: readonly Uint8Array[];
  readonly #values: ValueMaker;
  readonly #versions: Version[][];
  /** Of batches that a crash took. */
  readonly #taken: Version[][];
  /** By the number of the batch: 0 not known, infinity when it never came about. */
  readonly #lsns: number[] = [0];
  #submitted = 0;
  #acknowledged = 0;
  #valueNumber = 0;
  #acknowledgedLsn = 0;

  constructor(names: readonly string[], keys: readonly Uint8Array[], values: ValueMaker) {
    this.names = names;
    this.#keys = keys;
    this.#values = values;
    this.#versions = names.map(() => []);
    this.#taken = names.map(() => []);
  }

  /** What a read that begins and ends now may show. */
  get window(): Window {
    return { low: this.#acknowledged, high: this.#submitted };
  }

  get acknowledgedLsn(): number {
    return this.#acknowledgedLsn;
  }

  /** Takes the next number for a batch, and returns it with the operations. */
  submit(changes: readonly Change[]): {
    readonly batch: number;
    readonly operations: readonly ProofOperation[];
  } {
    const batch = ++this.#submitted;
    this.#lsns[batch] = 0;
    const operations = changes.map((change) => this.#apply(batch, change));
    return { batch, operations };
  }

  /** The batch is durable. */
  acknowledge(batch: number, lsn: number): void {
    for (let other = batch - 1; other > 0; other--) {
      const before = this.#lsns[other] ?? 0;
      if (before === Number.POSITIVE_INFINITY || before === 0) continue;
      if (before >= lsn) throw new Violation(`batch ${batch} has lsn ${lsn}, ${other} ${before}`);
      break;
    }
    this.#lsns[batch] = lsn;
    this.#acknowledgedLsn = Math.max(this.#acknowledgedLsn, lsn);
    this.#acknowledged = Math.max(this.#acknowledged, batch);
  }

  /** The batch was refused: nothing of it was written. */
  refuse(batch: number): void {
    this.#lsns[batch] = Number.POSITIVE_INFINITY;
    for (const versions of this.#versions) remove(versions, batch);
  }

  /** The number of batches that a snapshot with that lsn shows; all batches are settled. */
  prefixOf(lsn: number): number {
    let prefix = this.#submitted;
    while ((this.#lsns[prefix] ?? 0) > lsn) prefix--;
    // Batches that never came about make no difference.
    while (this.#lsns[prefix + 1] === Number.POSITIVE_INFINITY) prefix++;
    return prefix;
  }

  /** Bytes of each key and its value after the first batches. */
  liveAt(prefix: number): readonly LiveRow[] {
    const rows: LiveRow[] = [];
    for (let keyIndex = 0; keyIndex < this.names.length; keyIndex++) {
      const version = this.#at(keyIndex, prefix);
      if (version === undefined || version.sizeBytes < 0) continue;
      rows.push({ keyBytes: this.#key(keyIndex).length, valueBytes: version.sizeBytes });
    }
    return rows;
  }

  /** Throws unless what was read of a key is its value after some prefix in the window. */
  checkRead(
    keyIndex: number,
    found: Found | undefined,
    options: { readonly window: Window; readonly start?: number; readonly end?: number },
  ): void {
    const { window, start, end } = options;
    const part = { start, end };
    const expected = this.#at(keyIndex, window.low);
    if (this.#matches(expected, found, part)) return;
    for (const version of this.#versions[keyIndex] ?? []) {
      const isInside = version.batch > window.low && version.batch <= window.high;
      if (isInside && this.#matches(version, found, part)) return;
    }
    throw new Violation(this.#explain(keyIndex, found, expected, part));
  }

  /** Throws unless the rows are exactly those of one prefix in the window; returns the highest such. */
  checkRows(rows: readonly FoundRow[], span: IndexSpan, window: Window): number {
    for (let prefix = window.high; prefix >= window.low; prefix--) {
      if (this.#areRowsOf(rows, span, prefix)) return prefix;
    }
    throw new Violation(this.#explainRows(rows, span, window));
  }

  /** A crash came: of the batches after the first ones nothing may ever be seen again. */
  cutTo(prefix: number, rows: readonly FoundRow[]): void {
    for (let keyIndex = 0; keyIndex < this.#versions.length; keyIndex++) {
      const versions = this.#versions[keyIndex] ?? [];
      while ((versions.at(-1)?.batch ?? 0) > prefix) {
        const version = versions.pop();
        if (version !== undefined) this.#taken[keyIndex]?.push(version);
      }
    }
    this.#learnLsns(rows);
    for (let batch = prefix + 1; batch <= this.#submitted; batch++) {
      this.#lsns[batch] = Number.POSITIVE_INFINITY;
    }
    this.#acknowledged = this.#submitted;
  }

  #apply(batch: number, change: Change): ProofOperation {
    if (change.kind === 'delete-range') {
      for (let index = change.fromIndex; index < change.toIndex; index++) {
        // Also where there is nothing to delete now: a batch on its way may yet be refused.
        if ((this.#versions[index] ?? []).length === 0) continue;
        this.#push(index, { batch, number: 0, sizeBytes: -1 });
      }
      return {
        kind: 'delete-range',
        from: this.#key(change.fromIndex),
        to: this.#key(change.toIndex),
      };
    }
    const key = this.#key(change.keyIndex);
    if (change.kind === 'delete') {
      this.#push(change.keyIndex, { batch, number: 0, sizeBytes: -1 });
      return { kind: 'delete', key };
    }
    const { keyIndex, sizeBytes } = change;
    const number = ++this.#valueNumber;
    this.#push(keyIndex, { batch, number, sizeBytes });
    return { kind: 'put', key, value: this.#values.make(number, sizeBytes) };
  }

  #push(keyIndex: number, version: Version): void {
    const versions = this.#versions[keyIndex] ?? [];
    // What a batch overwrites itself was never to be seen.
    if (versions.at(-1)?.batch === version.batch) versions.pop();
    versions.push(version);
  }

  #key(keyIndex: number): Uint8Array {
    return this.#keys[keyIndex] as Uint8Array;
  }

  #at(keyIndex: number, prefix: number): Version | undefined {
    const versions = this.#versions[keyIndex] ?? [];
    let index = versions.length - 1;
    while (index >= 0 && (versions[index]?.batch ?? 0) > prefix) index--;
    return versions[index];
  }

  #matches(version: Version | undefined, found: Found | undefined, part: Part = WHOLE): boolean {
    if (version === undefined || version.sizeBytes < 0) return found === undefined;
    if (found === undefined || found.sizeBytes !== version.sizeBytes) return false;
    const lsn = this.#lsns[version.batch] ?? 0;
    // The caller has not been told its lsn: it is a later one than all that are known.
    if (lsn === 0 ? found.lsn <= this.#acknowledgedLsn : found.lsn !== lsn) return false;
    return found.value === undefined || equalBytes(found.value, this.#bytesOf(version, part));
  }

  #bytesOf(version: Version, { start, end }: Part): Uint8Array {
    return this.#values.make(version.number, version.sizeBytes).subarray(start ?? 0, end);
  }

  #areRowsOf(rows: readonly FoundRow[], span: IndexSpan, prefix: number): boolean {
    let count = 0;
    for (const keyIndex of indexesOf(span)) {
      if (count === span.limit) break;
      const version = this.#at(keyIndex, prefix);
      if (version === undefined || version.sizeBytes < 0) continue;
      const row = rows[count++];
      if (row?.name !== this.names[keyIndex] || !this.#matches(version, row)) return false;
    }
    return count === rows.length;
  }

  #explainRows(rows: readonly FoundRow[], span: IndexSpan, window: Window): string {
    const of = `${rows.length} rows after ${window.low} to ${window.high} batches`;
    const found = new Map(rows.map((row) => [row.name, row]));
    const isWhole = rows.length < span.limit;
    for (const keyIndex of indexesOf(span)) {
      const name = this.names[keyIndex] as string;
      const row = found.get(name);
      if (row === undefined && !isWhole) continue;
      try {
        this.checkRead(keyIndex, row, { window });
      } catch (error) {
        return `${of}: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    const known = new Set(this.names);
    const foreign = rows.find((row) => !known.has(row.name));
    if (foreign !== undefined)
      return `${of}: wrong: a key that nobody wrote: ${show(foreign.name)}`;
    return `${of}: each row could be, but no state has all of them, in this order and no more`;
  }

  #explain(
    keyIndex: number,
    found: Found | undefined,
    expected: Version | undefined,
    part: Part,
  ): string {
    const key = show(this.names[keyIndex] as string);
    const wanted =
      expected === undefined || expected.sizeBytes < 0
        ? `nothing (${expected === undefined ? 'never written' : `deleted by batch ${expected.batch}`})`
        : `the ${expected.sizeBytes} bytes of batch ${expected.batch}`;
    if (found === undefined) return `lost: ${key} is not there; it has ${wanted}`;
    const isSame = (version: Version): boolean =>
      version.sizeBytes === found.sizeBytes &&
      (found.value === undefined || equalBytes(found.value, this.#bytesOf(version, part)));
    const taken = this.#taken[keyIndex]?.find(isSame);
    if (taken !== undefined) {
      return `resurrected: ${key} shows batch ${taken.batch}, which a crash took; it has ${wanted}`;
    }
    const older = this.#versions[keyIndex]?.findLast(isSame);
    const shown = `${found.sizeBytes} bytes with lsn ${found.lsn}`;
    if (older === undefined)
      return `wrong: ${key} shows ${shown} that nobody wrote; it has ${wanted}`;
    if (older === expected) {
      return `wrong: ${key} has ${wanted}, shown with lsn ${found.lsn}, not ${String(this.#lsns[older.batch])}`;
    }
    return `resurrected: ${key} shows the ${shown} of batch ${older.batch}; it has ${wanted}`;
  }

  #learnLsns(rows: readonly FoundRow[]): void {
    const indexOf = new Map(this.names.map((name, index) => [name, index]));
    for (const row of rows) {
      const version = this.#at(indexOf.get(row.name) ?? -1, this.#submitted);
      if (version === undefined || !this.#matches(version, row)) continue;
      const known = this.#lsns[version.batch] ?? 0;
      if (known !== 0 && known !== row.lsn) {
        throw new Violation(`batch ${version.batch} has two lsns, ${known} and ${row.lsn}`);
      }
      this.#lsns[version.batch] = row.lsn;
    }
    for (const row of rows) this.#acknowledgedLsn = Math.max(this.#acknowledgedLsn, row.lsn);
  }
}

/** A key and its value that are there. */
interface LiveRow {
  readonly keyBytes: number;
  readonly valueBytes: number;
}

interface Part {
  readonly start: number | undefined;
  readonly end: number | undefined;
}

const WHOLE: Part = { start: undefined, end: undefined };

function* indexesOf({ from, to, isReverse }: IndexSpan): Generator<number> {
  if (isReverse) for (let index = to - 1; index >= from; index--) yield index;
  else for (let index = from; index < to; index++) yield index;
}

function remove(versions: Version[], batch: number): void {
  const index = versions.findLastIndex((version) => version.batch === batch);
  if (index >= 0) versions.splice(index, 1);
}

function show(name: string): string {
  const text = JSON.stringify(name);
  return text.length > 60 ? `${text.slice(0, 60)}... (${name.length} bytes)` : text;
}
