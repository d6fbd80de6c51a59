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
