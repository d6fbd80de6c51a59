/**
 * The pure rules of a transaction: whether it is well formed, and whether its preconditions hold.
 */
import { TransactionError } from './errors.ts';
import {
  KEY_BYTES_MAX,
  KEYS_PER_TRANSACTION_MAX,
  ROUTING_KEY_BYTES_MAX,
  VALUE_BYTES_MAX,
} from './limits.ts';
import type { Precondition, Shard, Transaction, Version } from './transaction-types.ts';

/** Throws `TRANSACTION_INVALID` unless pool and routing key are in range. */
export function checkShard(shard: Shard): void {
  if (!Number.isInteger(shard.pool) || shard.pool < 0 || shard.pool > 0xffff) {
    throw invalid(`a pool is a number from 0 to 65535, not ${String(shard.pool)}`);
  }
  const sizeBytes = shard.routingKey.length;
  if (sizeBytes < 1 || sizeBytes > ROUTING_KEY_BYTES_MAX) {
    throw invalid(`a routing key has 1 to ${ROUTING_KEY_BYTES_MAX} bytes, not ${sizeBytes}`);
  }
}

/** Throws `TRANSACTION_INVALID` unless `key` is in range. */
export function checkKey(key: Uint8Array): void {
  if (key.length < 1 || key.length > KEY_BYTES_MAX) {
    throw invalid(`a key has 1 to ${KEY_BYTES_MAX} bytes, not ${key.length}`);
  }
}

/**
 * Throws `TRANSACTION_INVALID` unless every length is in range and there is something to do. That
 * puts and deletes name distinct keys is checked where their names are compared anyway.
 */
export function checkTransaction(transaction: Transaction): void {
  checkShard(transaction);
  const { preconditions = [], puts = [], deletes = [] } = transaction;
  const changeCount = puts.length + deletes.length;
  if (changeCount === 0) throw invalid('a transaction changes at least one key');
  if (changeCount + preconditions.length > KEYS_PER_TRANSACTION_MAX) {
    throw invalid(`a transaction names at most ${KEYS_PER_TRANSACTION_MAX} keys`);
  }
  for (const precondition of preconditions) checkKey(precondition.key);
  for (const key of deletes) checkKey(key);
  for (const put of puts) {
    checkKey(put.key);
    if (put.value.length > VALUE_BYTES_MAX) {
      throw invalid(`a value has at most ${VALUE_BYTES_MAX} bytes, not ${put.value.length}`);
    }
  }
}

/** Whether `precondition` holds for a key whose version is `current`, undefined if it is absent. */
export function holds(precondition: Precondition, current: Version | undefined): boolean {
  switch (precondition.is) {
    case 'absent':
      return current === undefined;
    case 'present':
      return current !== undefined;
    case 'version':
      return current === precondition.version;
  }
}

function invalid(what: string): TransactionError {
  return new TransactionError(`The transaction was refused: ${what}.`, {
    code: 'TRANSACTION_INVALID',
  });
}
