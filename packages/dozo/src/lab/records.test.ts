import { describe, expect, test } from 'vitest';

import { auditRecords, recordValue } from './records.ts';
import type { Answer, ExpectedRecord } from './records.ts';

const SIZE_BYTES = 200;
const wanted: ExpectedRecord = { key: 'a-1', minVersion: 2, maxVersion: 3 };
const version = (number: number): Uint8Array =>
  recordValue({ key: 'a-1', version: number }, SIZE_BYTES);

async function judged(expected: ExpectedRecord, answer: Answer): Promise<string[]> {
  const { expectedCount, ...counts } = await auditRecords([expected], SIZE_BYTES, () => answer);
  expect(expectedCount).toBe(1);
  return Object.entries(counts)
    .filter(([, count]) => count === 1)
    .map(([name]) => name);
}

describe('a record that was acknowledged', () => {
  test('is intact in the version that was acknowledged and in a later one that was allowed', async () => {
    expect(await judged(wanted, version(2))).toEqual(['intactCount']);
    expect(await judged(wanted, version(3))).toEqual(['intactCount']);
  });

  test('is lost when it is absent, unless it was never acknowledged', async () => {
    expect(await judged(wanted, 'absent')).toEqual(['lostCount']);
    expect(await judged({ ...wanted, minVersion: 0 }, 'absent')).toEqual(['intactCount']);
  });

  test('is stale in an older version', async () => {
    expect(await judged(wanted, version(1))).toEqual(['staleCount']);
  });

  test('shows an intruder in a version that was written after the device had been lost', async () => {
    expect(await judged(wanted, version(4))).toEqual(['intruderCount']);
  });

  test('is damaged when the store cannot read it, or one byte is another, or it is another key', async () => {
    const flipped = Uint8Array.from(version(2), (byte, index) => (index === 150 ? byte ^ 1 : byte));
    const foreign = recordValue({ key: 'b-1', version: 2 }, SIZE_BYTES);
    for (const answer of ['unreadable', flipped, foreign, version(2).subarray(1)] as const) {
      expect(await judged(wanted, answer)).toEqual(['damagedCount']);
    }
  });
});
