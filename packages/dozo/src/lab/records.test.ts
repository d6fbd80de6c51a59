import { describe, expect, test } from 'vitest';

import { auditRecords, expectedOf, recordValue } from './records.ts';
import type { Answer, ExpectedRecord } from './records.ts';

const SIZE_BYTES = 200;
const wanted: ExpectedRecord = { key: 'a-1', minVersion: 2, maxVersion: 3 };
const version = (number: number): Uint8Array =>
  recordValue({ key: 'a-1', version: number }, SIZE_BYTES);

async function judged(expected: ExpectedRecord, answer: Answer): Promise<string[]> {
  const { expectedCount, ...counts } = await auditRecords([expected], SIZE_BYTES, () => answer);
  if (expectedCount === 0) return [];
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
    expect(await judged({ ...wanted, minVersion: 0 }, 'absent')).toEqual([]);
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

describe('what must be found of what was acknowledged', () => {
  const log = [
    { key: 'a-0', version: 1 },
    { key: 'a-1', version: 1 },
    { key: 'a-0', version: 2 },
    { key: 'a-2', version: 1 },
    { key: 'a-1', version: 2 },
  ];

  test('of a daemon that ended is all of it, and one write more that nobody heard of', () => {
    expect(expectedOf(log)).toEqual([
      { key: 'a-0', minVersion: 2, maxVersion: 3 },
      { key: 'a-1', minVersion: 2, maxVersion: 3 },
      { key: 'a-2', minVersion: 1, maxVersion: 2 },
    ]);
  });

  test('of one that lost the disk is nothing that came later, but for the write under way', () => {
    expect(expectedOf(log, 1, 2)).toEqual([
      { key: 'a-0', minVersion: 1, maxVersion: 2 },
      { key: 'a-1', minVersion: 0, maxVersion: 1 },
      { key: 'a-2', minVersion: 0, maxVersion: 0 },
    ]);
  });

  test('a late write that is visible is an intruder', async () => {
    const [late] = expectedOf(log, 1, 2).slice(2);
    if (late === undefined) throw new Error('the key is in the log');
    expect(await judged(late, recordValue({ key: 'a-2', version: 1 }, SIZE_BYTES))).toEqual([
      'intruderCount',
    ]);
  });
});
