import { endOf } from '../pacer.ts';
import { SeededRandom, bytesOfBinaryString } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFilter, filterBytesOf, hashKeyInto, hashOfKey, mayContain } from './bloom.ts';

function hashesOf(keys: readonly Uint8Array[]): Int32Array {
  const hashes = new Int32Array(2 * keys.length);
  for (const [index, key] of keys.entries()) hashKeyInto(key, key.length, hashes, 2 * index);
  return hashes;
}

describe('the filter of a table', () => {
  it('contains every key that it was made of, in however many parts', () => {
    const keys = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 60 });
    fc.assert(
      fc.property(keys, keys, (some, more) => {
        const filter = endOf(encodeFilter([hashesOf(some), hashesOf(more)], 1));
        expect(filter.length).toBe(filterBytesOf(some.length + more.length));
        for (const key of [...some, ...more]) expect(mayContain(filter, hashOfKey(key))).toBe(true);
      }),
    );
  });

  it('contains nothing when it was made of nothing', () => {
    expect(mayContain(endOf(encodeFilter([], 1)), hashOfKey(Uint8Array.of(1)))).toBe(false);
  });

  it.each([
    ['that count up', (n: number) => `object ${String(n).padStart(9, '0')}`],
    [
      'that differ in the last byte or two',
      (n: number) => `${'p'.repeat(30)}${String.fromCharCode(n >>> 8, n & 255)}`,
    ],
    ['that differ at the begin', (n: number) => `${String(n)}${'/suffix'.repeat(5)}`],
  ])('with keys %s lets less than 2 %% of other keys through', (_, make) => {
    const keyOf = (n: number): Uint8Array => bytesOfBinaryString(make(n));
    const filter = endOf(
      encodeFilter([hashesOf(Array.from({ length: 20_000 }, (_, n) => keyOf(n)))], 1),
    );
    let passedCount = 0;
    for (let n = 20_000; n < 40_000; n++)
      if (mayContain(filter, hashOfKey(keyOf(n)))) passedCount++;
    expect(passedCount).toBeLessThan(400);
  });

  it('has a hash that depends on every bit of the key and on its length', () => {
    const random = new SeededRandom(5);
    for (let length = 1; length < 40; length++) {
      const key = random.bytes(length);
      const seen = new Set([JSON.stringify(hashOfKey(key))]);
      for (let bit = 0; bit < 8 * length; bit++) {
        const changed = key.slice();
        changed[bit >>> 3] = (changed[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        seen.add(JSON.stringify(hashOfKey(changed)));
      }
      seen.add(JSON.stringify(hashOfKey(Uint8Array.of(...key, 0))));
      expect(seen.size).toBe(8 * length + 2);
    }
  });
});
