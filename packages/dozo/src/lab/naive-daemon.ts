/**
 * The naive daemon, an entry of its own: one store, guarded by a lock file in its run directory.
 *
 * It does what is right on a plain machine: it takes an exclusive lock on a file that every copy of it
 * would lock, keeps it as long as it lives, and touches the disk only after that. The lock is the same
 * `flock` that Dozo takes; only the thing that is locked is another.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { openFileDevice, openSystemClock } from '@dozo/platform';

import { daemonArguments, errorCode, errorMessage, obeyTheLab, report } from './daemon-protocol.ts';
import { describeFile } from './file-identity.ts';
import { NaiveStore } from './naive-store.ts';
import { writePaced } from './paced-writer.ts';
import { recordValue } from './records.ts';
import { RECORD_BYTES } from './limits.ts';

/** Arguments of the naive daemon. */
export interface NaiveDaemonArguments {
  readonly prefix: string;
  readonly devicePath: string;
  readonly deviceBytes: number;
  /** Where the lock file lies. */
  readonly runDirectory: string;
}

async function takeLock(runDirectory: string): Promise<string> {
  const path = join(runDirectory, 'naive.lock');
  // Not emptied: another daemon's pid may stand in it.
  writeFileSync(path, '\n', { flag: 'a' });
  await openFileDevice({ path, mode: 'exclusive' });
  return describeFile(path);
}

async function run(options: NaiveDaemonArguments): Promise<void> {
  const signal = obeyTheLab();
  let lock: string;
  let store: NaiveStore;
  try {
    lock = await takeLock(options.runDirectory);
    store = await NaiveStore.open(options.devicePath, options.deviceBytes);
  } catch (error) {
    report({ kind: 'refused', code: errorCode(error), message: errorMessage(error) });
    return;
  }
  report({ kind: 'started', lock, recordCount: store.recordCount });
  try {
    await writePaced({
      prefix: options.prefix,
      clock: await openSystemClock(),
      signal,
      put: (record) => store.put(record.key, recordValue(record, RECORD_BYTES)),
    });
    await store.close();
    report({ kind: 'closed' });
  } catch (error) {
    report({ kind: 'ended', code: errorCode(error), message: errorMessage(error) });
  }
}

await run(daemonArguments() as NaiveDaemonArguments);
process.exit(0);
