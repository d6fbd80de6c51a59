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
 * How far the log is written is kept in `written-log.ts`; the slot is written by `slot-writer.ts`.
 *
 * One caller, one operation at a time; looks at the ring go on beside them.
 */
import { assert } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import type { CheckpointPointer, Claim, LogEnd } from '@dozo/claim';
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
import type { LogPart, PagePlace } from './manifest.ts';
import { RECORD_MANIFEST, recordBytesOf, valueChecksums } from './record.ts';
import type { NewRecord } from './record.ts';
import type { Recovered } from './recovery.ts';
import { encodeSegmentHeader, seedOf } from './segment-header.ts';
import { SlotWriter } from './slot-writer.ts';
import type { Superblock } from './superblock.ts';
import type { TestSwitches } from './test-switches.ts';
import { WrittenLog } from './written-log.ts';
import type { FinishedCheckpoint, NextInLog, OpenSegment } from './written-log.ts';

export interface LogWriterOptions {
  readonly device: Device;
  readonly superblock: Superblock;
  readonly claim: Claim;
  readonly clock: Clock;
  readonly recovered: Recovered;
  readonly counters: Counters;
  readonly switches: TestSwitches;
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
  /** The segment that the group under construction begins. */
  #opening: OpenSegment | undefined;
  #publishing: FinishedCheckpoint | undefined;
  #lastCheckpoint: number;
  #nextOrdinal: number;
  readonly #written: WrittenLog;
  readonly #slot: SlotWriter;
  readonly #keeper: HistoryKeeper;
  /** Bytes of the group that {@link commit} has made durable and {@link advance} has not gone behind yet. */
  #durableBytes: number | undefined;

  constructor(options: LogWriterOptions) {
    const { recovered } = options;
    this.#options = options;
    this.#catalog = recovered.catalog;
    this.seed = seedOf(options.claim.identity);
    this.nextLsn = recovered.nextLsn;
    this.#nextOrdinal = recovered.nextOrdinal;
    this.#lastCheckpoint = recovered.lastCheckpoint;
    const { claim, superblock, counters, switches } = options;
    const { catalog } = recovered;
    const { segments } = catalog;
    const { geometry } = superblock;
    this.#keeper = new HistoryKeeper(claim, segments, recovered.history);
    this.#written = new WrittenLog({ geometry, identity: claim.identity, segments, recovered });
    this.#slot = new SlotWriter({
      ...{ claim, catalog, counters, switches, seed: this.seed },
      log: this.#written,
      history: this.#keeper,
      onConfirmed: () => {
        this.onSegments();
      },
    });
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
    return this.#written.position;
  }

  get pages(): readonly PagePlace[] {
    return this.#written.pages;
  }

  /** Number of the newest durable checkpoint, 0 for none. */
  get checkpointNumber(): number {
    return this.#written.checkpointNumber;
  }

  /** The closed parts that recovery would replay, and the part in the open segment. */
  get parts(): readonly LogPart[] {
    return this.#written.parts;
  }

  /** What recovery would have to replay, in bytes. */
  get replayBytes(): number {
    return this.#written.replayBytes;
  }

  /** Bytes that records may take in another group of the open segment. */
  get roomBytes(): number {
    const current = this.#written.open;
    if (current === undefined) return 0;
    return this.#strideBytes - current.offset - GROUP_HEADER_BYTES;
  }

  /** Bytes that records may take in the first group of a new segment, its manifest set aside. */
  get freshRoomBytes(): number {
    const { pages, leftParts } = this.#written;
    const manifestBytes = this.manifestBytes(pages.length, leftParts.length + 1);
    return this.#strideBytes - BLOCK_BYTES - GROUP_HEADER_BYTES - recordBytesOf(0, manifestBytes);
  }

  /** A number for a new checkpoint. */
  nextCheckpointNumber(): number {
    this.#lastCheckpoint++;
    return this.#lastCheckpoint;
  }

  /** Whether there is a confirmed segment that the log can go on in. */
  get hasReservedSegment(): boolean {
    return this.#slot.hasSegment;
  }

  /** Whether a look at the ring is on its way that may confirm more segments. */
  get isConfirming(): boolean {
    return this.#slot.isConfirming;
  }

  /** Resolves when the newest extension of the reservation may be used. Rejects if it may not. */
  confirmed(): Promise<void> {
    return this.#slot.confirmed();
  }

  /** Whether the slot must be written before the next group. */
  get isSlotDue(): boolean {
    return this.#slot.isDue;
  }

  /** See `SlotWriter.update`. */
  updateSlot(state?: 'held'): Promise<void> {
    return this.#slot.update(state);
  }

  /** Gives the claim back, with the slot as it should be found. Rejects with the claim's errors. */
  release(): Promise<void> {
    return this.#slot.release();
  }

  /** See `SlotWriter.takeTableSegment`. */
  takeTableSegment(ordinal: number): number | undefined {
    return this.#slot.takeTableSegment(ordinal);
  }

  /** Nothing will be written to that segment any more, up to `end` it holds tables. */
  closeTableSegment(segment: number, end: number): void {
    this.#slot.closeTableSegment(segment, end);
  }

  /** Whether the slot should be written when there is nothing else to do. */
  get isDiscardDue(): boolean {
    return this.#slot.isDiscardDue;
  }

  /** Whether segments have been discarded that the next write of the slot gives back. */
  get isDiscardFinished(): boolean {
    return this.#slot.isDiscardFinished;
  }

  /** From now on free segments are discarded. Once, after the fence. */
  startDiscarding(discarder: Discarder): void {
    this.#slot.startDiscarding(discarder);
  }

  /** To be awaited before the slot may say that this claim writes nothing more. */
  endDiscarding(): Promise<void> {
    return this.#slot.endDiscarding();
  }

  /** Begins a group in the open segment. */
  beginGroup(): void {
    this.#builder.begin();
    this.#opening = undefined;
    this.#publishing = undefined;
  }

  /** Begins a group, and with it the next segment of the reservation. */
  beginSegment(publishing?: FinishedCheckpoint): void {
    const segment = this.#slot.take();
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
    const value = encodeManifest(this.#written.manifest(finished, this.#next()));
    this.#keeper.wroteManifest();
    this.#publishing = finished;
    this.#slot.pointAt(this.#place());
    const checksums = valueChecksums(value, this.seed);
    this.add({ type: RECORD_MANIFEST, key: EMPTY, value, checksums, lsn: this.nextLsn });
  }

  /** Bytes of records that the group under construction can still take. */
  get groupRoomBytes(): number {
    const target = this.#opening ?? this.#written.open;
    if (target === undefined || this.#builder.bufferCount >= GROUP_BUFFERS_MAX) return 0;
    return this.#strideBytes - target.offset - this.#builder.sizeBytes;
  }

  /** Bytes of the group under construction. */
  get groupBytes(): number {
    return this.#builder.sizeBytes;
  }

  get groupSegment(): number {
    const target = this.#opening ?? this.#written.open;
    assert(target !== undefined, 'no group is under construction');
    return target.segment;
  }

  /** Which use of its segment the group lies in. */
  get groupOrdinal(): number {
    const target = this.#opening ?? this.#written.open;
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
    const target = this.#opening ?? this.#written.open;
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
    this.#durableBytes = sizeBytes;
  }

  /**
   * The log goes on behind the group that was committed. Not part of {@link commit}: between its end and the
   * turn in which its caller goes on others may run, and to them the position must not name a group as
   * done that is not in the index yet.
   */
  advance(): void {
    assert(this.#durableBytes !== undefined, 'no group has been committed');
    const sizeBytes = this.#durableBytes;
    this.#durableBytes = undefined;
    this.#keeper.groupIsDurable();
    this.#written.advance(sizeBytes, this.#opening, this.#publishing);
    this.#opening = undefined;
    this.#publishing = undefined;
    this.appendedBytes += sizeBytes;
  }

  /** How far the log is durable, for the note that a write or flush has failed. */
  get durableEnd(): LogEnd | undefined {
    return this.#written.end;
  }

  /** Test switch `freeBeforeManifest`: lets go of what the manifest on the device still names. */
  forgetParts(): void {
    for (const { segment } of this.#written.leftParts) this.#catalog.segments.forgetNeeded(segment);
  }

  #next(): NextInLog {
    return {
      nextLsn: this.nextLsn,
      nextOrdinal: this.#nextOrdinal,
      history: this.#keeper.current,
    };
  }

  #header(opening: OpenSegment): Uint8Array {
    const before = this.#written.open;
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
    const target = this.#opening ?? this.#written.open;
    assert(target !== undefined, 'no group is under construction');
    const { segment, ordinal: segmentOrdinal, offset } = target;
    const groupOffset = deviceOffset(this.#options.superblock.geometry, segment, offset);
    return { segment, segmentOrdinal, groupOffset };
  }

  #groupOffset(): number {
    const target = this.#opening ?? this.#written.open;
    assert(target !== undefined, 'no group is under construction');
    return target.offset;
  }

  get #strideBytes(): number {
    return this.#options.superblock.geometry.segmentStrideBytes;
  }
}
