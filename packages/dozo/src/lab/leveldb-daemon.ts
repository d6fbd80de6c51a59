/**
 * A daemon on a real store, an entry of its own: LevelDB, opened as every program opens it. It locks
 * the file LOCK in its directory (`fcntl`) and every acknowledged write was flushed (`sync`).
 */
import { join } from 'node:path';

import { openSystemClock } from '@dozo/platform';

import { daemonArguments, errorCode, obeyTheLab, report } from './daemon-protocol.ts';
import { describeFile } from './file-identity.ts';
import { levelMessage, openLevelStore } from './leveldb-store.ts';
import type { LevelStore } from './leveldb-store.ts';
import { LEVELDB_RECORD_BYTES } from './limits.ts';
import { writePaced } from './paced-writer.ts';
import { recordValue } from './records.ts';

/** Arguments of the LevelDB daemon. */
export interface LevelDaemonArguments {
  readonly prefix: string;
  readonly directory: string;
}

async function run(options: LevelDaemonArguments): Promise<void> {
  const signal = obeyTheLab();
  let store: LevelStore;
  try {
    store = await openLevelStore(options.directory);
  } catch (error) {
    report({ kind: 'refused', code: errorCode(error), message: levelMessage(error) });
    return;
  }
  report({ kind: 'started', lock: describeFile(join(options.directory, 'LOCK')), recordCount: 0 });
  try {
    await writePaced({
      prefix: options.prefix,
      clock: await openSystemClock(),
      signal,
      put: (record) =>
        store.put(record.key, recordValue(record, LEVELDB_RECORD_BYTES), { sync: true }),
    });
    await store.close();
    report({ kind: 'closed' });
  } catch (error) {
    report({ kind: 'ended', code: errorCode(error), message: levelMessage(error) });
  }
}

await run(daemonArguments() as LevelDaemonArguments);
process.exit(0);
