/**
 * Writes the slot of this claim: where the newest manifest lies, how far the log is durable, and which segments
 * nobody else may write. These are the open one of the log, those that tables are written to, those that the
 * log or tables may go on in (`reservation.ts`), and those that are being discarded.
 *
 * Of the order that recovery relies on, see `log-writer.ts`, this is one half: whatever may be written only
 * after a slot was flushed, or becomes free only then, does so at the end of {@link SlotWriter.update}.
 */
import type { CheckpointPointer, Claim, ClaimChange } from '@dozo/claim';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import type { Discarder } from './discarder.ts';
import type { HistoryKeeper } from './history-keeper.ts';
import { BLOCK_BYTES } from './limits.ts';
import { Reservation } from './reservation.ts';
import type { TestSwitches } from './test-switches.ts';
import type { WrittenLog } from './written-log.ts';

export interface SlotWriterOptions {
  readonly claim: Claim;
  readonly catalog: Catalog;
  readonly counters: Counters;
  readonly switches: TestSwitches;
  readonly log: WrittenLog;
  readonly history: HistoryKeeper;
  /** The seed of the claim's checksums. */
  readonly seed: number;
  /** More segments may be opened. */
  readonly onConfirmed: () => void;
}

/** See the file comment. One operation at a time. */
export class SlotWriter {
  readonly #options: SlotWriterOptions;
  readonly #reservation: Reservation;
  /** Segments that tables are written to. */
  #tableSegments: readonly number[] = [];
  #discarder: Discarder | undefined;
  /** Where the newest durable manifest lies, if the slot does not say so yet. */
  #isStale = false;
  #manifestPlace: CheckpointPointer | undefined;

  constructor(options: SlotWriterOptions) {
    this.#options = options;
    const { claim, switches, onConfirmed } = options;
    const { segments } = options.catalog;
    this.#reservation = new Reservation({ claim, segments, switches, onConfirmed });
  }

  /** Whether there is a confirmed segment that the log can go on in. */
  get hasSegment(): boolean {
    return this.#reservation.hasSegment;
  }

  /** Whether a look at the ring is on its way that may confirm more segments. */
  get isConfirming(): boolean {
    return this.#reservation.confirming !== undefined;
  }

  /** Whether the slot must be written before the next group. */
  get isDue(): boolean {
    return this.#isStale || this.#reservation.isDue;
  }

  /** The group under construction carries a manifest, which the next slot is to point at. */
  pointAt(manifest: CheckpointPointer): void {
    this.#manifestPlace = manifest;
    this.#isStale = true;
  }

  /** Takes the confirmed segment that the log goes on in. */
  take(): number {
    return this.#reservation.take();
  }

  /**
   * A segment of the reservation for tables; `undefined` when none is confirmed. It stays in the slot
   * until {@link closeTableSegment}.
   */
  takeTableSegment(ordinal: number): number | undefined {
    if (!this.#reservation.hasSegment) return undefined;
    const segment = this.#reservation.take();
    this.#options.catalog.segments.open(segment, ordinal, this.#options.seed, 'tables');
    this.#tableSegments = [...this.#tableSegments, segment];
    return segment;
  }

  /** Nothing will be written to that segment any more, up to `end` it holds tables. */
  closeTableSegment(segment: number, end: number): void {
    this.#tableSegments = this.#tableSegments.filter((other) => other !== segment);
    this.#options.catalog.segments.close(segment, end);
  }

  /** Whether the slot should be written when there is nothing else to do. */
  get isDiscardDue(): boolean {
    return this.#discarder?.isDue ?? false;
  }

  /** Whether segments have been discarded that the next write of the slot gives back. */
  get isDiscardFinished(): boolean {
    return this.#discarder?.isFinished ?? false;
  }

  /** From now on free segments are discarded. Once, after the fence. */
  startDiscarding(discarder: Discarder): void {
    this.#discarder = discarder;
  }

  /** To be awaited before the slot may say that this claim writes nothing more. */
  async endDiscarding(): Promise<void> {
    await this.#discarder?.end();
  }

  /**
   * Writes the slot: where the newest manifest lies, and a reservation that is filled up with free
   * segments when it has become short. Those are confirmed by a look at the ring that goes on beside
   * the log. Afterwards, what the manifest before needed and this one does not is free. Rejects with
   * the claim's errors.
   */
  async update(state?: 'held'): Promise<void> {
    const { claim, counters, history } = this.#options;
    this.#reservation.extend();
    this.#discarder?.beforeSlot();
    this.#isStale = false;
    history.beforeSlot();
    await claim.update({ ...this.#change(), ...(state === undefined ? {} : { state }) });
    counters.flushCount++;
    counters.bytesWritten += BLOCK_BYTES;
    this.#letGo();
    this.#reservation.confirm();
    this.#discarder?.slotIsDurable();
  }

  /** Gives the claim back, with the slot as it should be found. Rejects with the claim's errors. */
  async release(): Promise<void> {
    await this.#reservation.confirming;
    await this.endDiscarding();
    this.#discarder?.beforeSlot();
    this.#options.history.beforeSlot();
    await this.#options.claim.release(this.#change());
  }

  /** Resolves when the newest extension of the reservation may be used. Rejects if it may not. */
  async confirmed(): Promise<void> {
    await this.#reservation.confirming;
    this.#reservation.throwError();
  }

  #change(): ClaimChange {
    const { open: current, end } = this.#options.log;
    const open = current === undefined ? [] : [current.segment];
    return {
      ...(this.#manifestPlace === undefined ? {} : { checkpoint: this.#manifestPlace }),
      ...(end === undefined ? {} : { logEnd: end }),
      reservation: [
        ...open,
        ...this.#tableSegments,
        ...this.#reservation.segments,
        ...(this.#discarder?.segments ?? []),
      ],
    };
  }

  /** The slot is durable: what only its older block needs is free. */
  #letGo(): void {
    const { catalog, log, history } = this.#options;
    if (log.open === undefined) return;
    const { segments } = catalog;
    const left = log.leftParts.map(({ segment }) => segment);
    segments.setNeeded(new Set([...left, log.open.segment]));
    segments.setPages(log.pages);
    catalog.checkpointIsDurable(log.checkpointNumber);
    history.slotIsDurable();
  }
}
