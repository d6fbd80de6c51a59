/**
 * What the bench asks of an embedded store.
 *
 * Each one is in its best configuration that is as durable as the engine: what a put has promised has
 * been flushed to the disk.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface BenchEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** An open store. */
export interface BenchStore {
  /** Writes some entries, all or none; durable when it resolves. */
  put(entries: readonly BenchEntry[]): Promise<unknown>;
  /** A value, or a promise of it: as the store itself offers it. */
  get(key: Buffer): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  /** Reads rows in the order of keys, values included. @returns how many there were. */
  scan(rowsMax: number): Promise<number>;
  /** What it takes on the disk now, in bytes. */
  sizeBytes(): number;
  /** Counters of its own that are worth a column. */
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** A directory that is the store's alone; empty before its first use. */
  readonly directory: string;
  /** Keys and values that it is going to hold at most, in bytes. */
  readonly dataBytes: number;
  readonly valueBytes: number;
  /** What it may cache, where it has a cache of its own. */
  readonly cacheBytes: number;
}

/** Opens a store, new or not. */
export type OpenStore = (options: StoreOptions) => Promise<BenchStore> | BenchStore;

/** Blocks that the files of a directory take on the disk, in bytes. */
export function allocatedBytes(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => {
    // A store may delete a file after it has been listed: it takes nothing any more.
    const stats = statSync(join(directory, name), { throwIfNoEntry: false });
    return sum + (stats?.blocks ?? 0) * 512;
  }, 0);
}
