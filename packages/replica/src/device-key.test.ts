import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceKey, keyOf, poolPrefix, prefixEnd, routingKeyOf } from './device-key.ts';
import type { PoolId, Shard } from './transaction-types.ts';

const routingKeys = fc.uint8Array({ minLength: 1, maxLength: 128 });
const keys = fc.uint8Array({ minLength: 1, maxLength: 64 });
const pools = fc.integer({ min: 0, max: 65_535 }).map((pool) => pool as PoolId);
const shards: fc.Arbitrary<Shard> = fc.record({ pool: pools, routingKey: routingKeys });

function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

describe('device key', () => {
  it('gives back the routing key and the key that it was made from', () => {
    fc.assert(
      fc.property(shards, keys, (shard, key) => {
        const bytes = deviceKey(shard, key);
        expect(routingKeyOf(bytes)).toEqual(shard.routingKey);
        expect(keyOf(bytes)).toEqual(key);
      }),
    );
  });

  it('keeps the order of the keys of one shard', () => {
    fc.assert(
      fc.property(shards, keys, keys, (shard, a, b) => {
        expect(compare(deviceKey(shard, a), deviceKey(shard, b))).toBe(compare(a, b));
      }),
    );
  });

  it('never puts a key of one shard between the keys of another', () => {
    fc.assert(
      fc.property(shards, shards, keys, (shard, other, key) => {
        fc.pre(shard.pool !== other.pool || compare(shard.routingKey, other.routingKey) !== 0);
        const bytes = deviceKey(other, key);
        const end = prefixEnd(deviceKey(shard));
        const inside =
          compare(bytes, deviceKey(shard)) >= 0 && (end === undefined || compare(bytes, end) < 0);
        expect(inside).toBe(false);
      }),
    );
  });

  it('has the byte layout that the format page shows', () => {
    const shard: Shard = { pool: 0x0102 as PoolId, routingKey: Uint8Array.of(0xaa, 0xbb) };
    expect([...deviceKey(shard, Uint8Array.of(0xcc))]).toEqual([1, 2, 2, 0xaa, 0xbb, 0xcc]);
    expect([...poolPrefix(shard.pool)]).toEqual([1, 2]);
  });
});

describe('prefix end', () => {
  it('is above every key with the prefix and not above any other key that is larger', () => {
    fc.assert(
      fc.property(keys, keys, (prefix, rest) => {
        const end = prefixEnd(prefix);
        fc.pre(end !== undefined);
        expect(compare(end, Buffer.concat([prefix, rest]))).toBe(1);
        if (compare(rest, prefix) > 0 && compare(rest.subarray(0, prefix.length), prefix) !== 0) {
          expect(compare(end, rest)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  it('does not exist for a prefix of nothing but the highest byte', () => {
    expect(prefixEnd(Uint8Array.of(0xff, 0xff))).toBeUndefined();
    expect(prefixEnd(Uint8Array.of(1, 0xff))).toEqual(Uint8Array.of(2));
  });
});
