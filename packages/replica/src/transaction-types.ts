/**
 * Transactions: the one abstraction that S3 and block images are written against.
 *
 * A pool is a set of placement groups; a placement group (PG) is an ordered, transactional
 * key-value shard. A client names `pool / routing key / key`. The routing key's hash picks the PG,
 * so that all keys under one routing key live together, and a transaction, which names exactly one
 * routing key, is atomic and linearizable.
 */
import type { Brand } from '@dozo/base';

/** A pool's number, an integer in `[0, 65535]`. */
export type PoolId = Brand<number, 'PoolId'>;

/**
 * Version of a key: it grows with every change of that key, and no two values of a key ever share
 * one, also when the key was deleted and put again in between.
 */
export type Version = Brand<number, 'Version'>;

/** What must hold of a key for a transaction to be applied. */
export type Precondition =
  | { readonly key: Uint8Array; readonly is: 'absent' }
  | { readonly key: Uint8Array; readonly is: 'present' }
  | { readonly key: Uint8Array; readonly is: 'version'; readonly version: Version };

export interface Put {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A set of keys that share a placement group. */
export interface Shard {
  readonly pool: PoolId;
  /** `[1, ROUTING_KEY_BYTES_MAX]` bytes. */
  readonly routingKey: Uint8Array;
}

/** Puts and deletes name distinct keys. Buffers must not change until it has settled. */
export interface Transaction extends Shard {
  readonly preconditions?: readonly Precondition[];
  readonly puts?: readonly Put[];
  readonly deletes?: readonly Uint8Array[];
}

export interface Committed {
  /** The version that every key which the transaction put has now. */
  readonly version: Version;
}

export interface Item {
  readonly version: Version;
  /** Length of the whole value in bytes, also when a range was read. */
  readonly sizeBytes: number;
  /** Belongs to the caller. */
  readonly value: Uint8Array;
}

export interface ItemInfo {
  readonly version: Version;
  readonly sizeBytes: number;
}

export interface ScannedItem extends Item {
  readonly key: Uint8Array;
}

/** Keys in `[from, to)` in byte order, or from the last to the first. */
export interface ScanRange {
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/** Placement groups, as their clients see them. */
export interface TransactionStore {
  /**
   * Applies a transaction, all of it or nothing. Durable and visible to every later read when it
   * resolves.
   *
   * Rejects with `PRECONDITION_FAILED` (nothing applied), `TRANSACTION_INVALID`,
   * `TRANSACTION_TOO_LARGE`, `STORE_FULL` (nothing applied; transactions that only delete are still
   * taken), `STORE_BUSY` (nothing applied; try again later), `STORE_CLOSED`, `STORE_READ_FAILED` and
   * `VALUE_DAMAGED` (what a precondition asks for cannot be read; nothing applied), `STORE_FAILED`
   * (outcome unknown).
   */
  transact(transaction: Transaction): Promise<Committed>;

  /**
   * Reads a value or the bytes `[start, end)` of it. This and every other read rejects with
   * `TRANSACTION_INVALID`, `VALUE_DAMAGED`, `STORE_READ_FAILED`, `STORE_CLOSED` and `STORE_FAILED`.
   */
  get(
    shard: Shard,
    key: Uint8Array,
    range?: { readonly start: number; readonly end: number },
  ): Promise<Item | undefined>;

  /** What is known of a key without reading its value. */
  stat(shard: Shard, key: Uint8Array): Promise<ItemInfo | undefined>;

  /** Walks the keys of one routing key as they are when the iteration begins. */
  scan(shard: Shard, range: ScanRange): AsyncIterable<ScannedItem>;

  /** Walks the routing keys that hold anything in a pool, each once, after `after` if given. */
  routingKeys(pool: PoolId, after?: Uint8Array): AsyncIterable<Uint8Array>;
}
