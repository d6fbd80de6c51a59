/**
 * Tells the device which segments hold nothing any more, so that a thin volume or an SSD can use their
 * blocks for something else.
 *
 * A discard destroys as a write does, so the same rule holds for it: only a segment that our slot reserves,
 * and of which a look at the ring, begun after that slot was durable, showed no higher claim. A process that
 * has lost the device and does not know it can then discard only what its successor keeps away from.
 *
 *     free -> taken (in the slot) -> confirmed -> discarded -> out of the slot -> free, and discarded
 *
 * So a few free segments stand in the reservation besides those that the log will write, while far more
 * are left free: one batch at a time, and one batch in each beat interval. They go into the slot and out of
 * it with the writes of the slot that the log makes anyway; when the log has nothing to do, the discarder
 * asks for one. Nothing ever waits for it but the end of the claim: whoever says `released` or `stopped`
 * says that nothing more will be destroyed. A device that hangs in a discard keeps fewer segments from the
 * log than its reserve has, or a small part of what was free.
 *
 * What was discarded is remembered until it is written again, in memory: a start discards what is free once
 * more. The segments that the log takes next are left alone, and it takes discarded ones last. Both
 * spare the device work for nothing.
 */
import { DozoError, assert } from '@dozo/base';
import type { Clock, Device, Timer } from '@dozo/base';
import type { Claim } from '@dozo/claim';
import type { Counters } from './counters.ts';
import { deviceOffset } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import {
  DISCARD_FREE_MIN,
  DISCARD_FREE_SHARE,
  DISCARD_SEGMENTS_MAX,
  DISCARD_SEGMENTS_MIN,
  DISCARD_SHARE,
  RESERVATION_SEGMENTS_MIN,
  RESERVATION_SHARE,
} from './limits.ts';
import type { SegmentTable } from './segment-table.ts';
import type { TestSwitches } from './test-switches.ts';

export interface DiscarderOptions {
  readonly device: Pick<Device, 'discard'>;
  readonly geometry: Geometry;
  readonly claim: Pick<Claim, 'confirm' | 'checkLease' | 'settings'>;
  readonly clock: Clock;
  readonly segments: SegmentTable;
  readonly counters: Counters;
  readonly switches: TestSwitches;
  /** The slot should be written when there is nothing else to do, or when segments are wanted. */
  readonly onDue: () => void;
}

interface Batch {
  readonly segments: readonly number[];
  /** How many of them, from the first on, the device has discarded. */
  discardedCount: number;
  phase: 'taken' | 'working' | 'done';
}

/** See the file comment. */
export class Discarder {
  readonly #options: DiscarderOptions;
  readonly #batchLength: number;
  /** Undiscarded segments that are left to the log. */
  readonly #leftCount: number;
  #batch: Batch | undefined;
  /** No longer in the slot that is being written. */
  #leaving: Batch | undefined;
  #working: Promise<void> = Promise.resolve();
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  /** The device does not discard, the claim is over, or the engine ends. */
  #isOver = false;

  constructor(options: DiscarderOptions) {
    this.#options = options;
    const { count } = options.segments;
    this.#batchLength = discardLengthOf(count);
    this.#leftCount = Math.max(RESERVATION_SEGMENTS_MIN, Math.floor(count / RESERVATION_SHARE));
  }

  /** What belongs into the slot besides what the log has reserved. */
  get segments(): readonly number[] {
    if (this.#options.switches.discardUnreserved === true) return [];
    return this.#batch?.segments ?? [];
  }

  /** Whether the slot should be written when there is nothing else to do. */
  get isDue(): boolean {
    if (this.#batch?.phase === 'taken' || this.#batch?.phase === 'working') return false;
    if (this.#options.clock.monotonicMs() < this.#notBeforeMs) return false;
    return this.#batch !== undefined || this.#nextLength() > 0;
  }

  /** Whether a write of the slot would give back what has been discarded, however soon after the last. */
  get isFinished(): boolean {
    return this.#batch?.phase === 'done';
  }

  /** The slot is about to be written: takes out what is done, and puts in what comes next. */
  beforeSlot(): void {
    if (this.#batch?.phase === 'done') {
      assert(this.#leaving === undefined, 'the slot is written once at a time');
      this.#leaving = this.#batch;
      this.#batch = undefined;
    }
    const length = this.#batch === undefined ? this.#nextLength() : 0;
    if (length === 0) return;
    const segments = this.#options.segments.reserveUndiscarded(length);
    this.#batch = { segments, discardedCount: 0, phase: 'taken' };
  }

  /** The slot is durable: what it does not name any more is free, what it names anew is worked on. */
  slotIsDurable(): void {
    const left = this.#leaving;
    this.#leaving = undefined;
    if (left !== undefined) this.#options.segments.unreserve(left.segments, left.discardedCount);
    const batch = this.#batch;
    if (batch?.phase !== 'taken') return;
    batch.phase = 'working';
    this.#working = this.#work(batch);
  }

  /** Resolves when nothing is being discarded any more, and nothing will be. Does not reject. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#timer?.cancel();
    await this.#working;
  }

  /** How many segments may be taken now: enough is free, and the last batch was long enough ago. */
  #nextLength(): number {
    if (this.#isOver || this.#options.clock.monotonicMs() < this.#notBeforeMs) return 0;
    const { unreservedCount, undiscardedCount } = this.#options.segments;
    if (unreservedCount < DISCARD_FREE_MIN) return 0;
    const share = Math.max(DISCARD_SEGMENTS_MIN, Math.floor(unreservedCount / DISCARD_FREE_SHARE));
    const length = Math.min(this.#batchLength, share, undiscardedCount - this.#leftCount);
    return length < DISCARD_SEGMENTS_MIN ? 0 : length;
  }

  async #work(batch: Batch): Promise<void> {
    try {
      if (this.#options.switches.discardUnreserved !== true) await this.#options.claim.confirm();
      for (const segment of batch.segments) {
        const lease = this.#options.claim.checkLease();
        if (lease !== undefined) await lease;
        if (this.#isOver || !(await this.#discard(segment))) break;
        batch.discardedCount++;
      }
    } catch (error) {
      // A claim that is over has told the engine itself, and a discard is a hint.
      this.#isOver = true;
      if (!(error instanceof DozoError)) throw error;
    } finally {
      batch.phase = 'done';
      this.#rest();
    }
  }

  async #discard(segment: number): Promise<boolean> {
    const { device, geometry, counters } = this.#options;
    const { segmentStrideBytes: sizeBytes } = geometry;
    const isDone = await device.discard(deviceOffset(geometry, segment, 0), sizeBytes);
    if (isDone) counters.bytesDiscarded += sizeBytes;
    else this.#isOver = true;
    return isDone;
  }

  /** A batch costs a look at the ring, as a beat does: at most one for one. */
  #rest(): void {
    const { clock, claim, onDue } = this.#options;
    const { beatIntervalMs } = claim.settings;
    this.#notBeforeMs = clock.monotonicMs() + beatIntervalMs;
    if (this.#isOver) return;
    this.#timer = clock.startTimer(beatIntervalMs, onDue);
    // Somebody may be waiting for just these segments.
    onDue();
  }
}

/**
 * How many segments are discarded at once, at most, on a device with so many. The slot has room for them
 * beside what the log and tables have there: see `RESERVED_SEGMENTS_MAX`.
 */
export function discardLengthOf(segmentCount: number): number {
  const wanted = Math.max(DISCARD_SEGMENTS_MIN, Math.floor(segmentCount / DISCARD_SHARE));
  return Math.min(wanted, DISCARD_SEGMENTS_MAX);
}
