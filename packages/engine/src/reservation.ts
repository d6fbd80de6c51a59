/**
 * The segments that this claim may write next: what its slot reserves.
 *
 *     free -> pending (in the slot) -> confirmed (a look at the ring showed us alone) -> opened
 *
 * Only confirmed segments are ever opened. An extension is made when the confirmed ones have become
 * few, and confirmed beside the log, so that a look at the ring (it is as long as all slots together)
 * comes once for several segments of log and holds nothing up. One extension at a time.
 *
 * Half of what is free stays out of the reservation, as far as the log can go on: whoever takes over
 * from a process that is not proved dead cannot use what that has reserved.
 */
import { assert } from '@dozo/base';
import type { Claim } from '@dozo/claim';
import { RESERVATION_SEGMENTS_MIN, RESERVATION_SHARE, RESERVED_SEGMENTS_MAX } from './limits.ts';
import type { SegmentTable } from './segment-table.ts';
import type { TestSwitches } from './test-switches.ts';

export interface ReservationOptions {
  readonly claim: Pick<Claim, 'confirm'>;
  readonly segments: SegmentTable;
  readonly switches: TestSwitches;
  /** More segments may be opened. */
  readonly onConfirmed: () => void;
}

/** See the file comment. */
export class Reservation {
  readonly #options: ReservationOptions;
  #confirmed: number[] = [];
  #pending: readonly number[] = [];
  #confirming: Promise<void> | undefined;
  #error: unknown;

  constructor(options: ReservationOptions) {
    this.#options = options;
  }

  /** Whether there is a segment that may be opened. */
  get hasSegment(): boolean {
    return this.#confirmed.length > 0;
  }

  /** The look at the ring that is on its way. Never rejects. */
  get confirming(): Promise<void> | undefined {
    return this.#confirming;
  }

  /** Whether nothing may be opened, and a write of the slot would change that. */
  get isDue(): boolean {
    return !this.hasSegment && this.#confirming === undefined && this.#extensionLength() > 0;
  }

  /** What belongs into the slot, the open segment apart: in the order in which they will be opened. */
  get segments(): readonly number[] {
    return [...this.#confirmed, ...this.#pending];
  }

  /** Takes free segments if it has become short: before the slot is written. Throws the claim's errors. */
  extend(): void {
    this.throwError();
    if (this.#pending.length > 0) return;
    this.#pending = this.#options.segments.reserve(this.#extensionLength());
  }

  /** The slot with the extension is durable: looks at the ring. */
  confirm(): void {
    const extension = this.#pending;
    if (extension.length === 0 || this.#confirming !== undefined) return;
    const add = (): void => {
      this.#confirming = undefined;
      this.#pending = [];
      this.#confirmed.push(...extension);
      this.#options.onConfirmed();
    };
    if (this.#options.switches.skipReservationConfirm === true) {
      add();
      return;
    }
    this.#confirming = this.#options.claim.confirm().then(add, (error: unknown) => {
      this.#confirming = undefined;
      this.#error = error;
    });
  }

  /** Throws why the extension may not be used, if it may not. */
  throwError(): void {
    // What the claim rejects with.
    if (this.#error !== undefined) throw this.#error as Error;
  }

  /** The next segment to be opened. */
  take(): number {
    const segment = this.#confirmed.shift();
    assert(segment !== undefined, 'the reservation is used up');
    return segment;
  }

  /** How many segments the next slot would add. */
  #extensionLength(): number {
    const { count, unreservedCount } = this.#options.segments;
    const limit = reservedLengthOf(count) - 1;
    const heldCount = this.#confirmed.length;
    if (heldCount > Math.floor(limit / 2)) return 0;
    const least = heldCount === 0 ? Math.min(1, unreservedCount) : 0;
    return Math.min(limit - heldCount, Math.max(least, Math.floor(unreservedCount / 2)));
  }
}

/** How many segments the log has in the slot at most, its open one among them, on a device with so many. */
export function reservedLengthOf(segmentCount: number): number {
  const wanted = Math.max(RESERVATION_SEGMENTS_MIN, Math.floor(segmentCount / RESERVATION_SHARE));
  return Math.min(wanted, RESERVED_SEGMENTS_MAX);
}
