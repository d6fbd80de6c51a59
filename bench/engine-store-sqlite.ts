/**
 * SQLite for the engine's bench: the one inside Node, because `better-sqlite3`, the same library, has no
 * binary that installs here.
 *
 * A write-ahead log with `synchronous=FULL`: a commit is flushed. Concurrent puts are gathered into one
 * transaction. A table without row ids is best for short rows, one with them for long values.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Gather } from './engine-gather.ts';
import {
  allocatedBytes,
  type BenchEntry,
  type BenchStore,
  type StoreOptions,
} from './engine-store.ts';

const KIB = 1024;
/** SQLite's documentation: rows without row ids should be shorter than a twentieth of a page. */
const SHORT_VALUE_BYTES = 200;
/** Pages in the log before they are copied back; the default of 1,000 copies a page more often. */
const CHECKPOINT_PAGES = 10_000;

export function openSqlite(options: StoreOptions): BenchStore {
  const { directory, valueBytes, cacheBytes } = options;
  const database = new DatabaseSync(join(directory, 'database'));
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = ${-Math.ceil(cacheBytes / KIB)};
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL)
      ${valueBytes <= SHORT_VALUE_BYTES ? 'WITHOUT ROWID' : ''};`);
  const insert = database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?)');
  const select = database.prepare('SELECT value FROM entries WHERE key = ?');
  const range = database.prepare('SELECT key, value FROM entries ORDER BY key LIMIT ?');
  const gather = new Gather<BenchEntry>((entries) => {
    database.exec('BEGIN IMMEDIATE');
    for (const { key, value } of entries) insert.run(key, value);
    database.exec('COMMIT');
  });
  return {
    put: (entries) => gather.put(entries),
    get: (key) => select.get(key)?.['value'] as Uint8Array | undefined,
    scan: (rowsMax) => {
      let rows = 0;
      for (const row of range.iterate(rowsMax)) rows += row['value'] === null ? 0 : 1;
      return Promise.resolve(rows);
    },
    sizeBytes: () => allocatedBytes(directory),
    counters: () => ({}),
    close: () => {
      database.close();
      return Promise.resolve();
    },
  };
}
