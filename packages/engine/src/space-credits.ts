/**
 * What is given back by names that batches replace or delete, each time once.
 *
 * On a full device a batch is charged only with what it takes beside what its names have. That counts for one
 * batch: whoever comes behind it meets what it leaves. So as long as batches wait that were charged like
 * this, it is known of each of their names what it will be charged with behind them all.
 *
 * It takes an entry for each name of such a batch in the queue, which is bounded as the queue is.
 */
import { RECORD_DELETE, RECORD_DELETE_RANGE, RECORD_PUT } from './record.ts';
import type { PreparedOperation } from './prepared-batch.ts';

interface Standing {
  /** What the name is charged with behind all batches that wait. */
  chargeBytes: number;
  /** Of those that were charged beside what they replace. */
  batchCount: number;
}

/** What an operation is charged with. */
export type Charge = (operation: PreparedOperation) => number;

/** See the file comment. */
export class SpaceCredits {
  readonly #charge: Charge;
  readonly #standings = new Map<string, Standing>();

  constructor(charge: Charge) {
    this.#charge = charge;
  }

  /** Names of which something is known. */
  get size(): number {
    return this.#standings.size;
  }

  /** What a name will be charged with behind the batches that wait; `undefined`: what it is charged with now. */
  chargeOf(name: string): number | undefined {
    return this.#standings.get(name)?.chargeBytes;
  }

  /** A batch that was charged beside what it replaces begins to wait. */
  add(operations: readonly PreparedOperation[]): void {
    for (const [name, chargeBytes] of this.#outcomes(operations)) {
      const standing = this.#standings.get(name);
      if (standing === undefined) this.#standings.set(name, { chargeBytes, batchCount: 1 });
      else {
        standing.chargeBytes = chargeBytes;
        standing.batchCount++;
      }
    }
  }

  /** One that was charged in full begins to wait: what it puts is given back to whoever replaces it. */
  addInFull(operations: readonly PreparedOperation[]): void {
    if (this.#standings.size === 0) return;
    for (const operation of operations) {
      if (operation.type !== RECORD_PUT) continue;
      const standing = this.#standings.get(operation.name);
      if (standing !== undefined) standing.chargeBytes += this.#charge(operation);
    }
  }

  /** A batch of {@link add} waits no longer: it is in the tree, or was refused. */
  remove(operations: readonly PreparedOperation[]): void {
    for (const name of this.#outcomes(operations).keys()) {
      const standing = this.#standings.get(name);
      if (standing === undefined) continue;
      standing.batchCount--;
      if (standing.batchCount === 0) this.#standings.delete(name);
    }
  }

  /** What a batch leaves each of its names with. What a range delete leaves is not looked up. */
  #outcomes(operations: readonly PreparedOperation[]): ReadonlyMap<string, number> {
    const outcomes = new Map<string, number>();
    for (const operation of operations) {
      if (operation.type === RECORD_DELETE_RANGE) continue;
      const isDelete = operation.type === RECORD_DELETE;
      outcomes.set(operation.name, isDelete ? 0 : this.#charge(operation));
    }
    return outcomes;
  }
}
