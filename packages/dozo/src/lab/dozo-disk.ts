/** Dozo's disk in the lab: made before a part, and judged after it, in both cases while nobody uses it. */
import type { Clock } from '@dozo/base';
import { EngineError, formatDevice, openReadOnly } from '@dozo/engine';
import type { ReadOnlyEngine } from '@dozo/engine';
import { openFileDevice, SystemRandom } from '@dozo/platform';

import { BEAT_INTERVAL_MS, LEASE_MS, RECORD_BYTES } from './limits.ts';
import { auditRecords } from './records.ts';
import type { Answer, Audit, ExpectedRecord } from './records.ts';

/** What is on a disk after everything. */
export interface DiskJudgement {
  readonly audit: Audit;
  /** Damaged places that a verify of the whole device found. */
  readonly damageCount: number;
  /** Why it cannot even be opened. */
  readonly complaint?: string;
}

/** Makes it Dozo's, with short intervals and small segments. */
export async function formatDozoDisk(
  path: string,
  clock: Clock,
  segmentPayloadBytes: number,
): Promise<void> {
  const device = await openFileDevice({ path, mode: 'exclusive' });
  try {
    await formatDevice({
      device,
      clock,
      random: new SystemRandom(),
      segmentPayloadBytes,
      beatIntervalMs: BEAT_INTERVAL_MS,
      leaseMs: LEASE_MS,
    });
  } finally {
    await device.close();
  }
}

/**
 * Reads every expected record and verifies the whole device. `file` is what lies below all loop
 * devices, so that no page cache of theirs hides anything.
 */
export async function judgeDozoDisk(
  file: string,
  expected: readonly ExpectedRecord[],
): Promise<DiskJudgement> {
  const device = await openFileDevice({ path: file, mode: 'read-only' });
  try {
    const engine = await openReadOnly(device);
    try {
      const audit = await auditRecords(expected, RECORD_BYTES, (key) => readRecord(engine, key));
      const { damages } = await engine.verify();
      return { audit, damageCount: damages.length };
    } finally {
      await engine.close();
    }
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const audit = await auditRecords(expected, RECORD_BYTES, () => 'unreadable');
    return { audit, damageCount: 1, complaint: error.message };
  } finally {
    await device.close();
  }
}

async function readRecord(engine: ReadOnlyEngine, key: string): Promise<Answer> {
  try {
    return (await engine.get(Buffer.from(key)))?.value ?? 'absent';
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return 'unreadable';
  }
}
