/** LevelDB, if this installation has it: `classic-level` is an optional dependency. */
import type { ClassicLevel } from 'classic-level';

import { LEVELDB_WRITE_BUFFER_BYTES } from './limits.ts';

/** An opened LevelDB store with keys and values as the lab needs them. */
export type LevelStore = ClassicLevel<string, Uint8Array>;

/** The library's class; undefined where it is absent or does not load. */
export async function loadLevelDb(): Promise<typeof ClassicLevel | undefined> {
  try {
    return (await import('classic-level')).ClassicLevel;
  } catch {
    return undefined;
  }
}

/** Opens a store. Rejects with the errors of LevelDB, and when the library is absent. */
export async function openLevelStore(directory: string): Promise<LevelStore> {
  const Level = await loadLevelDb();
  if (Level === undefined) throw new Error('classic-level is not installed.');
  const store: LevelStore = new Level(directory, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    writeBufferSize: LEVELDB_WRITE_BUFFER_BYTES,
  });
  await store.open();
  return store;
}

/** What LevelDB itself said: its own error is the cause of the library's. */
export function levelMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
