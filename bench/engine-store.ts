/**
 * What the bench asks of an embedded store, and which stores there are.
 *
 * Each one is in its best configuration that is as durable as the engine: what a put has promised has
 * been flushed to the disk. Nothing of a store is loaded before it is opened.
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

export const STORE_NAMES = ['dozo', 'lmdb', 'leveldb', 'sqlite'] as const;
export type StoreName = (typeof STORE_NAMES)[number];

/** Opens a store, new or not. */
export type OpenStore = (options: StoreOptions) => Promise<BenchStore> | BenchStore;

/** Loads a store's library. Rejects where it is not installed or does not fit this machine. */
export async function loadStore(name: StoreName): Promise<OpenStore> {
  switch (name) {
    case 'dozo':
      return (await import('./engine-store-dozo.ts')).openDozo;
    case 'lmdb':
      return (await import('./engine-store-lmdb.ts')).openLmdb;
    case 'leveldb':
      return (await import('./engine-store-leveldb.ts')).openLevelDb;
    case 'sqlite':
      return (await import('./engine-store-sqlite.ts')).openSqlite;
  }
}

/** Blocks that the files of a directory take on the disk, in bytes. */
export function allocatedBytes(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + statSync(join(directory, name)).blocks * 512,
    0,
  );
}
