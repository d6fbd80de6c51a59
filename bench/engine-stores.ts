/** The stores that the bench knows. Nothing of one is loaded before it is asked for. */
import type { OpenStore } from './engine-store.ts';

export const STORE_NAMES = ['dozo', 'lmdb', 'leveldb', 'sqlite'] as const;
export type StoreName = (typeof STORE_NAMES)[number];

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
