/** The clients of a daemon in the lab: one record after the other, new ones and changes of old ones. */
import { sleep } from '@dozo/base';
import type { Clock } from '@dozo/base';

import { report } from './daemon-protocol.ts';
import { PACE_MS, REWRITE_EVERY } from './limits.ts';
import type { LabRecord } from './records.ts';

export interface PacedWriterOptions {
  /** Begins every key, so that no two daemons ever write the same one. */
  readonly prefix: string;
  readonly clock: Clock;
  /** Ends the writing. */
  readonly signal: AbortSignal;
  /** Makes a record durable. What it throws ends the writing, and passes through. */
  readonly put: (record: LabRecord) => Promise<void>;
}

/** A prime: walks over all older keys before it comes to one again. */
const REWRITE_STRIDE = 7_919;

/**
 * Writes until the signal is aborted; each record that `put` has taken is reported as acknowledged.
 * Resolves when what was in flight has been acknowledged too.
 */
export async function writePaced(options: PacedWriterOptions): Promise<void> {
  const { prefix, clock, signal, put } = options;
  const versions: number[] = [];
  for (let count = 1; !signal.aborted; count += 1) {
    const isRewrite = count % REWRITE_EVERY === 0;
    const index = isRewrite ? (count * REWRITE_STRIDE) % versions.length : versions.length;
    const version = (versions[index] ?? 0) + 1;
    const key = `${prefix}-${String(index).padStart(6, '0')}`;
    await put({ key, version });
    versions[index] = version;
    report({ kind: 'acknowledged', key, version });
    await sleep(clock, PACE_MS);
  }
}
