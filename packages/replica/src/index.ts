export { deviceKey, keyOf, poolPrefix, prefixEnd, routingKeyOf } from './device-key.ts';
export { TransactionError } from './errors.ts';
export type { TransactionErrorDetail } from './errors.ts';
export {
  DEVICE_KEY_BYTES_MAX,
  KEY_BYTES_MAX,
  KEYS_PER_TRANSACTION_MAX,
  ROUTING_KEY_BYTES_MAX,
  VALUE_BYTES_MAX,
} from './limits.ts';
export { checkKey, checkShard, checkTransaction, holds } from './transaction-check.ts';
export type {
  Committed,
  Item,
  ItemInfo,
  PoolId,
  Precondition,
  Put,
  ScannedItem,
  ScanRange,
  Shard,
  Transaction,
  TransactionStore,
  Version,
} from './transaction-types.ts';
