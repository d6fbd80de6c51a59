/**
 * Writes the log: groups into the open segment, a manifest into the first group of each, and the slot.
 *
 * The order that recovery relies on:
 * - A group is written only after the one before it was flushed.
 * - The first group of a segment carries a manifest that names where the segment before it ends. Only
 *   after it was flushed does the slot point at it and does the segment before leave the reservation.
 * - A segment that a manifest does not need any more becomes free only after a slot that points at
 *   that manifest was flushed; so either block of the slot leads to a log that is all there.
 * - Nothing is written outside the reservation that stands in the slot, and a segment of it is written
 *   only after a look at the ring, begun after that slot was durable, showed no higher claim: it is
 *   *confirmed*. So of this claim and one that excludes our reservation, at least one sees the other.
 * - The lease is asked for after a group became durable, before the log moves on: what was written by
 *   a process that had lost the device meanwhile is not acknowledged.
 * - A segment that a predecessor may still write stays quarantined until a slot that points at a
 *   manifest with the note on that predecessor was flushed.
 *
 * One caller, one operation at a time; looks at the ring go on beside them.
 */
import { assert } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import type { CheckpointPointer, Claim, ClaimChange, LogEnd } from '@dozo/claim';
import type { Catalog } from './catalog.ts';
import type { ClaimHistory, ZombieNote } from './claim-history.ts';
import type { Counters } from './counters.ts';
import type { Discarder } from './discarder.ts';
import { deviceOffset } from './geometry.ts';
import { GroupBuilder, GROUP_HEADER_BYTES, padded } from './group.ts';
import { HistoryKeeper } from './history-keeper.ts';
import { BLOCK_BYTES, GROUP_BUFFERS_MAX } from './limits.ts';
import { encodeManifest, manifestBytesOf } from './manifest.ts';
import type { LogPosition } from './log-position.ts';
import type { LogPart, Manifest, PagePlace } from './manifest.ts';
import { RECORD_MANIFEST, recordBytesOf, valueChecksums } from './record.ts';
import type { NewRecord } from './record.ts';
import type { Recovered } from './recovery.ts';
import { Reservation } from './reservation.ts';
import { encodeSegmentHeader, seedOf } from './segment-header.ts';
import type { Superblock } from './superblock.ts';
import type { TestSwitches } from './test-switches.ts';

/** A checkpoint whose pages are all durable. */
export interface FinishedCheckpoint {
  readonly number: number;
  /** Replay starts there. */
  readonly start: LogPosition;
  readonly pages: readonly PagePlace[];
}

export interface LogWriterOptions {
  readonly device: Device;
  readonly superblock: Superblock;
  readonly claim: Claim;
  readonly clock: Clock;
  readonly recovered: Recovered;
  readonly counters: Counters;
  readonly switches: TestSwitches;
}

interface OpenSegment {
  readonly segment: number;
  readonly ordinal: number;
  /** Where the part of it that the next manifest will name begins. */
  partStart: number;
  firstGroup: number;
  /** Where the next group goes. */
  offset: number;
  groupIndex: number;
}

const EMPTY = new Uint8Array(0);
const STAGING_BYTES = 1024 * 1024;

/** See the file comment. */
export class LogWriter {
  readonly seed: number;
  nextLsn: number;
  /** Bytes of groups that were appended since the engine was opened. */
  appendedBytes = 0;
  /** Told when there may be more segments for tables. */
  onSegments: () => void = () => undefined;
  readonly #options: LogWriterOptions;
  readonly #catalog: Catalog;
  readonly #builder = new GroupBuilder(STAGING_BYTES);
  #current: OpenSegment | undefined;
  /** The segment that the group under construction begins. */
  #opening: OpenSegment | undefined;
  #publishing: FinishedCheckpoint | undefined;
  #parts: LogPart[];
  #pages: readonly PagePlace[];
  #checkpoint: number;
  #lastCheckpoint: number;
  #nextOrdinal: number;
  readonly #reservation: Reservation;
  /** Segments that tables are written to. */
  #tableSegments: readonly number[] = [];
  readonly #keeper: HistoryKeeper;
  #discarder: Discarder | undefined;
  /** The group that {@link commit} has made durable and {@link advance} has not gone behind yet. */
  #durable: { readonly target: OpenSegment; readonly sizeBytes: number } | undefined;
  /** Where the newest durable manifest lies, if the slot does not say so yet. */
  #isSlotStale = false;
  #manifestPlace: CheckpointPointer | undefined;

  constructor(options: LogWriterOptions) {
    const { recovered } = options;
    this.#options = options;
    this.#catalog = recovered.catalog;
    this.seed = seedOf(options.claim.identity);
    this.nextLsn = recovered.nextLsn;
    this.#nextOrdinal = recovered.nextOrdinal;
    this.#parts = [...recovered.parts];
    this.#pages = recovered.pages;
    this.#checkpoint = recovered.checkpoint;
    this.#lastCheckpoint = recovered.lastCheckpoint;
    const { claim, switches } = options;
    const { segments } = this.#catalog;
    const onConfirmed = (): void => {
      this.onSegments();
    };
    this.#reservation = new Reservation({ claim, segments, switches, onConfirmed });
    this.#keeper = new HistoryKeeper(claim, segments, recovered.history);
  }

  /** Fences and notes, those included that are not durable yet. */
  get history(): ClaimHistory {
    return this.#keeper.current;
  }

  /** See `Claim.checkLease`: to be asked before each group is formed. */
  checkLease(): Promise<void> | undefined {
    return this.#options.claim.checkLease();
  }

  /**
   * The claim of a fence is dead, and this is what it wrote: with the next manifest the fence goes, and
   * once the slot points at that, so does the quarantine of its segments.
   */
  addNote(note: ZombieNote): void {
    this.#keeper.addNote(note);
  }

  /** See `HistoryKeeper.freeNoted`. */
  freeNoted(): void {
    this.#keeper.freeNoted();
  }

  /** How long the value of a manifest with so many pages, and the parts of now, would be in bytes. */
  manifestBytes(pageCount: number, partCount = this.parts.length): number {
    return manifestBytesOf(pageCount, partCount, this.#keeper.sizeBytes);
  }

  /** Where the log stands: every group before is durable and in the index. */
  get position(): LogPosition {
    const current = this.#current;
    assert(current !== undefined, 'the log has not been begun');
    return { ordinal: current.ordinal, offset: current.offset, groupIndex: current.groupIndex };
  }

  get pages(): readonly PagePlace[] {
    return this.#pages;
  }

  /** Number of the newest durable checkpoint, 0 for none. */
  get checkpointNumber(): number {
    return this.#checkpoint;
  }

  /** The closed parts that recovery would replay, and the part in the open segment. */
  get parts(): readonly LogPart[] {
    return this.#closedParts();
  }

  /** What recovery would have to replay, in bytes. */
  get replayBytes(): number {
    const current = this.#current;
    let bytes = current === undefined ? 0 : current.offset - current.partStart;
    for (const part of this.#parts) bytes += part.end - part.start;
    return bytes;
  }

  /** Bytes that records may take in another group of the open segment. */
  get roomBytes(): number {
    const current = this.#current;
    if (current === undefined) return 0;
    return this.#strideBytes - current.offset - GROUP_HEADER_BYTES;
  }

  /** Bytes that records may take in the first group of a new segment, its manifest set aside. */
  get freshRoomBytes(): number {
    const manifestBytes = this.manifestBytes(this.#pages.length, this.#parts.length + 1);
    return this.#strideBytes - BLOCK_BYTES - GROUP_HEADER_BYTES - recordBytesOf(0, manifestBytes);
  }

  /** Whether there is a confirmed segment that the log can go on in. */
  get hasReservedSegment(): boolean {
    return this.#reservation.hasSegment;
  }

  /** Whether a look at the ring is on its way that may confirm more segments. */
  get isConfirming(): boolean {
    return this.#reservation.confirming !== undefined;
  }

  /** Whether the slot must be written before the next group. */
  get isSlotDue(): boolean {
    return this.#isSlotStale || this.#reservation.isDue;
  }

  /** A number for a new checkpoint. */
  nextCheckpointNumber(): number {
    this.#lastCheckpoint++;
    return this.#lastCheckpoint;
  }

  /**
   * A segment of the reservation for tables; `undefined` when none is confirmed. It stays in the slot
   * until {@link closeTableSegment}.
   */
  takeTableSegment(ordinal: number): number | undefined {
    if (!this.#reservation.hasSegment) return undefined;
    const segment = this.#reservation.take();
    this.#catalog.segments.open(segment, ordinal, this.seed, 'tables');
    this.#tableSegments = [...this.#tableSegments, segment];
    return segment;
  }

  /** Nothing will be written to that segment any more, up to `end` it holds tables. */
  closeTableSegment(segment: number, end: number): void {
    this.#tableSegments = this.#tableSegments.filter((other) => other !== segment);
    this.#catalog.segments.close(segment, end);
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

  /** Begins a group in the open segment. */
  beginGroup(): void {
    this.#builder.begin();
    this.#opening = undefined;
    this.#publishing = undefined;
  }

  /** Begins a group, and with it the next segment of the reservation. */
  beginSegment(publishing?: FinishedCheckpoint): void {
    const segment = this.#reservation.take();
    this.beginGroup();
    this.#catalog.segments.open(segment, this.#nextOrdinal, this.seed);
    this.#opening = {
      segment,
      ordinal: this.#nextOrdinal,
      partStart: BLOCK_BYTES,
      firstGroup: 0,
      offset: BLOCK_BYTES,
      groupIndex: 0,
    };
    this.#nextOrdinal++;
    this.publish(publishing);
  }

  /** Adds a manifest as the group's first record, with a new checkpoint if one is given. */
  publish(finished: FinishedCheckpoint | undefined): void {
    assert(this.#builder.recordCount === 0, 'a manifest is the first record of its group');
    const value = encodeManifest(this.#manifest(finished));
    this.#keeper.wroteManifest();
    this.#publishing = finished;
    this.#manifestPlace = this.#place();
    this.#isSlotStale = true;
    const checksums = valueChecksums(value, this.seed);
    this.add({ type: RECORD_MANIFEST, key: EMPTY, value, checksums, lsn: this.nextLsn });
  }

  /** Bytes of records that the group under construction can still take. */
  get groupRoomBytes(): number {
    const target = this.#opening ?? this.#current;
    if (target === undefined || this.#builder.bufferCount >= GROUP_BUFFERS_MAX) return 0;
    return this.#strideBytes - target.offset - this.#builder.sizeBytes;
  }

  /** Bytes of the group under construction. */
  get groupBytes(): number {
    return this.#builder.sizeBytes;
  }

  get groupSegment(): number {
    const target = this.#opening ?? this.#current;
    assert(target !== undefined, 'no group is under construction');
    return target.segment;
  }

  /** Which use of its segment the group lies in. */
  get groupOrdinal(): number {
    const target = this.#opening ?? this.#current;
    assert(target !== undefined, 'no group is under construction');
    return target.ordinal;
  }

  /** Adds a record and returns its byte offset in the segment. */
  add(record: NewRecord): number {
    return this.#groupOffset() + this.#builder.add(record, this.seed);
  }

  /** Adds a record of this claim as it was once encoded. */
  addEncoded(bytes: Uint8Array, lsn: number): number {
    return this.#groupOffset() + this.#builder.addEncoded(bytes, lsn);
  }

  get recordCount(): number {
    return this.#builder.recordCount;
  }

  /**
   * Writes the group durably, and makes sure that the claim still counted then. Rejects with the
   * device's error or the claim's, after which the log must not be written any more. Then the caller
   * changes the index and calls {@link advance}, in one turn.
   */
  async commit(): Promise<void> {
    const { device, clock, counters, switches } = this.#options;
    const target = this.#opening ?? this.#current;
    assert(target !== undefined, 'no group is under construction');
    const { segment, offset, ordinal: segmentOrdinal, groupIndex: index } = target;
    const sizeBytes = padded(this.#builder.sizeBytes);
    assert(offset + sizeBytes <= this.#strideBytes, 'a group runs over its segment');
    const place = { segment, offset, segmentOrdinal, index, wallMs: clock.wallMs() };
    const group = this.#builder.finish(place, this.seed);
    const buffers = this.#opening === undefined ? group : [this.#header(this.#opening), ...group];
    const start = this.#opening === undefined ? offset : 0;
    const deviceStart = deviceOffset(this.#options.superblock.geometry, segment, start);
    const startMs = clock.monotonicMs();
    if (switches.skipFlush === true) await device.write(deviceStart, buffers);
    else await device.writeDurably(deviceStart, buffers);
    const lease = this.checkLease();
    if (lease !== undefined) await lease;
    counters.commitLatency.note(clock.monotonicMs() - startMs);
    counters.flushCount++;
    counters.commitCount++;
    counters.bytesWritten += offset - start + sizeBytes;
    this.#durable = { target, sizeBytes };
  }

  /**
   * The log goes on behind the group that was committed. Not part of {@link commit}: between its end and the
   * turn in which its caller goes on others may run, and to them the position must not name a group as
   * done that is not in the index yet.
   */
  advance(): void {
    assert(this.#durable !== undefined, 'no group has been committed');
    const { target, sizeBytes } = this.#durable;
    this.#durable = undefined;
    this.#keeper.groupIsDurable();
    if (this.#opening !== undefined) {
      const before = this.#current;
      if (before !== undefined) {
        this.#parts = this.#closedParts();
        this.#catalog.segments.close(before.segment, before.offset);
      }
      this.#current = this.#opening;
      this.#opening = undefined;
    }
    const published = this.#publishing;
    if (published !== undefined) {
      this.#parts = partsSince(this.#parts, published.start);
      this.#pages = published.pages;
      this.#checkpoint = published.number;
      if (target.ordinal === published.start.ordinal) {
        target.partStart = published.start.offset;
        target.firstGroup = published.start.groupIndex;
      }
      this.#publishing = undefined;
    }
    target.offset += sizeBytes;
    target.groupIndex++;
    this.appendedBytes += sizeBytes;
  }

  /**
   * Writes the slot: where the newest manifest lies, and a reservation that is filled up with free
   * segments when it has become short. Those are confirmed by a look at the ring that goes on beside
   * the log. Afterwards, what the manifest before needed and this one does not is free. Rejects with
   * the claim's errors.
   */
  async updateSlot(state?: 'held'): Promise<void> {
    const { claim, counters } = this.#options;
    this.#reservation.extend();
    this.#discarder?.beforeSlot();
    this.#isSlotStale = false;
    this.#keeper.beforeSlot();
    await claim.update({ ...this.#slotChange(), ...(state === undefined ? {} : { state }) });
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
    this.#keeper.beforeSlot();
    await this.#options.claim.release(this.#slotChange());
  }

  /** Resolves when the newest extension of the reservation may be used. Rejects if it may not. */
  async confirmed(): Promise<void> {
    await this.#reservation.confirming;
    this.#reservation.throwError();
  }

  /** How far the log is durable, for the note that a write or flush has failed. */
  get durableEnd(): LogEnd | undefined {
    return this.#current === undefined ? undefined : this.#logEnd(this.#current);
  }

  /** Test switch `freeBeforeManifest`: lets go of what the manifest on the device still names. */
  forgetParts(): void {
    for (const { segment } of this.#parts) this.#catalog.segments.forgetNeeded(segment);
  }

  #slotChange(): ClaimChange {
    const current = this.#current;
    const open = current === undefined ? [] : [current.segment];
    return {
      ...(this.#manifestPlace === undefined ? {} : { checkpoint: this.#manifestPlace }),
      ...(current === undefined ? {} : { logEnd: this.#logEnd(current) }),
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
    const current = this.#current;
    if (current === undefined) return;
    const { segments } = this.#catalog;
    segments.setNeeded(new Set([...this.#parts.map(({ segment }) => segment), current.segment]));
    segments.setPages(this.#pages);
    this.#catalog.checkpointIsDurable(this.#checkpoint);
    this.#keeper.slotIsDurable();
  }

  /** The manifest as of the group under construction: everything before that group is closed. */
  #manifest(finished: FinishedCheckpoint | undefined): Manifest {
    const parts = this.#closedParts();
    return {
      nextLsn: this.nextLsn,
      nextOrdinal: this.#nextOrdinal,
      checkpoint: finished?.number ?? this.#checkpoint,
      pages: finished?.pages ?? this.#pages,
      parts: finished === undefined ? parts : partsSince(parts, finished.start),
      history: this.#keeper.current,
    };
  }

  #closedParts(): LogPart[] {
    const current = this.#current;
    if (current === undefined || current.partStart === current.offset) return this.#parts.slice();
    const { segment, ordinal, partStart: start, offset: end, firstGroup } = current;
    const { identity } = this.#options.claim;
    return [...this.#parts, { segment, ordinal, identity, start, end, firstGroup }];
  }

  #header(opening: OpenSegment): Uint8Array {
    const before = this.#current;
    const previous =
      before === undefined
        ? {}
        : {
            previous: { segment: before.segment, ordinal: before.ordinal, end: before.offset },
          };
    return encodeSegmentHeader({
      deviceId: this.#options.superblock.deviceId,
      segment: opening.segment,
      ordinal: opening.ordinal,
      identity: this.#options.claim.identity,
      ...previous,
    });
  }

  #place(): CheckpointPointer {
    const target = this.#opening ?? this.#current;
    assert(target !== undefined, 'no group is under construction');
    const { segment, ordinal: segmentOrdinal, offset } = target;
    const groupOffset = deviceOffset(this.#options.superblock.geometry, segment, offset);
    return { segment, segmentOrdinal, groupOffset };
  }

  #logEnd(current: OpenSegment): LogEnd {
    const { segment, ordinal: segmentOrdinal } = current;
    const { geometry } = this.#options.superblock;
    return { segment, segmentOrdinal, offset: deviceOffset(geometry, segment, current.offset) };
  }

  #groupOffset(): number {
    const target = this.#opening ?? this.#current;
    assert(target !== undefined, 'no group is under construction');
    return target.offset;
  }

  get #strideBytes(): number {
    return this.#options.superblock.geometry.segmentStrideBytes;
  }
}

/** What of the parts lies at or after a place in the log. */
function partsSince(parts: readonly LogPart[], start: LogPosition): LogPart[] {
  const kept: LogPart[] = [];
  for (const part of parts) {
    if (part.ordinal < start.ordinal) continue;
    if (part.ordinal > start.ordinal) kept.push(part);
    else if (start.offset < part.end) {
      kept.push({ ...part, start: start.offset, firstGroup: start.groupIndex });
    }
  }
  return kept;
}
