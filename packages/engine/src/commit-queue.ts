/**
 * The batches that wait for their commit, in the order of the log, and how much they are together.
 *
 *     looked up in the tree, if need be -> in the queue -> taken into a group -> left
 *
 * A batch counts from the moment it is accepted until its caller is told, so also while its group is on
 * its way to the device. Its credit, see `space-credits.ts`, lasts from the queue to that end.
 */
import type { Admission, QueueLoad } from './admission.ts';
import type { Lsn } from './engine-types.ts';
import type { CheckedBatch, PreparedBatch } from './prepared-batch.ts';

export interface QueuedBatch extends PreparedBatch {
  readonly resolve: (lsn: Lsn) => void;
  readonly reject: (error: unknown) => void;
}

/** Turns of the microtask queue without a new batch after which a group is formed. */
const QUIET_TURNS = 4;
/** Turns after which it is formed in any case. */
const SETTLE_TURNS_MAX = 64;

/** See the file comment. */
export class CommitQueue {
  readonly #admission: Pick<Admission, 'enqueued' | 'dequeued'>;
  #batches: QueuedBatch[] = [];
  /** Where the first one lies that is in no group. */
  #head = 0;
  #bytes = 0;
  #chargeBytes = 0;
  #arrivalCount = 0;
  /** Batches that wait for a look at the tree, before the queue. */
  #lookingCount = 0;
  #lookingBytes = 0;

  constructor(admission: Pick<Admission, 'enqueued' | 'dequeued'>) {
    this.#admission = admission;
  }

  /** How many are in no group yet, those apart that wait for a look at the tree. */
  get length(): number {
    return this.#batches.length - this.#head;
  }

  /** Bytes of records of all that have been added and have not left. */
  get bytes(): number {
    return this.#bytes;
  }

  get isLooking(): boolean {
    return this.#lookingCount > 0;
  }

  /** What the next batch comes on top of. */
  get load(): QueueLoad {
    return {
      batchCount: this.length + this.#lookingCount,
      bytes: this.#bytes + this.#lookingBytes,
      chargeBytes: this.#chargeBytes,
    };
  }

  /** A batch waits for a look at the tree: see {@link endLook}. */
  beginLook({ bytes }: CheckedBatch): void {
    this.#lookingCount++;
    this.#lookingBytes += bytes;
  }

  /** It has been added meanwhile, or refused. */
  endLook({ bytes }: CheckedBatch): void {
    this.#lookingCount--;
    this.#lookingBytes -= bytes;
  }

  add(batch: QueuedBatch): void {
    this.#batches.push(batch);
    this.#bytes += batch.bytes;
    this.#chargeBytes += batch.chargeBytes;
    this.#arrivalCount++;
    this.#admission.enqueued(batch);
  }

  /** The first one that is in no group. */
  get head(): QueuedBatch | undefined {
    return this.#batches[this.#head];
  }

  /** The head is in a group now, or is about to {@link leave}. Whoever has taken some calls {@link trim}. */
  takeHead(): void {
    this.#head++;
  }

  /** Lets go of those that were taken. */
  trim(): void {
    if (this.#head === this.#batches.length) {
      this.#batches = [];
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#batches.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** Takes all that are in no group. */
  takeAll(): QueuedBatch[] {
    const waiting = this.#batches.slice(this.#head);
    this.#batches = [];
    this.#head = 0;
    return waiting;
  }

  /** A batch that was taken is in the tree, or refused: its caller is told right after. */
  leave(batch: QueuedBatch): void {
    this.#bytes -= batch.bytes;
    this.#chargeBytes -= batch.chargeBytes;
    this.#admission.dequeued(batch);
  }

  /** Lets everybody who was told of the last group come with what they do next. */
  async settle(): Promise<void> {
    let quietTurns = 0;
    let arrivalCount = this.#arrivalCount;
    for (let turn = 0; turn < SETTLE_TURNS_MAX && quietTurns < QUIET_TURNS; turn++) {
      await Promise.resolve();
      quietTurns = this.#arrivalCount === arrivalCount ? quietTurns + 1 : 0;
      arrivalCount = this.#arrivalCount;
    }
  }
}
