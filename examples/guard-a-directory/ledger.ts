/**
 * A ledger that must never have two writers: appends a line a second to a file, and only while it holds
 * the claim of the directory.
 *
 *     node ledger.ts DIRECTORY [--wait]
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { hasCode } from '@dozo/base';
import { describeClaim } from '@dozo/claim';
import { claimDirectory } from '@dozo/platform';
import type { ClaimedDirectory } from '@dozo/platform';

const [directory = 'ledger', option] = process.argv.slice(2);
const ending = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ending.abort());

try {
  mkdirSync(directory, { recursive: true });
  const claimed = await claimDirectory({
    directory,
    name: 'ledger',
    softwareVersion: '1.0.0',
    wait: option === '--wait',
    signal: ending.signal,
    onProgress: ({ kind, holder }) => console.error(`${kind}: ${describeClaim(holder)}`),
  });
  // Fenced or lost: others may write now, so this process does nothing more, not even tidy up.
  claimed.claim.onEnd(fail);
  await keepLedger(claimed);
  await claimed.giveBack();
} catch (error) {
  if (!ending.signal.aborted) fail(error);
}

async function keepLedger({ claim }: ClaimedDirectory): Promise<void> {
  console.log(
    `Process ${process.pid} keeps the ledger, incarnation ${claim.identity.incarnation}.`,
  );
  while (!ending.signal.aborted) {
    // Nothing to wait for inside the lease. A process that slept beats first, or learns that it lost.
    await claim.checkLease();
    appendFileSync(join(directory, 'ledger.txt'), `${process.pid} ${new Date().toISOString()}\n`);
    await sleep(1000, undefined, { signal: ending.signal }).catch(() => undefined);
  }
}

/** Ends at once, with a status that tells why; each message says what to do next. */
function fail(error: unknown): never {
  console.error(error instanceof Error ? error.message : error);
  if (hasCode(error, 'CLAIM_HELD', 'DEVICE_BUSY')) process.exit(3);
  if (hasCode(error, 'CLAIM_FENCED')) process.exit(9);
  if (hasCode(error, 'CLAIM_LOST')) process.exit(10);
  process.exit(1);
}
