/**
 * What one process of the engine's bench does, and what it works on.
 *
 * Keys have 40 bytes: a prefix of eight, and 32 hex digits that are random in order, as keys of
 * objects are and as B-trees like least. A value begins with the number of its entry; the rest cannot
 * be compressed.
 */
import type { BenchEntry, StoreOptions } from './engine-store.ts';
import type { StoreName } from './engine-stores.ts';

export const KEY_BYTES = 40;
const KEY_PREFIX = 'objects/';
const POOL_BYTES = 4 * 1024 ** 2;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export interface BenchJob extends StoreOptions {
  readonly store: StoreName;
  readonly task:
    | { readonly kind: 'load-library' }
    /**
     * Writers put batches until there are `count` entries, and then all of them once more, which is
     * measured: every store writes where it has written before.
     */
    | {
        readonly kind: 'put';
        readonly writers: number;
        readonly batchSize: number;
        readonly count: number;
      }
    /** Entries `[0, count)` in large batches. */
    | { readonly kind: 'load'; readonly count: number }
    /** Opens what was loaded, and waits until the store has nothing more to do by itself. */
    | { readonly kind: 'rest' }
    /** Overwrites some of `[0, count)`, and is killed. */
    | { readonly kind: 'die'; readonly count: number }
    /** Opens what was loaded, gets entries at random, scans. */
    | {
        readonly kind: 'read';
        readonly count: number;
        readonly getCount: number;
        readonly scanRows: number;
        /** Gets everything once before it measures; else scans it, and gets some. */
        readonly isWarmed: boolean;
      };
}

/** Figures by name; every job tells memory in bytes as well. */
export type BenchResult = Readonly<Record<string, number>>;

/** Entries that a job works on. */
export class Entries {
  readonly #pool: Buffer;
  readonly #valueBytes: number;

  constructor(valueBytes: number) {
    this.#valueBytes = valueBytes;
    this.#pool = Buffer.allocUnsafe(Math.max(POOL_BYTES, 2 * valueBytes));
    for (let offset = 0; offset < this.#pool.length; offset += 4) {
      this.#pool.writeUInt32LE(mixed(offset), offset);
    }
  }

  entry(index: number): BenchEntry {
    const start = mixed(index) % (this.#pool.length - this.#valueBytes);
    const value = Buffer.allocUnsafe(this.#valueBytes);
    this.#pool.copy(value, 0, start, start + this.#valueBytes);
    value.writeUInt32LE(index, 0);
    return { key: keyOf(index), value };
  }

  /** Throws unless it is the value of that entry, as far as its number and its length tell. */
  check(index: number, value: Uint8Array | undefined): void {
    const number =
      value === undefined
        ? undefined
        : new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0, true);
    if (number === index && value?.length === this.#valueBytes) return;
    throw new Error(`Entry ${index} is ${number ?? 'absent'}, ${value?.length ?? 0} bytes.`);
  }
}

/** The key of an entry. */
export function keyOf(index: number): Buffer {
  let text = KEY_PREFIX;
  for (let word = 0; word < 4; word += 1) {
    const bits = mixed(index + word * 0x3779_b9f1);
    text += `${HEX[bits >>> 24] ?? ''}${HEX[(bits >>> 16) & 255] ?? ''}`;
    text += `${HEX[(bits >>> 8) & 255] ?? ''}${HEX[bits & 255] ?? ''}`;
  }
  return Buffer.from(text, 'latin1');
}

/** The finalizer of MurmurHash3: no two numbers have the same. */
export function mixed(number: number): number {
  let bits = number | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
