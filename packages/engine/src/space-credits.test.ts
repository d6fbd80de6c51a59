import { expect, test } from 'vitest';
import type { PreparedOperation } from './prepared-batch.ts';
import { RECORD_DELETE, RECORD_DELETE_RANGE, RECORD_PUT } from './record.ts';
import { SpaceCredits } from './space-credits.ts';

const EMPTY = new Uint8Array(0);

function operation(
  type: PreparedOperation['type'],
  name: string,
  valueBytes = 0,
): PreparedOperation {
  const value = new Uint8Array(valueBytes);
  return { type, key: EMPTY, name, value, checksums: [], inline: undefined };
}

const put = (name: string, valueBytes: number): PreparedOperation =>
  operation(RECORD_PUT, name, valueBytes);
const del = (name: string): PreparedOperation => operation(RECORD_DELETE, name);

test('a name is worth what the last batch that waits leaves it with', () => {
  const credits = new SpaceCredits(({ value }) => value.length);
  const first = [put('a', 1), put('a', 10), del('b'), operation(RECORD_DELETE_RANGE, 'c')];
  credits.add(first);
  expect(['a', 'b', 'c'].map((name) => credits.chargeOf(name))).toEqual([10, 0, undefined]);
  const second = [del('a')];
  credits.add(second);
  expect(credits.chargeOf('a')).toBe(0);
  credits.remove(first);
  expect(['a', 'b'].map((name) => credits.chargeOf(name))).toEqual([0, undefined]);
  credits.remove(second);
  expect(credits.size).toBe(0);
});

test('what was charged in full counts for who replaces it, where something is known of the name', () => {
  const credits = new SpaceCredits(({ value }) => value.length);
  credits.addInFull([put('a', 5)]);
  expect(credits.size).toBe(0);
  const first = [del('a')];
  credits.add(first);
  credits.addInFull([put('a', 5), del('a'), put('b', 7)]);
  expect(['a', 'b'].map((name) => credits.chargeOf(name))).toEqual([5, undefined]);
  credits.remove(first);
  expect(credits.size).toBe(0);
});
