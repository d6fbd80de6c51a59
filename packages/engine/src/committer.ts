/**
 * The commit pipeline: batches wait in a queue; one group is on its way to the device at a time, and
 * while it is, the next one collects.
 *
 * A group is formed when nothing is in flight, so that the memtables are current: moves of reclaim are
 * compared with them right there and stand in front of the users' batches, which therefore win. After
 * the flush the active memtable changes and the callers are told, in the order of the log.
 *
 * What waits is in `commit-queue.ts`; what is in a group, and what it changes, in `pending-group.ts`; for
 * whom there is room in `group-room.ts`.
 *
 * A batch that might not find room is first looked up in the tree: what it replaces counts for it. Those
 * that come after it wait behind it.
 *
 * Nothing is ever retried: the first write or flush that fails, of the log or of a table, ends the engine. So
 * does the claim when it is over: what was in flight has an unknown outcome then, whatever the device says of
 * it afterwards, and what waits was not written.
 */
import { assert, AssertionError } from '@dozo/base';
import { Admission } from './admission.ts';
import { CommitQueue } from './commit-queue.ts';
import type { QueuedBatch } from './commit-queue.ts';
import type { CheckedBatch } from './prepared-batch.ts';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import type { Batch, Lsn } from './engine-types.ts';
import { ClaimError } from '@dozo/claim';
import { claimIsOver, engineFailed, tablesDamaged } from './errors.ts';
import type { EngineError } from './errors.ts';
import type { EngineLimits, Geometry } from './geometry.ts';
import { GroupRoom } from './group-room.ts';
import { EAGER_BYTES, GROUP_BYTES_MAX } from './limits.ts';
import type { LogWriter } from './log-writer.ts';
import type { Maintenance, Step } from './maintenance.ts';
import type { MaybePromise } from './maybe-promise.ts';
import { PendingGroup, stepBytesOf } from './pending-group.ts';
import type { SpaceClass } from './space.ts';
import type { TestSwitches } from './test-switches.ts';
import type { TreeEntry } from './tree/tree-entry.ts';
import type { TreeKeeper } from './tree-keeper.ts';

export interface CommitterOptions {
  readonly path: string;
  readonly geometry: Geometry;
  readonly limits: EngineLimits;
  readonly log: LogWriter;
  readonly catalog: Catalog;
  readonly maintenance: Maintenance;
  readonly keeper: TreeKeeper;
  /** What a key has now. */
  readonly lookUp: (name: string) => MaybePromise<TreeEntry | undefined>;
  readonly counters: Counters;
  readonly switches: TestSwitches;
  /** A write or flush failed, or the claim is over; called once, when nothing is in flight any more. */
  readonly onFailure: (error: unknown) => void;
}

/** See the file comment. */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #admission: Admission;
  readonly #queue: CommitQueue;
  readonly #room: GroupRoom;
  /** Looks at the tree for batches that will be added to the queue. */
  #looking: Promise<void> = Promise.resolve();
  #running: Promise<void> | undefined;
  /** Somebody has asked for a look since the last one began. */
  #isWanted = false;
  /** Ends a wait for space. */
  #wake: (() => void) | undefined;
  /** The batch for which reclaim was let go on once more. */
  #triedFor: QueuedBatch | undefined;
  #failure: EngineError | undefined;
  /** What {@link #failure} comes of. */
  #cause: unknown;
  #isOutcomeUnknown = false;
  #lastLsn: number;

  constructor(options: CommitterOptions) {
    this.#options = options;
    const { keeper, log } = options;
    const settle = (): Promise<void> => keeper.settle();
    const makeSpace = (): Promise<void> => keeper.makeSpace();
    this.#admission = new Admission({ ...options, settle, makeSpace, seed: log.seed });
    this.#queue = new CommitQueue(this.#admission);
    this.#room = new GroupRoom(options);
    this.#lastLsn = options.log.nextLsn - 1;
  }

  get lastLsn(): number {
    return this.#lastLsn;
  }

  /** What another put may be charged with. */
  get availableBytes(): number {
    return this.#admission.availableBytes(this.#queue.load);
  }

  /** See `Engine.apply`. */
  apply(batch: Batch): Promise<Lsn> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (batch.length === 0) return Promise.resolve(this.#lastLsn as Lsn);
    // What the executor throws rejects the promise.
    return new Promise((resolve, reject) => {
      const load = this.#queue.load;
      const checked = this.#admission.check(batch, load);
      const { keeper, path } = this.#options;
      if (checked.chargeBytes > 0 && keeper.isBlockedByDamage) {
        throw tablesDamaged(path, keeper.damagedTableCount);
      }
      // Whoever comes while others wait for a look at the tree waits behind them: the order stays.
      const spaceClass = this.#queue.isLooking
        ? undefined
        : this.#admission.spaceClassOf(checked, load);
      if (spaceClass === undefined) this.#look(checked, resolve, reject);
      else this.#enqueue({ ...checked, spaceClass, isCredited: false, resolve, reject });
    });
  }

  #enqueue(batch: QueuedBatch): void {
    this.#queue.add(batch);
    if (this.#options.switches.acknowledgeBeforeWrite === true) batch.resolve(this.#lastLsn as Lsn);
    this.start();
  }

  /** Looks in the tree how much room a batch takes in the end, one batch after the other. */
  #look(
    checked: CheckedBatch,
    resolve: (lsn: Lsn) => void,
    reject: (error: unknown) => void,
  ): void {
    this.#queue.beginLook(checked);
    this.#looking = this.#looking.then(async () => {
      try {
        const spaceClass = this.#admission.spaceClassOf(checked, this.#queue.load);
        const prepared =
          spaceClass === undefined
            ? await this.#admission.lookForSpace(checked, () => this.#queue.load)
            : { ...checked, spaceClass, isCredited: false };
        if (this.#failure !== undefined) throw this.#failure;
        this.#enqueue({ ...prepared, resolve, reject });
      } catch (error) {
        reject(error);
      } finally {
        this.#queue.endLook(checked);
      }
    });
  }

  /** Runs the pipeline until there is nothing to do, if it does not run already. */
  start(): void {
    this.#isWanted = true;
    this.#wake?.();
    if (this.#running !== undefined || this.#failure !== undefined) return;
    this.#running = this.#run().then(
      () => {
        this.#running = undefined;
        if (this.#failure !== undefined) return;
        // Something may have come between the last look and here.
        if (this.#queue.length > 0 || this.#isWanted) this.start();
      },
      (error: unknown) => {
        this.#running = undefined;
        this.#fail(error);
        // A bug of ours ends the process; what the device did ends this engine.
        if (error instanceof AssertionError) throw error;
      },
    );
  }

  /** Whether something was written of which the device did not say whether it is durable. */
  get isOutcomeUnknown(): boolean {
    return this.#isOutcomeUnknown;
  }

  /**
   * The claim is over, or its slot cannot be written: refuses what waits and what comes, at once.
   *
   * @returns a promise for the end of what is in flight. It does not reject.
   */
  async end(error: unknown): Promise<void> {
    this.#refuseWaiting(error);
    this.#wake?.();
    while (this.#running !== undefined) await this.#running;
  }

  /** Resolves when everything that was accepted has been committed, or the engine has failed. */
  async drain(): Promise<void> {
    await this.#looking;
    this.start();
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    const { catalog, log, maintenance } = this.#options;
    for (;;) {
      // With enough waiting, the device is put to work before the callers are let loose again:
      // checksums of what they bring next are computed while it writes.
      if (this.#queue.bytes < EAGER_BYTES) await this.#queue.settle();
      if (this.#isOver()) return;
      this.#isWanted = false;
      if (log.isSlotDue) await log.updateSlot();
      if (!log.hasReservedSegment && log.isConfirming) await log.confirmed();
      const needed = maintenance.prepare();
      if (needed !== undefined) await needed;
      const lease = log.checkLease();
      if (lease !== undefined) await lease;
      if (this.#isOver()) return;
      // From here to the write of the group nothing is waited for.
      const group = this.#form();
      if (group === 'again') continue;
      if (group === undefined) {
        if (this.#queue.length === 0) {
          if (!log.isDiscardDue) return;
          await log.updateSlot();
          continue;
        }
        await this.#waitForSpace();
        continue;
      }
      // The next step is read while this group is written.
      const preparation = maintenance.prepare();
      try {
        await log.commit();
      } catch (error) {
        this.#rejectAll(group, error);
        await preparation;
        throw error;
      }
      // Another write or flush has failed meanwhile: what this one was told is not believed any more, and
      // the log ends before it.
      if (this.#isOver()) {
        this.#rejectAll(group, this.#cause);
        await preparation;
        return;
      }
      catalog.beginGroup();
      log.advance();
      this.#apply(group);
      catalog.endGroup();
      this.#options.keeper.look();
      if (preparation !== undefined) await preparation;
    }
  }

  #isOver(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * Forms the next group; `undefined` when nothing can be written now, `again` when the step that
   * was ready has turned out to be void.
   */
  #form(): PendingGroup | 'again' | undefined {
    const { log } = this.#options;
    const group = new PendingGroup(this.#options);
    const step = this.#currentStep();
    if (step === 'void') return 'again';
    let isBegun = false;
    const stepClass = step?.kind === 'moves' ? 'moves' : 'checkpoint';
    if (step !== undefined && this.#begin(stepBytesOf(step, log), stepClass, step)) {
      isBegun = true;
      group.addStep(step);
    }
    while (!this.#options.keeper.isStalled) {
      const batch = this.#queue.head;
      if (batch === undefined) break;
      if (isBegun) {
        if (!this.#room.mayWrite(batch.spaceClass)) break;
        const bytesAfter = log.groupBytes + batch.bytes;
        if (batch.bytes > log.groupRoomBytes || bytesAfter > GROUP_BYTES_MAX) break;
      } else if (!this.#begin(batch.bytes, batch.spaceClass)) {
        break;
      }
      isBegun = true;
      group.addBatch(batch);
      this.#queue.takeHead();
    }
    this.#queue.trim();
    return isBegun ? group : undefined;
  }

  /** The step that is ready, without the moves of records that have died since they were looked up. */
  #currentStep(): Step | 'void' | undefined {
    const { maintenance, catalog, switches } = this.#options;
    const { step } = maintenance;
    if (step?.kind !== 'moves' || switches.moveBlindly === true) return step;
    // Entries have gone from one source to another since: they must be looked up again.
    if (step.generation !== catalog.generation) return undefined;
    step.moves = step.moves.filter(({ name, entry }) => {
      const known = catalog.inMemory(name);
      return known === undefined || known.isSame(entry);
    });
    if (step.moves.length > 0) return step;
    maintenance.take([]);
    maintenance.committed();
    return 'void';
  }

  /** Begins a group with room for so much, in the open segment or the next; false: no room. */
  #begin(bytes: number, spaceClass: SpaceClass, step?: Step): boolean {
    const { log } = this.#options;
    if (!this.#room.hasRoomFor(bytes, spaceClass)) return false;
    const publishing = step?.kind === 'publish' ? step.finish() : undefined;
    if (bytes <= log.roomBytes) {
      log.beginGroup();
      if (publishing !== undefined || step?.kind === 'manifest') log.publish(publishing);
      return true;
    }
    assert(bytes <= log.freshRoomBytes || publishing !== undefined, 'too long for a segment');
    log.beginSegment(publishing);
    return true;
  }

  #apply(group: PendingGroup): void {
    const { counters, log, switches } = this.#options;
    group.apply();
    if (switches.freeBeforeManifest === true) log.forgetParts();
    for (const { batch, lsn } of group.batches) {
      this.#lastLsn = lsn;
      this.#queue.leave(batch);
      counters.bytesAccepted += batch.bytes;
      batch.resolve(lsn);
    }
  }

  /** The batch at the head cannot be written: reclaim has nothing left that it could do. */
  #refuseHead(): void {
    const batch = this.#queue.head;
    if (batch === undefined) return;
    this.#triedFor = undefined;
    this.#queue.takeHead();
    this.#queue.trim();
    this.#queue.leave(batch);
    batch.reject(this.#admission.full(batch.chargeBytes, this.#queue.load));
  }

  /**
   * Lets reclaim, which has given up, go on once more for the batch at the head where that is one of deletes, or
   * lets nothing grow: it is not refused because of what did not help before it came.
   */
  #tryAgain(): boolean {
    const { maintenance, switches } = this.#options;
    const batch = this.#queue.head;
    if (batch?.spaceClass !== 'shrink' || batch === this.#triedFor) return false;
    this.#triedFor = batch;
    return switches.giveUpForGood !== true && maintenance.tryAgain();
  }

  /** Whether there has come to be room for the batch at the head, or may be after the next write of the slot. */
  #mayBegin(): boolean {
    const { log, keeper } = this.#options;
    const batch = this.#queue.head;
    if (batch === undefined || log.isSlotDue) return true;
    if (keeper.isStalled) return false;
    return this.#room.hasRoomFor(batch.bytes, batch.spaceClass);
  }

  /** Nothing can be written now: waits for what may change that, or refuses the batch at the head. */
  async #waitForSpace(): Promise<void> {
    const { catalog, keeper, log } = this.#options;
    if (log.isDiscardFinished) {
      await log.updateSlot();
      return;
    }
    // Something has come or ended since the last look, such as a compaction that wants a checkpoint.
    if (this.#isWanted) return;
    // The look at the ring is waited for, too: turns of this loop alone would leave the device no time to answer.
    const changes = [
      keeper.nextChange(),
      catalog.segments.nextRelease(),
      log.isConfirming ? log.confirmed() : undefined,
    ].filter((change) => change !== undefined);
    if (changes.length === 0) {
      if (this.#mayBegin() || keeper.giveUpWork() || this.#tryAgain()) return;
      this.#refuseHead();
      return;
    }
    if (this.#options.switches.spinForSpace === true) return;
    // A table may wait for a segment that only the next write of the slot reserves.
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([...changes, woken]);
    this.#wake = undefined;
  }

  #rejectAll(group: PendingGroup, error: unknown): void {
    // The claim's error comes after the device has said that the group is durable.
    if (!(error instanceof ClaimError)) this.#isOutcomeUnknown = true;
    const failure = this.#refusalFor(error, false);
    for (const { batch } of group.batches) {
      this.#queue.leave(batch);
      batch.reject(failure);
    }
  }

  #fail(error: unknown): void {
    this.#refuseWaiting(error);
    this.#options.onFailure(error);
  }

  /** What a caller is told; `isOutcomeKnown`: its batch was certainly not written. */
  #refusalFor(error: unknown, isOutcomeKnown: boolean): EngineError {
    const { path } = this.#options;
    return error instanceof ClaimError
      ? claimIsOver(path, error, isOutcomeKnown)
      : engineFailed(path, error);
  }

  #refuseWaiting(error: unknown): void {
    const failure = this.#refusalFor(error, true);
    if (this.#failure === undefined) {
      this.#failure = failure;
      this.#cause = error;
    }
    for (const batch of this.#queue.takeAll()) {
      this.#queue.leave(batch);
      batch.reject(failure);
    }
  }
}
