/**
 * The commit pipeline: batches wait in a queue; one group is on its way to the device at a time, and
 * while it is, the next one collects.
 *
 * A group is formed when nothing is in flight, so that the index is current: moves of reclaim are
 * compared with it right there and stand in front of the users' batches, which therefore win. After
 * the flush the index changes and the callers are told, in the order of the log.
 *
 * Nothing is ever retried: the first write or flush that fails ends the engine. So does the claim when
 * it is over: what was in flight has an unknown outcome then, and what waits was not written.
 */
import { assert, AssertionError } from '@dozo/base';
import { Admission } from './admission.ts';
import type { PreparedBatch, QueueLoad } from './admission.ts';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import type { Batch, Lsn } from './engine-types.ts';
import { ClaimError } from '@dozo/claim';
import { claimIsOver, engineFailed } from './errors.ts';
import type { EngineError } from './errors.ts';
import type { EngineLimits, Geometry } from './geometry.ts';
import { IndexEntry } from './key-index.ts';
import { EAGER_BYTES, GROUP_BYTES_MAX, RECLAIM_STEP_BYTES } from './limits.ts';
import type { LogWriter } from './log-writer.ts';
import type { Maintenance, Step } from './maintenance.ts';
import type { Move } from './reclaimer.ts';
import { RECORD_DELETE, RECORD_INDEX_PAGE, RECORD_PUT } from './record.ts';
import { recordBytesOf } from './record.ts';
import { neededSegments } from './space.ts';
import type { SpaceClass } from './space.ts';
import type { TestSwitches } from './test-switches.ts';

export interface CommitterOptions {
  readonly path: string;
  readonly geometry: Geometry;
  readonly limits: EngineLimits;
  readonly log: LogWriter;
  readonly catalog: Catalog;
  readonly maintenance: Maintenance;
  readonly counters: Counters;
  readonly switches: TestSwitches;
  /** A write or flush failed, or the claim is over; called once, when nothing is in flight any more. */
  readonly onFailure: (error: unknown) => void;
}

interface QueuedBatch extends PreparedBatch {
  readonly resolve: (lsn: Lsn) => void;
  readonly reject: (error: unknown) => void;
}

/** A key whose entry changes when the group is durable. */
interface Change {
  readonly name: string;
  /** Absent for a delete. */
  readonly entry: IndexEntry | undefined;
  readonly isMove: boolean;
}

interface Group {
  readonly changes: Change[];
  readonly batches: { readonly batch: QueuedBatch; readonly lsn: Lsn }[];
  /** What the step wants to be told. */
  onDurable: (() => void) | undefined;
  hasStep: boolean;
}

const EMPTY = new Uint8Array(0);
/** Turns of the microtask queue without a new batch after which a group is formed. */
const QUIET_TURNS = 4;
/** Turns after which it is formed in any case. */
const SETTLE_TURNS_MAX = 64;

/** See the file comment. */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #admission: Admission;
  #queue: QueuedBatch[] = [];
  #queueHead = 0;
  #queuedBytes = 0;
  #queuedChargeBytes = 0;
  #arrivalCount = 0;
  #running: Promise<void> | undefined;
  #failure: EngineError | undefined;
  #isOutcomeUnknown = false;
  #lastLsn: number;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#admission = new Admission({ ...options, seed: options.log.seed });
    this.#lastLsn = options.log.nextLsn - 1;
  }

  get lastLsn(): number {
    return this.#lastLsn;
  }

  /** What another put may be charged with. */
  get availableBytes(): number {
    return this.#admission.availableBytes(this.#load);
  }

  /** See `Engine.apply`. */
  apply(batch: Batch): Promise<Lsn> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (batch.length === 0) return Promise.resolve(this.#lastLsn as Lsn);
    // What the executor throws rejects the promise.
    return new Promise((resolve, reject) => {
      const prepared = this.#admission.prepare(batch, this.#load);
      this.#queue.push({ ...prepared, resolve, reject });
      this.#queuedBytes += prepared.bytes;
      this.#queuedChargeBytes += prepared.chargeBytes;
      this.#arrivalCount++;
      this.start();
    });
  }

  /** Runs the pipeline until there is nothing to do, if it does not run already. */
  start(): void {
    if (this.#running !== undefined || this.#failure !== undefined) return;
    this.#running = this.#run().then(
      () => {
        this.#running = undefined;
        if (this.#failure !== undefined) return;
        // Something may have come between the last look and here.
        if (this.#queueLength > 0) this.start();
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
    this.#refuseWaiting(this.#refusalFor(error, true));
    while (this.#running !== undefined) await this.#running;
  }

  /** Resolves when everything that was accepted has been committed, or the engine has failed. */
  async drain(): Promise<void> {
    this.start();
    while (this.#running !== undefined) await this.#running;
  }

  get #load(): QueueLoad {
    return {
      batchCount: this.#queueLength,
      bytes: this.#queuedBytes,
      chargeBytes: this.#queuedChargeBytes,
    };
  }

  get #queueLength(): number {
    return this.#queue.length - this.#queueHead;
  }

  async #run(): Promise<void> {
    const { log, maintenance } = this.#options;
    for (;;) {
      // With enough waiting, the device is put to work before the callers are let loose again:
      // checksums of what they bring next are computed while it writes.
      if (this.#queuedBytes < EAGER_BYTES) await this.#settle();
      if (this.#isOver()) return;
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
        if (this.#queueLength === 0) return;
        if (!(await this.#waitForReaders())) this.#refuseHead();
        continue;
      }
      // The next step is read while this group is written.
      const preparation = maintenance.prepare();
      try {
        await log.commit();
      } catch (error) {
        // The claim's error comes after the device has said that the group is durable.
        if (!(error instanceof ClaimError)) this.#isOutcomeUnknown = true;
        this.#rejectAll(group, error);
        await preparation;
        throw error;
      }
      log.advance();
      this.#apply(group);
      if (preparation !== undefined) await preparation;
    }
  }

  #isOver(): boolean {
    return this.#failure !== undefined;
  }

  /** Lets everybody who was told of the last group come with what they do next. */
  async #settle(): Promise<void> {
    let quietTurns = 0;
    let arrivalCount = this.#arrivalCount;
    for (let turn = 0; turn < SETTLE_TURNS_MAX && quietTurns < QUIET_TURNS; turn++) {
      await Promise.resolve();
      quietTurns = this.#arrivalCount === arrivalCount ? quietTurns + 1 : 0;
      arrivalCount = this.#arrivalCount;
    }
  }

  /**
   * Forms the next group; `undefined` when nothing can be written now, `again` when the step that
   * was ready has turned out to be void.
   */
  #form(): Group | 'again' | undefined {
    const { log } = this.#options;
    const group: Group = { changes: [], batches: [], onDurable: undefined, hasStep: false };
    const step = this.#currentStep();
    if (step === 'void') return 'again';
    let isBegun = false;
    if (step !== undefined && this.#begin(this.#stepBytes(step), 'maintenance', step)) {
      isBegun = true;
      this.#addStep(group, step);
    }
    for (;;) {
      const batch = this.#queue[this.#queueHead];
      if (batch === undefined) break;
      if (isBegun) {
        if (!this.#mayWrite(batch.spaceClass)) break;
        const bytesAfter = log.groupBytes + batch.bytes;
        if (batch.bytes > log.groupRoomBytes || bytesAfter > GROUP_BYTES_MAX) break;
      } else if (!this.#begin(batch.bytes, batch.spaceClass)) {
        break;
      }
      isBegun = true;
      this.#addBatch(group, batch);
      this.#queueHead++;
    }
    this.#trimQueue();
    return isBegun ? group : undefined;
  }

  /** The step that is ready, without the moves of records that have died since they were read. */
  #currentStep(): Step | 'void' | undefined {
    const { maintenance, catalog, switches } = this.#options;
    const { step } = maintenance;
    if (step?.kind !== 'moves' || switches.moveBlindly === true) return step;
    step.moves = step.moves.filter(({ name, entry }) => catalog.index.get(name) === entry);
    if (step.moves.length > 0) return step;
    maintenance.take([]);
    maintenance.committed();
    return 'void';
  }

  /** Begins a group with room for so much, in the open segment or the next; false: no room. */
  #begin(bytes: number, spaceClass: SpaceClass, step?: Step): boolean {
    const { log, catalog, geometry } = this.#options;
    const publishing = step?.kind === 'publish' ? step.finish() : undefined;
    if (bytes <= log.roomBytes) {
      if (!this.#mayWrite(spaceClass)) return false;
      log.beginGroup();
      if (publishing !== undefined || step?.kind === 'manifest') log.publish(publishing);
      return true;
    }
    const needed = neededSegments(spaceClass, catalog.indexBytes, geometry);
    if (!log.hasReservedSegment || catalog.segments.availableCount < needed) return false;
    assert(bytes <= log.freshRoomBytes || publishing !== undefined, 'too long for a segment');
    log.beginSegment(publishing);
    return true;
  }

  /** Whether a class may use room in the open segment, which maintenance may be in need of. */
  #mayWrite(spaceClass: SpaceClass): boolean {
    const { catalog, geometry } = this.#options;
    const needed = neededSegments(spaceClass, catalog.indexBytes, geometry);
    return catalog.segments.availableCount >= needed - 1;
  }

  #stepBytes(step: Step): number {
    if (step.kind === 'page') return recordBytesOf(0, step.value.length);
    if (step.kind === 'moves') return moveBytes(step.moves[0]);
    const { log } = this.#options;
    const { pages } = step.kind === 'publish' ? step.finish() : log;
    return recordBytesOf(0, log.manifestBytes(pages.length));
  }

  #addStep(group: Group, step: Step): void {
    const { log, maintenance } = this.#options;
    group.hasStep = true;
    if (step.kind === 'moves') {
      maintenance.take(this.#addMoves(group, step.moves));
      return;
    }
    if (step.kind === 'page') {
      const { value, checksums, number: lsn } = step;
      const record = { type: RECORD_INDEX_PAGE, key: EMPTY, value, checksums, lsn } as const;
      const offset = log.add(record);
      const segment = log.groupSegment;
      const ordinal = this.#options.catalog.segments.ordinalOf(segment);
      const { onDurable } = step;
      group.onDurable = () => {
        onDurable({ segment, ordinal, offset, valueBytes: value.length });
      };
    }
    maintenance.take([]);
  }

  #addMoves(group: Group, moves: readonly Move[]): readonly Move[] {
    const { log, counters } = this.#options;
    let movedBytes = 0;
    for (let index = 0; index < moves.length; index++) {
      const move = moves[index] as Move;
      const bytes = moveBytes(move);
      if (bytes > log.groupRoomBytes || movedBytes > RECLAIM_STEP_BYTES) return moves.slice(index);
      const { lsn, valueBytes } = move.entry;
      const offset =
        move.encoded === undefined
          ? log.add({ ...move, type: RECORD_PUT, lsn })
          : log.addEncoded(move.encoded, lsn);
      const entry = new IndexEntry(log.groupSegment, offset, valueBytes, lsn);
      group.changes.push({ name: move.name, entry, isMove: true });
      movedBytes += bytes;
      counters.bytesMoved += bytes;
    }
    return [];
  }

  #addBatch(group: Group, batch: QueuedBatch): void {
    const { log } = this.#options;
    const lsn = log.nextLsn as Lsn;
    log.nextLsn++;
    const segment = log.groupSegment;
    for (const { key, name, value, checksums } of batch.operations) {
      if (value === undefined) {
        log.add({ type: RECORD_DELETE, key, value: EMPTY, checksums, lsn });
        group.changes.push({ name, entry: undefined, isMove: false });
      } else {
        const offset = log.add({ type: RECORD_PUT, key, value, checksums, lsn });
        const entry = new IndexEntry(segment, offset, value.length, lsn);
        group.changes.push({ name, entry, isMove: false });
      }
    }
    group.batches.push({ batch, lsn });
  }

  #apply(group: Group): void {
    const { catalog, counters, maintenance, log, switches } = this.#options;
    for (const { name, entry, isMove } of group.changes) {
      if (entry === undefined) {
        counters.deleteCount++;
        catalog.delete(name);
      } else if (isMove) {
        catalog.move(name, entry);
      } else {
        counters.putCount++;
        catalog.put(name, entry);
      }
    }
    group.onDurable?.();
    if (group.hasStep) maintenance.committed();
    if (switches.freeBeforeManifest === true) log.forgetParts();
    for (const { batch, lsn } of group.batches) {
      this.#lastLsn = lsn;
      this.#leaveQueue(batch);
      counters.bytesAccepted += batch.bytes;
      batch.resolve(lsn);
    }
  }

  /** The batch at the head cannot be written: reclaim has nothing left that it could do. */
  #refuseHead(): void {
    const batch = this.#queue[this.#queueHead];
    if (batch === undefined) return;
    this.#queueHead++;
    this.#trimQueue();
    this.#leaveQueue(batch);
    batch.reject(this.#admission.full(batch.chargeBytes, this.#load));
  }

  /** Waits for reads that hold space back; false when none do. */
  async #waitForReaders(): Promise<boolean> {
    const { segments } = this.#options.catalog;
    const leaving = segments.nextRelease();
    if (leaving === undefined) return false;
    await leaving;
    return true;
  }

  #leaveQueue(batch: QueuedBatch): void {
    this.#queuedBytes -= batch.bytes;
    this.#queuedChargeBytes -= batch.chargeBytes;
  }

  #trimQueue(): void {
    if (this.#queueHead === this.#queue.length) {
      this.#queue = [];
      this.#queueHead = 0;
    } else if (this.#queueHead > 1024) {
      this.#queue.splice(0, this.#queueHead);
      this.#queueHead = 0;
    }
  }

  #rejectAll(group: Group, error: unknown): void {
    const failure = this.#refusalFor(error, false);
    for (const { batch } of group.batches) {
      this.#leaveQueue(batch);
      batch.reject(failure);
    }
  }

  #fail(error: unknown): void {
    this.#refuseWaiting(this.#refusalFor(error, true));
    this.#options.onFailure(error);
  }

  /** What a caller is told; `isOutcomeKnown`: its batch was certainly not written. */
  #refusalFor(error: unknown, isOutcomeKnown: boolean): EngineError {
    const { path } = this.#options;
    return error instanceof ClaimError
      ? claimIsOver(path, error, isOutcomeKnown)
      : engineFailed(path, error);
  }

  #refuseWaiting(failure: EngineError): void {
    this.#failure ??= failure;
    const waiting = this.#queue.slice(this.#queueHead);
    this.#queue = [];
    this.#queueHead = 0;
    for (const batch of waiting) {
      this.#leaveQueue(batch);
      batch.reject(failure);
    }
  }
}

function moveBytes(move: Move | undefined): number {
  return move === undefined ? 0 : recordBytesOf(move.key.length, move.value.length);
}
