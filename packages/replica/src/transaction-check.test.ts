import { describe, expect, it } from 'vitest';
import { KEY_BYTES_MAX, KEYS_PER_TRANSACTION_MAX, VALUE_BYTES_MAX } from './limits.ts';
import { checkTransaction, holds } from './transaction-check.ts';
import type { PoolId, Transaction, Version } from './transaction-types.ts';

const key = Uint8Array.of(1);
const value = Uint8Array.of(2);
const good: Transaction = {
  pool: 1 as PoolId,
  routingKey: Uint8Array.of(9),
  puts: [{ key, value }],
};

function refusal(change: Partial<Transaction>): string {
  try {
    checkTransaction({ ...good, ...change });
  } catch (error) {
    expect(error).toMatchObject({ code: 'TRANSACTION_INVALID' });
    return (error as Error).message;
  }
  return 'accepted';
}

describe('check of a transaction', () => {
  it('accepts what is in range', () => {
    expect(refusal({})).toBe('accepted');
    expect(refusal({ puts: [{ key, value: new Uint8Array(VALUE_BYTES_MAX) }] })).toBe('accepted');
  });

  it.each([
    ['a pool out of range', { pool: 65_536 as PoolId }, 'pool'],
    ['an empty routing key', { routingKey: new Uint8Array(0) }, 'routing key'],
    ['a routing key that is too long', { routingKey: new Uint8Array(129) }, 'routing key'],
    ['nothing to change', { puts: [] }, 'at least one key'],
    ['an empty key', { deletes: [new Uint8Array(0)] }, 'a key has'],
    ['a key that is too long', { deletes: [new Uint8Array(KEY_BYTES_MAX + 1)] }, 'a key has'],
    [
      'a bad key in a precondition',
      { preconditions: [{ key: new Uint8Array(0), is: 'absent' }] },
      'a key has',
    ],
    [
      'a value that is too large',
      { puts: [{ key, value: new Uint8Array(VALUE_BYTES_MAX + 1) }] },
      'a value has',
    ],
    [
      'too many keys',
      { deletes: new Array(KEYS_PER_TRANSACTION_MAX + 1).fill(key) as Uint8Array[] },
      'at most',
    ],
  ] satisfies [string, Partial<Transaction>, string][])('refuses %s', (_name, change, words) => {
    expect(refusal(change)).toContain(words);
  });
});

describe('precondition', () => {
  const seven = 7 as Version;

  it.each([
    [{ key, is: 'absent' }, undefined, true],
    [{ key, is: 'absent' }, seven, false],
    [{ key, is: 'present' }, undefined, false],
    [{ key, is: 'present' }, seven, true],
    [{ key, is: 'version', version: seven }, seven, true],
    [{ key, is: 'version', version: seven }, 8 as Version, false],
    [{ key, is: 'version', version: seven }, undefined, false],
  ] as const)('%j with version %s: %s', (precondition, current, expected) => {
    expect(holds(precondition, current)).toBe(expected);
  });
});
