/**
 * A placement group on one engine: transactions without replicas.
 *
 * A transaction locks its keys (shared for those that it only looks at, exclusive for those that it
 * changes), checks its preconditions against what is durable, and hands one batch to the engine. The
 * locks are held until the batch is durable, so that no answer, a refusal neither, ever rests on a
 * write that a crash could still take back.
 *
 * Linearizable: the engine shows a batch to readers when it is durable and not before, and that
 * moment lies between the call and its answer. A key's version is the number of the batch that wrote
 * it, which the engine never gives twice.
 */
import { binaryStringOf, DozoError } from '@dozo/base';
import type { Engine, Operation } from '@dozo/engine';
import {
  checkKey,
  checkShard,
  checkTransaction,
  deviceKey,
  holds,
  keyOf,
  poolPrefix,
  prefixEnd,
  routingKeyOf,
  TransactionError,
} from '@dozo/replica';
import type {
  Committed,
  Item,
  ItemInfo,
  PoolId,
  Precondition,
  ScannedItem,
  ScanRange,
  Shard,
  Transaction,
  TransactionErrorDetail,
  TransactionStore,
  Version,
} from '@dozo/replica';
import { KeyLocks } from './key-locks.ts';
import type { LockRequest } from './key-locks.ts';
import { TRANSACTIONS_IN_FLIGHT_MAX } from './limits.ts';

export interface PlacementGroupOptions {
  readonly engine: Engine;
  /** Test-only: apply without looking at the preconditions. */
  readonly ignorePreconditions?: boolean;
  /** Test-only: do not keep two transactions on one key apart. */
  readonly ignoreLocks?: boolean;
}

/** A placement group that lives on one engine, in this process. Does not own the engine. */
export class PlacementGroup implements TransactionStore {
  readonly #engine: Engine;
  readonly #locks = new KeyLocks();
  readonly #ignorePreconditions: boolean;
  readonly #ignoreLocks: boolean;
  #inFlightCount = 0;

  constructor(options: PlacementGroupOptions) {
    this.#engine = options.engine;
    this.#ignorePreconditions = options.ignorePreconditions ?? false;
    this.#ignoreLocks = options.ignoreLocks ?? false;
  }

  /** Transactions that wait or run now. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** @see TransactionStore.transact */
  async transact(transaction: Transaction): Promise<Committed> {
    checkTransaction(transaction);
    if (this.#inFlightCount >= TRANSACTIONS_IN_FLIGHT_MAX) {
      throw new TransactionError(
        `The transaction was refused: ${TRANSACTIONS_IN_FLIGHT_MAX} are already waiting. Try again later.`,
        { code: 'STORE_BUSY' },
      );
    }
    const plan = planOf(transaction);
    this.#inFlightCount += 1;
    const waiting = this.#ignoreLocks ? undefined : this.#locks.acquire(plan.locks);
    try {
      if (waiting !== undefined) await waiting;
      if (!this.#ignorePreconditions) await this.#checkPreconditions(plan);
      const lsn = await this.#engine.apply(plan.operations);
      return { version: lsn as number as Version };
    } catch (error) {
      throw asTransactionError(error);
    } finally {
      if (!this.#ignoreLocks) this.#locks.release(plan.locks);
      this.#inFlightCount -= 1;
    }
  }

  /** @see TransactionStore.get */
  async get(
    shard: Shard,
    key: Uint8Array,
    range?: { readonly start: number; readonly end: number },
  ): Promise<Item | undefined> {
    checkShard(shard);
    checkKey(key);
    try {
      const entry = await this.#engine.get(deviceKey(shard, key), range);
      if (entry === undefined) return undefined;
      return {
        version: entry.lsn as number as Version,
        sizeBytes: entry.sizeBytes,
        value: entry.value,
      };
    } catch (error) {
      throw asTransactionError(error);
    }
  }

  /** @see TransactionStore.stat */
  async stat(shard: Shard, key: Uint8Array): Promise<ItemInfo | undefined> {
    checkShard(shard);
    checkKey(key);
    try {
      const info = await this.#engine.stat(deviceKey(shard, key));
      if (info === undefined) return undefined;
      return { version: info.lsn as number as Version, sizeBytes: info.sizeBytes };
    } catch (error) {
      throw asTransactionError(error);
    }
  }

  /** @see TransactionStore.scan */
  async *scan(shard: Shard, range: ScanRange): AsyncIterable<ScannedItem> {
    checkShard(shard);
    const to = range.to === undefined ? prefixEnd(deviceKey(shard)) : deviceKey(shard, range.to);
    const from = deviceKey(shard, range.from);
    const reverse = range.reverse ?? false;
    const keys = to === undefined ? { from, reverse } : { from, to, reverse };
    try {
      const rows = this.#engine.scan(keys, range.limit === undefined ? {} : { limit: range.limit });
      for await (const { key, lsn, sizeBytes, value = EMPTY } of rows) {
        yield { key: keyOf(key), version: lsn as number as Version, sizeBytes, value };
      }
    } catch (error) {
      throw asTransactionError(error);
    }
  }

  /** @see TransactionStore.routingKeys */
  async *routingKeys(pool: PoolId, after?: Uint8Array): AsyncIterable<Uint8Array> {
    checkShard({ pool, routingKey: after ?? ANY_ROUTING_KEY });
    const to = prefixEnd(poolPrefix(pool));
    let from: Uint8Array | undefined =
      after === undefined ? poolPrefix(pool) : prefixEnd(deviceKey({ pool, routingKey: after }));
    while (from !== undefined) {
      const found = await this.#firstKey(from, to);
      if (found === undefined) return;
      const routingKey = routingKeyOf(found).slice();
      yield routingKey;
      from = prefixEnd(deviceKey({ pool, routingKey }));
    }
  }

  async #firstKey(from: Uint8Array, to: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    const range = to === undefined ? { from } : { from, to };
    try {
      for await (const row of this.#engine.scan(range, { limit: 1, values: false })) return row.key;
    } catch (error) {
      throw asTransactionError(error);
    }
    return undefined;
  }

  async #checkPreconditions(plan: Plan): Promise<void> {
    for (let index = 0; index < plan.preconditions.length; index += 1) {
      const check = plan.preconditions[index];
      if (check === undefined) continue;
      const info = await this.#engine.stat(check.key);
      if (!holds(check.precondition, info?.lsn as number | undefined as Version | undefined)) {
        throw new TransactionError(
          'The transaction was not applied: a key that it depends on has changed. Read again and decide anew.',
          { code: 'PRECONDITION_FAILED', index },
        );
      }
    }
  }
}

const EMPTY = new Uint8Array(0);
/** Stands where only a pool is to be checked. */
const ANY_ROUTING_KEY = new Uint8Array(1);

interface Plan {
  /** In ascending order of the keys, each once. */
  readonly locks: readonly LockRequest[];
  readonly preconditions: readonly {
    readonly key: Uint8Array;
    readonly precondition: Precondition;
  }[];
  readonly operations: readonly Operation[];
}

/** Device keys, locks and engine operations of a transaction. */
function planOf(transaction: Transaction): Plan {
  const { preconditions = [], puts = [], deletes = [] } = transaction;
  const locks: LockRequest[] = [];
  const operations: Operation[] = [];
  for (const { key, value } of puts) {
    const bytes = deviceKey(transaction, key);
    operations.push({ kind: 'put', key: bytes, value });
    locks.push({ key: binaryStringOf(bytes), exclusive: true });
  }
  for (const key of deletes) {
    const bytes = deviceKey(transaction, key);
    operations.push({ kind: 'delete', key: bytes });
    locks.push({ key: binaryStringOf(bytes), exclusive: true });
  }
  const checks = preconditions.map((precondition) => {
    const key = deviceKey(transaction, precondition.key);
    locks.push({ key: binaryStringOf(key), exclusive: false });
    return { key, precondition };
  });
  return { locks: sortedLocks(locks), preconditions: checks, operations };
}

/** Sorts, keeps the stronger of two requests for one key, refuses a key that is changed twice. */
function sortedLocks(locks: LockRequest[]): LockRequest[] {
  locks.sort((a, b) =>
    a.key < b.key ? -1 : a.key > b.key ? 1 : Number(b.exclusive) - Number(a.exclusive),
  );
  const distinct: LockRequest[] = [];
  for (const lock of locks) {
    const previous = distinct.at(-1);
    if (previous?.key !== lock.key) distinct.push(lock);
    else if (lock.exclusive) {
      throw new TransactionError(
        'The transaction was refused: it changes one key twice. Keep only the last change.',
        { code: 'TRANSACTION_INVALID' },
      );
    }
  }
  return distinct;
}

/** What an engine's error means to the client of a placement group. */
const CODES: Readonly<
  Record<string, Exclude<TransactionErrorDetail['code'], 'PRECONDITION_FAILED'>>
> = {
  DEVICE_FULL: 'STORE_FULL',
  // Damage keeps the index from taking more: deletes are taken, puts are not before a repair.
  TABLES_DAMAGED: 'STORE_FULL',
  QUEUE_FULL: 'STORE_BUSY',
  BATCH_TOO_LARGE: 'TRANSACTION_TOO_LARGE',
  VALUE_TOO_LARGE: 'TRANSACTION_TOO_LARGE',
  KEY_TOO_LONG: 'TRANSACTION_INVALID',
  ENGINE_CLOSED: 'STORE_CLOSED',
  ENGINE_FAILED: 'STORE_FAILED',
  // Another process has the device: what this one had under way may count there, or not.
  ENGINE_FENCED: 'STORE_FAILED',
  ENGINE_CLAIM_LOST: 'STORE_FAILED',
  VALUE_DAMAGED: 'VALUE_DAMAGED',
  // What a damaged piece of the index says of its keys is not known: none of them can be shown.
  INDEX_DAMAGED: 'VALUE_DAMAGED',
  // The engine passes what its device says to a read on as it is.
  DEVICE_READ_FAILED: 'STORE_READ_FAILED',
  DEVICE_CLOSED: 'STORE_CLOSED',
};

function asTransactionError(error: unknown): unknown {
  if (error instanceof TransactionError || !(error instanceof DozoError)) return error;
  const code = CODES[(error.detail as { code: string }).code];
  return code === undefined
    ? error
    : new TransactionError(error.message, { code }, { cause: error });
}
