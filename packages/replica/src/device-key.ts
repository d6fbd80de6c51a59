/**
 * How `pool / routing key / key` becomes one key of a device.
 *
 * ```
 *  0       2        3                3+n
 * +-------+--------+----------------+-------+
 * | pool  | n      | routing key    | key   |
 * | u16be | u8     | n bytes        | rest  |
 * +-------+--------+----------------+-------+
 * ```
 *
 * All keys of one routing key are neighbours and keep their order. The length in front makes the
 * split unambiguous for any bytes. Routing keys themselves are ordered by length, then by bytes.
 */
import { assert } from '@dozo/base';
import { DEVICE_KEY_HEADER_BYTES } from './limits.ts';
import type { PoolId, Shard } from './transaction-types.ts';

/** The device key of `key` in `shard`; without `key`, the prefix that all keys of it share. */
export function deviceKey(shard: Shard, key?: Uint8Array): Uint8Array {
  const routingKey = shard.routingKey;
  const prefixBytes = DEVICE_KEY_HEADER_BYTES + routingKey.length;
  const bytes = new Uint8Array(prefixBytes + (key?.length ?? 0));
  bytes[0] = shard.pool >>> 8;
  bytes[1] = shard.pool & 0xff;
  bytes[2] = routingKey.length;
  bytes.set(routingKey, DEVICE_KEY_HEADER_BYTES);
  if (key !== undefined) bytes.set(key, prefixBytes);
  return bytes;
}

/** The prefix of every device key of `pool`. */
export function poolPrefix(pool: PoolId): Uint8Array {
  return Uint8Array.of(pool >>> 8, pool & 0xff);
}

/** The key within its shard, as a view of `bytes`. */
export function keyOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(DEVICE_KEY_HEADER_BYTES + routingKeyLength(bytes));
}

/** The routing key, as a view of `bytes`. */
export function routingKeyOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(DEVICE_KEY_HEADER_BYTES, DEVICE_KEY_HEADER_BYTES + routingKeyLength(bytes));
}

/** The first key after all keys that begin with `prefix`; undefined when there can be none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  for (let length = prefix.length; length > 0; length -= 1) {
    const last = prefix[length - 1];
    if (last === undefined || last === 0xff) continue;
    const end = prefix.slice(0, length);
    end[length - 1] = last + 1;
    return end;
  }
  return undefined;
}

function routingKeyLength(bytes: Uint8Array): number {
  const length = bytes[DEVICE_KEY_HEADER_BYTES - 1];
  assert(length !== undefined, 'a device key has a pool and a routing key');
  return length;
}
