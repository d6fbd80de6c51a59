/**
 * The open end of a log: how far it goes in its last segments, where nothing durable says so.
 *
 * Only the very last group can be torn, because each was flushed before the next was begun. So an
 * unreadable place is the end of the log only if no later group, no later segment and no note in the slot
 * shows that the log went on; otherwise it is damage. A group whose heads are intact is taken even then:
 * reading the damaged value will say so. A place that seemed torn and is followed by a later group is
 * read once more: its writer may not be dead, and the later one was begun only after the earlier had
 * become durable.
 */
import { equalBytes } from '@dozo/base';
import type { Slot } from '@dozo/claim';
import { BLOCK_BYTES } from './limits.ts';
import { areValuesIntact } from './log-walk.ts';
import type { GroupPlace, LogSource, SegmentUse, WalkedGroup } from './log-walk.ts';
import { decodeSegmentHeader } from './segment-header.ts';
import type { SegmentHeader } from './segment-header.ts';
import type { TestSwitches } from './test-switches.ts';
import { readUnlessBroken } from './verify-values.ts';

/** What is known of where a segment ends. */
export interface TailBounds {
  readonly stop: number;
  /** Whether it goes up to there for certain. */
  readonly isSealed: boolean;
}

export interface LogTailOptions {
  readonly source: LogSource;
  readonly deviceId: Uint8Array;
  /** The claim whose log it is. */
  readonly slot: Slot;
  readonly switches: TestSwitches;
}

/** See the file comment. Everything rejects with the device's read errors. */
export class LogTail {
  readonly #source: LogSource;
  readonly #deviceId: Uint8Array;
  readonly #slot: Slot;
  readonly #switches: TestSwitches;

  constructor({ source, deviceId, slot, switches }: LogTailOptions) {
    this.#source = source;
    this.#deviceId = deviceId;
    this.#slot = slot;
    this.#switches = switches;
  }

  /**
   * Walks a segment from a group on, as far as the log goes in it, and resolves with its end. Rejects with
   * `DEVICE_CORRUPT`.
   */
  async walk(
    use: SegmentUse,
    from: GroupPlace,
    { stop, isSealed }: TailBounds,
    take: (group: WalkedGroup) => void,
  ): Promise<number> {
    const flushedEnd = this.#flushedEndOf(use);
    let next = from;
    let isFirstForced = false;
    let rereadOffset = -1;
    for (;;) {
      const range = { start: next.offset, end: stop, firstGroup: next.groupIndex };
      const refused = { headsIntact: false };
      next = await this.#source.walk(use, range, (group) => {
        refused.headsIntact = group.heads !== undefined;
        const isFlushed = isSealed || isFirstForced || group.header.offset < flushedEnd;
        const isTrusted = isFlushed || this.#switches.skipTailValues === true;
        isFirstForced = false;
        const isTaken = refused.headsIntact && (isTrusted || areValuesIntact(group, use.seed));
        if (isTaken) {
          take(group);
          refused.headsIntact = false;
        }
        return isTaken;
      });
      if (isSealed ? next.offset === stop : !(await this.#goesOn(use, next))) break;
      if (next.offset > rereadOffset) {
        // It may have been on its way when it was read, from a writer that is not dead.
        rereadOffset = next.offset;
        continue;
      }
      // The place had been flushed. Where its heads are intact, only values are damaged: go on.
      if (!refused.headsIntact) {
        const reason = 'a group in the middle of the log is damaged';
        throw this.#source.corrupt(use.segment, next.offset, reason);
      }
      isFirstForced = true;
    }
    if (next.offset >= flushedEnd) return next.offset;
    throw this.#source.corrupt(use.segment, next.offset, 'the end of the log is damaged');
  }

  /** The segment that the claim went on in after `use`, if it had begun one. Rejects with `DEVICE_CORRUPT`. */
  async findNext(use: SegmentUse): Promise<SegmentHeader | undefined> {
    const ordinal = use.ordinal + 1;
    for (const segment of this.#slot.reservation) {
      if (segment === use.segment || segment >= this.#source.geometry.segmentCount) continue;
      const block = await readUnlessBroken(() => this.#source.read(segment, 0, BLOCK_BYTES));
      const header = block && this.#headerIn(block, segment, ordinal);
      if (header?.previous?.segment === use.segment) return header;
      if (header !== undefined) continue;
      const begun = { segment, ordinal, seed: use.seed };
      if (!(await this.#isBegun(begun, block))) continue;
      // Once more: it may have been on its way when it was read.
      const again = await this.headerOf(segment, ordinal);
      if (again?.previous?.segment === use.segment) return again;
      throw this.#source.corrupt(segment, 0, 'the header of a segment of the log is damaged');
    }
    return undefined;
  }

  /** The header of a segment if it is that of this use by the claim. */
  async headerOf(segment: number, ordinal: number): Promise<SegmentHeader | undefined> {
    return this.#headerIn(await this.#source.read(segment, 0, BLOCK_BYTES), segment, ordinal);
  }

  #headerIn(block: Uint8Array, segment: number, ordinal: number): SegmentHeader | undefined {
    const header = decodeSegmentHeader(block);
    const isOurs =
      header?.ordinal === ordinal &&
      header.segment === segment &&
      equalBytes(header.deviceId, this.#deviceId) &&
      equalBytes(header.identity.nonce, this.#slot.identity.nonce);
    return isOurs ? header : undefined;
  }

  /** Where a segment ends because what lies beyond was never flushed with success. */
  limitOf(use: SegmentUse): number | undefined {
    const { failedFlush, logEnd } = this.#slot;
    if (failedFlush === undefined || logEnd?.segmentOrdinal !== use.ordinal) return undefined;
    return this.#flushedEndOf(use);
  }

  /** Up to which offset in the segment the slot says that the log had been flushed; 0: nothing. */
  #flushedEndOf(use: SegmentUse): number {
    const { logEnd } = this.#slot;
    if (logEnd?.segmentOrdinal !== use.ordinal) return 0;
    return logEnd.offset - this.#source.place(use.segment, 0);
  }

  /**
   * Whether a use was begun whose header is not there. Header and first group are one write: where one of
   * them cannot be read the other one tells, and where neither can nobody knows.
   *
   * @param block the first of the segment; undefined when the device cannot read it.
   */
  async #isBegun(begun: SegmentUse, block: Uint8Array | undefined): Promise<boolean> {
    const first = await readUnlessBroken(async () => ({
      groupIndex: await this.#source.peekGroupIndex(begun, BLOCK_BYTES),
    }));
    if (first === undefined) {
      if (block !== undefined && isOfOtherUse(block)) return false;
      const reason = 'the beginning of a segment that the log may have gone on in cannot be read';
      throw this.#source.corrupt(begun.segment, 0, reason);
    }
    if (first.groupIndex === undefined) return false;
    // A segment that holds more than its first group had been flushed; what is torn can be read.
    return block === undefined || this.#source.findLaterGroup(begun, BLOCK_BYTES, 1);
  }

  #goesOn(use: SegmentUse, at: GroupPlace): Promise<boolean> {
    return this.#source.findLaterGroup(use, at.offset + BLOCK_BYTES, at.groupIndex + 1);
  }
}

/** Whether the first block of a segment is that of an earlier use, or that of none, and not damaged. */
function isOfOtherUse(block: Uint8Array): boolean {
  const header = decodeSegmentHeader(block) ?? decodeSegmentHeader(block, 'tables');
  return header !== undefined || block.every((byte) => byte === 0);
}
