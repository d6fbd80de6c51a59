import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SIGNING_KEYS_MAX } from '../limits.ts';
import { deriveSigningKey, SigningKeys } from './signing-key.ts';

const name = (region: string): { accessKeyId: string; day: string; region: string } => ({
  accessKeyId: 'a',
  day: '20150830',
  region,
});

describe('deriveSigningKey', () => {
  it('derives the key of the chain that Amazon describes', () => {
    const step = (key: string | Buffer, text: string): Buffer =>
      createHmac('sha256', key).update(text).digest();
    const expected = ['20150830', 'us-east-1', 's3', 'aws4_request'].reduce<string | Buffer>(
      (key, text) => step(key, text),
      'AWS4secret',
    );
    const key = deriveSigningKey('secret', '20150830', 'us-east-1');
    expect(key.export()).toEqual(expected);
  });
});

describe('SigningKeys', () => {
  it('keeps a key that proved right, and only such a one', () => {
    const keys = new SigningKeys();
    const first = keys.keyFor(name('x'), 'secret');
    expect(keys.keyFor(name('x'), 'secret').key).not.toBe(first.key);
    first.keep();
    expect(keys.keyFor(name('x'), 'secret').key).toBe(first.key);
    expect(keys.keyFor(name('y'), 'secret').key).not.toBe(first.key);
  });

  it('does not use a key of a secret that was changed', () => {
    const keys = new SigningKeys();
    const first = keys.keyFor(name('x'), 'old');
    first.keep();
    expect(keys.keyFor(name('x'), 'new').key.equals(first.key)).toBe(false);
  });

  it('keeps no more than its bound; the oldest goes first', () => {
    const keys = new SigningKeys();
    const kept = Array.from({ length: SIGNING_KEYS_MAX + 1 }, (_, index) => {
      const entry = keys.keyFor(name(`region-${index}`), 'secret');
      entry.keep();
      return entry.key;
    });
    expect(keys.keyFor(name('region-0'), 'secret').key).not.toBe(kept[0]);
    expect(keys.keyFor(name('region-1'), 'secret').key).toBe(kept[1]);
    const last = `region-${SIGNING_KEYS_MAX}`;
    expect(keys.keyFor(name(last), 'secret').key).toBe(kept[SIGNING_KEYS_MAX]);
  });
});
