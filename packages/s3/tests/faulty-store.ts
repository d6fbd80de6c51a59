/**
 * A transaction store that takes its time and breaks when it is told to.
 *
 * Each call waits for the simulated clock before and after the real one, so that the seed decides how
 * calls of different requests interleave. At a chosen transaction the process that uses the store
 * dies (before or after it was applied; nothing that it calls ever works again), or is told that the
 * outcome is unknown and lives on.
 */
import type {
  Committed,
  Item,
  ItemInfo,
  PoolId,
  ScannedItem,
  ScanRange,
  Shard,
  Transaction,
  TransactionStore,
} from '@dozo/replica';
import { TransactionError } from '@dozo/replica';
import type { SimulatedClock } from '@dozo/simulator';

export interface Fault {
  /** The first transaction is 0. */
  readonly atTransaction: number;
  readonly kind: 'crash-before' | 'crash-after' | 'unknown-not-applied' | 'unknown-applied';
}

/** How long calls take. */
export interface Pace {
  readonly clock: SimulatedClock;
  /** Asked for every wait. */
  readonly hops: () => number;
}

/**
 * Waits for so many events of the clock, one after the other. The clock goes on to its next event
 * while code still runs, so that who is quicker is a matter of the number of events, not of time.
 */
export async function hop(clock: SimulatedClock, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await new Promise<void>((resolve) => {
      clock.complete(1, resolve);
    });
  }
}

/** What a dead process sees; no code of ours knows it. */
class Crashed extends Error {
  override readonly name = 'Crashed';
}

export class FaultyStore implements TransactionStore {
  readonly #inner: TransactionStore;
  readonly #pace: Pace | undefined;
  readonly #fault: Fault | undefined;
  transactionCount = 0;
  isDead = false;
  /** Called before a transaction is applied; it waits for the promise. */
  beforeTransact: ((transaction: Transaction) => Promise<void> | undefined) | undefined;

  /** @param pace without it, calls take no time. */
  constructor(inner: TransactionStore, pace?: Pace, fault?: Fault) {
    this.#inner = inner;
    this.#pace = pace;
    this.#fault = fault;
  }

  async transact(transaction: Transaction): Promise<Committed> {
    this.#check();
    const index = this.transactionCount;
    this.transactionCount += 1;
    await this.#delay();
    await this.beforeTransact?.(transaction);
    this.#check();
    const fault = this.#fault?.atTransaction === index ? this.#fault.kind : undefined;
    if (fault === 'crash-before') this.isDead = true;
    if (fault === 'unknown-not-applied') throw unknownOutcome();
    this.#check();
    const committed = await this.#inner.transact(transaction);
    if (fault === 'crash-after') this.isDead = true;
    if (fault === 'unknown-applied') throw unknownOutcome();
    this.#check();
    await this.#delay();
    return committed;
  }

  async get(
    shard: Shard,
    key: Uint8Array,
    range?: { readonly start: number; readonly end: number },
  ): Promise<Item | undefined> {
    await this.#delay();
    this.#check();
    const item = await this.#inner.get(shard, key, range);
    await this.#delay();
    this.#check();
    return item;
  }

  async stat(shard: Shard, key: Uint8Array): Promise<ItemInfo | undefined> {
    await this.#delay();
    this.#check();
    return this.#inner.stat(shard, key);
  }

  async *scan(shard: Shard, range: ScanRange): AsyncIterable<ScannedItem> {
    await this.#delay();
    this.#check();
    for await (const item of this.#inner.scan(shard, range)) {
      yield item;
      this.#check();
    }
  }

  async *routingKeys(pool: PoolId, after?: Uint8Array): AsyncIterable<Uint8Array> {
    await this.#delay();
    this.#check();
    for await (const routingKey of this.#inner.routingKeys(pool, after)) {
      yield routingKey;
      this.#check();
    }
  }

  #check(): void {
    if (this.isDead) throw new Crashed('The process has died.');
  }

  async #delay(): Promise<void> {
    if (this.#pace === undefined) return;
    await hop(this.#pace.clock, this.#pace.hops());
  }
}

function unknownOutcome(): TransactionError {
  return new TransactionError('The device failed.', { code: 'STORE_FAILED' });
}
