/**
 * What every segment is used for, and how many live bytes are in it.
 *
 *     free -> reserved -> open -> closed -> retired -> free
 *
 * A segment holds either a piece of the log or tables. A closed one is retired when no live record or
 * table is in it and recovery does not need it any more (it is in no part that the durable manifest
 * names, and none of its tables is in the version that the durable checkpoint names). It becomes free when no reader that began
 * before its retirement is left, so that a read never meets bytes of the segment's next use.
 *
 * A *quarantined* segment is one that a process which may still live has reserved. It is read like any
 * other where it holds live records, but where it would become free it is held back, until the
 * quarantine ends. So it is never reserved, and nothing is ever written to it.
 *
 * What is written in a segment is kept in `segment-uses.ts`, and how much of it lives in `live-bytes.ts`; the
 * order of free ones in `free-segments.ts`, and readers in `retired-segments.ts`.
 */
import { assert } from '@dozo/base';
import type { SegmentRow } from './checkpoint-page.ts';
import { FreeSegments } from './free-segments.ts';
import { BLOCK_BYTES } from './limits.ts';
import { LiveBytes } from './live-bytes.ts';
import { RetiredSegments } from './retired-segments.ts';
import { SegmentUses } from './segment-uses.ts';
import type { SegmentKind } from './segment-uses.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TestSwitches } from './test-switches.ts';

const FREE = 0;
const RESERVED = 1;
const OPEN = 2;
const CLOSED = 3;
const RETIRED = 4;
/** Would be free, and is quarantined. */
const HELD_BACK = 5;

/** All segments of a device: see the file comment. */
export class SegmentTable {
  readonly count: number;
  /** Told whenever segments have become free. */
  onFree: () => void = () => undefined;
  readonly #states: Uint8Array;
  readonly #uses: SegmentUses;
  readonly #live: LiveBytes;
  readonly #damaged = new Set<number>();
  #quarantined: ReadonlySet<number> = new Set();
  /** Segments that the durable manifest needs for recovery. */
  #needed = new Set<number>();
  readonly #free = new FreeSegments();
  readonly #retired: RetiredSegments;
  #reservedCount = 0;
  readonly #freesTablesInUse: boolean;
  /** While the log is replayed, segments fill and empty without being retired. */
  #isRecovering = true;

  constructor(count: number, switches: TestSwitches = {}) {
    this.count = count;
    this.#retired = new RetiredSegments((segment) => {
      this.#makeFree(segment);
    });
    this.#freesTablesInUse = switches.freeTablesInUse === true;
    this.#states = new Uint8Array(count);
    this.#uses = new SegmentUses(count);
    // The same bytes die twice, or rot is believed: what comes of that is to be seen from outside.
    const isMiscounted =
      switches.settleTwice === true ||
      switches.dropDeletesEarly === true ||
      switches.skipReadChecks === true;
    this.#live = new LiveBytes(count, isMiscounted);
  }

  /** Segments that the log can go on in: free or reserved. */
  get availableCount(): number {
    return this.unreservedCount + this.#reservedCount;
  }

  get retiredCount(): number {
    return this.#retired.count;
  }

  /** Segments that no reservation of ours may take, whatever they hold. */
  get quarantinedCount(): number {
    return this.#quarantined.size;
  }

  /** Live bytes in quarantined segments: they take no space that anything else could have. */
  get quarantinedLiveBytes(): number {
    let bytes = 0;
    for (const segment of this.#quarantined) bytes += this.liveBytesOf(segment);
    return bytes;
  }

  /** Segments that are free and not reserved. */
  get unreservedCount(): number {
    return this.#free.count;
  }

  /** Of these, how many the device may still keep old bytes for. */
  get undiscardedCount(): number {
    return this.#free.undiscardedCount;
  }

  /** Live bytes in all segments, tables included. */
  get totalLiveBytes(): number {
    return this.#live.totalBytes;
  }

  /** Bytes of tables, those included that wait for a checkpoint to be let go. */
  get tableBytes(): number {
    return this.#live.tableBytes;
  }

  /** Dead bytes in closed segments that nothing but their live bytes keeps from being used again. */
  get reclaimableBytes(): number {
    let bytes = 0;
    for (let segment = 0; segment < this.count; segment++) {
      if (!this.mayBeEmptied(segment)) continue;
      const usedBytes = this.liveBytesOf(segment) + this.pageBytesOf(segment);
      bytes += Math.max(0, this.endOf(segment) - BLOCK_BYTES - usedBytes);
    }
    return bytes;
  }

  /**
   * What does not fit at the ends of full segments of the log, of so many bytes each, as far as that comes
   * of live records. Who moves them meets it again. A look at every segment.
   */
  packingLossBytes(segmentBytes: number): number {
    let bytes = 0;
    for (let segment = 0; segment < this.count; segment++) {
      if (this.#states[segment] !== CLOSED || this.#uses.isOfTables(segment)) continue;
      const writtenBytes = this.endOf(segment) - BLOCK_BYTES;
      const leftBytes = segmentBytes - writtenBytes;
      if (leftBytes <= 0 || leftBytes > segmentBytes / 2) continue;
      if (this.#uses.isCutShort(segment)) continue;
      bytes += (leftBytes * this.liveBytesOf(segment)) / writtenBytes;
    }
    return Math.ceil(bytes);
  }

  /** Where a use of the log lies; `undefined` when nothing of it is live any more. */
  segmentOf(ordinal: number): number | undefined {
    return this.#uses.segmentOf(ordinal);
  }

  /** Whether live bytes of a use of the log still count: it has not been retired. */
  isCounted(ordinal: number): boolean {
    const segment = this.#uses.segmentOf(ordinal);
    return segment !== undefined && this.#states[segment] !== RETIRED;
  }

  liveBytesOf(segment: number): number {
    return this.#live.of(segment);
  }

  /** Bytes of the current index snapshot in a segment. */
  pageBytesOf(segment: number): number {
    return this.#live.ofPages(segment);
  }

  seedOf(segment: number): number {
    return this.#uses.seedOf(segment);
  }

  ordinalOf(segment: number): number {
    return this.#uses.ordinalOf(segment);
  }

  /** Where the last group of a closed segment ends, as an offset in the segment. */
  endOf(segment: number): number {
    return this.#uses.endOf(segment);
  }

  isClosed(segment: number): boolean {
    return this.#states[segment] === CLOSED;
  }

  kindOf(segment: number): SegmentKind {
    return this.#uses.isOfTables(segment) ? 'tables' : 'log';
  }

  isQuarantined(segment: number): boolean {
    return this.#quarantined.has(segment);
  }

  isDamaged(segment: number): boolean {
    return this.#damaged.has(segment);
  }

  /** Whether nothing but live bytes keeps a segment that was written from being used again. */
  mayBeEmptied(segment: number): boolean {
    if (this.#states[segment] !== CLOSED || this.#needed.has(segment)) return false;
    // What is moved out of a quarantined one gains no space before its quarantine ends.
    return !this.#quarantined.has(segment) && !this.#damaged.has(segment);
  }

  isNeeded(segment: number): boolean {
    return this.#needed.has(segment);
  }

  /** Keeps a segment with damaged live records from being emptied and used again. */
  markDamaged(segment: number): void {
    this.#damaged.add(segment);
  }

  /** Rows of all segments that hold a piece of the log, for a checkpoint. */
  rows(): SegmentRow[] {
    const rows: SegmentRow[] = [];
    for (let segment = 0; segment < this.count; segment++) {
      if (this.#states[segment] !== CLOSED && this.#states[segment] !== OPEN) continue;
      if (this.#uses.isOfTables(segment)) continue;
      rows.push(this.#row(segment));
    }
    return rows;
  }

  /**
   * During recovery: a segment holds a piece of a claim's log. What an earlier use of it is said to hold
   * is gone: nobody would have used it again before all of that was dead.
   */
  restore(row: Omit<SegmentRow, 'liveBytes'>): void {
    const { segment, ordinal } = row;
    if (this.#states[segment] === CLOSED && this.#uses.ordinalOf(segment) !== ordinal) {
      this.#live.clear(segment);
      this.#uses.forgetRestored(segment);
    }
    this.#states[segment] = CLOSED;
    this.#uses.restore(row);
  }

  /** During recovery: a table of the checkpoint lies there. */
  restoreTable(table: TableMeta): void {
    this.#states[table.segment] = CLOSED;
    this.#uses.restoreTable(table);
    this.addTable(table.segment, table.sizeBytes);
  }

  /** After recovery: what holds nothing that is needed is free, unless it is quarantined. */
  finishRecovery(needed: ReadonlySet<number>, quarantined: ReadonlySet<number>): void {
    this.#isRecovering = false;
    this.#quarantined = new Set(quarantined);
    this.#needed = new Set(needed);
    this.#uses.findCutShort();
    for (let segment = 0; segment < this.count; segment++) {
      if (this.#live.of(segment) !== 0 || needed.has(segment)) {
        assert(this.#states[segment] === CLOSED, 'a live segment is not known');
      } else {
        this.#makeFree(segment);
      }
    }
  }

  /** Of the quarantined segments only these stay so; the others become free. */
  setQuarantined(quarantined: ReadonlySet<number>): void {
    const before = this.#quarantined;
    this.#quarantined = new Set([...before].filter((segment) => quarantined.has(segment)));
    for (const segment of before) {
      if (this.#quarantined.has(segment)) continue;
      if (this.#states[segment] === HELD_BACK) this.#makeFree(segment);
    }
  }

  addLive(segment: number, bytes: number): void {
    this.#live.add(segment, bytes);
  }

  /** Takes bytes away, and retires the segment with the last of them. */
  removeLive(segment: number, bytes: number): void {
    const left = this.#live.remove(segment, bytes);
    if (left === 0) this.#retireIfDead(segment);
  }

  /** A pointer into a use of the log has come. */
  addPointer(ordinal: number, bytes: number): void {
    const segment = this.#uses.segmentOf(ordinal);
    assert(segment !== undefined, 'a record lies in no known use of a segment');
    this.addLive(segment, bytes);
  }

  /** A pointer has gone, into a use that still counts. */
  removePointer(ordinal: number, bytes: number): void {
    const segment = this.#uses.segmentOf(ordinal);
    assert(segment !== undefined, 'a record lies in no known use of a segment');
    this.removeLive(segment, bytes);
  }

  /** A table has been given a place in a segment. */
  addTable(segment: number, sizeBytes: number): void {
    this.#live.addTable(segment, sizeBytes);
  }

  /** A table is needed by nobody any more, neither now nor after a crash. */
  removeTable(segment: number, sizeBytes: number): void {
    const left = this.#live.removeTable(segment, sizeBytes);
    if (left === 0) this.#retireIfDead(segment);
  }

  /** Takes up to `limit` free segments into the reservation. */
  reserve(limit: number): number[] {
    const taken = this.#free.take(limit);
    for (const segment of taken) {
      assert(this.#states[segment] === FREE, 'a segment in use would be reserved');
      assert(!this.#quarantined.has(segment), 'a quarantined segment would be reserved');
      this.#states[segment] = RESERVED;
    }
    this.#reservedCount += taken.length;
    return taken;
  }

  /**
   * Takes free segments that were not discarded into the reservation, those that come last of all: to be
   * discarded, and not for the log, so that they do not count as available.
   */
  reserveUndiscarded(limit: number): number[] {
    const taken = this.#free.takeUndiscarded(limit);
    for (const segment of taken) this.#states[segment] = RESERVED;
    return taken;
  }

  /** What was taken to be discarded is free again; the first so many of them are discarded. */
  unreserve(segments: readonly number[], discardedCount: number): void {
    for (const [index, segment] of segments.entries()) {
      assert(this.#states[segment] === RESERVED, 'only what is reserved can be given back');
      this.#states[segment] = FREE;
      if (index < discardedCount) this.#free.addDiscarded(segment);
      else this.#free.add(segment);
    }
    if (segments.length > 0) this.onFree();
  }

  /** A reserved segment becomes the open one of the log, or an open one for tables. */
  open(segment: number, ordinal: number, seed: number, kind: SegmentKind = 'log'): void {
    assert(this.#states[segment] === RESERVED, 'writing outside the reservation');
    this.#states[segment] = OPEN;
    this.#reservedCount--;
    this.#uses.begin(segment, ordinal, seed, kind);
    if (kind === 'log') this.#needed.add(segment);
  }

  /** An open segment is full up to `end`. If it is of the log, the next manifest needs it. */
  close(segment: number, end: number): void {
    assert(this.#states[segment] === OPEN, 'closing a segment that is not open');
    this.#states[segment] = CLOSED;
    this.#uses.close(segment, end);
    if (this.#uses.isOfTables(segment) && this.#live.of(segment) === 0) {
      this.#retireIfDead(segment);
    }
  }

  /** A manifest that needs only these segments is durable, and the slot points at it. */
  setNeeded(needed: ReadonlySet<number>): void {
    const before = this.#needed;
    this.#needed = new Set(needed);
    for (const segment of before) this.#retireIfDead(segment);
  }

  /** Where the pages of the newest durable index snapshot lie. */
  setPages(pages: readonly { readonly segment: number; readonly valueBytes: number }[]): void {
    this.#live.setPages(pages);
  }

  /** Test switch: makes a dead segment the next to be written although recovery needs it. */
  forgetNeeded(segment: number): void {
    this.#needed.delete(segment);
    this.#retireIfDead(segment);
    if (this.#states[segment] === FREE) this.#free.moveLastFirst(segment);
  }

  /**
   * A reader begins; nothing that is in use now is written again before it has left.
   *
   * @param isShort whether it ends by itself after a few reads of the device.
   * @param epoch what an enclosing reader got, which is still there: the new one sees what that one
   *   sees, and may outlive it. Default: now.
   */
  enter(isShort: boolean, epoch?: number): number {
    return this.#retired.enter(isShort, epoch);
  }

  /** The reader that got this number from {@link enter} has ended. */
  leave(epoch: number, isShort: boolean): void {
    this.#retired.leave(epoch, isShort);
  }

  /** See `RetiredSegments.nextRelease`. */
  nextRelease(): Promise<void> | undefined {
    return this.#retired.nextRelease();
  }

  #makeFree(segment: number): void {
    this.#uses.end(segment);
    if (this.#quarantined.has(segment)) {
      this.#states[segment] = HELD_BACK;
      return;
    }
    this.#states[segment] = FREE;
    this.#free.add(segment);
    this.onFree();
  }

  #row(segment: number): SegmentRow {
    return {
      segment,
      ordinal: this.ordinalOf(segment),
      seed: this.seedOf(segment),
      end: this.endOf(segment),
      liveBytes: this.liveBytesOf(segment),
    };
  }

  #retireIfDead(segment: number): void {
    if (this.#states[segment] !== CLOSED || this.#live.of(segment) !== 0) return;
    if (this.#isRecovering || this.#needed.has(segment)) return;
    this.#states[segment] = RETIRED;
    this.#damaged.delete(segment);
    if (this.#freesTablesInUse && this.#uses.isOfTables(segment)) {
      this.#makeFree(segment);
      return;
    }
    this.#retired.add(segment);
  }
}
