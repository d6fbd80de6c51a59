/**
 * The places of the log that were damaged, and which batches may have been there.
 *
 * Numbers grow along the log, but for records that reclaim has moved. So what is lost lies between the
 * highest number that was seen before it and the first new one that is seen behind it.
 */
import type { RecordHead } from './record.ts';
import { RECORD_MANIFEST } from './record.ts';
import type { LogGap } from './repair-walk.ts';

/** A place of the log that was damaged. */
export interface LogLoss {
  readonly segment: number;
  /** Byte offset on the device. */
  readonly offset: number;
  readonly sizeBytes: number;
  /**
   * Batches with these numbers may be gone, or parts of them; records that reclaim had moved there carry
   * older ones. `lsnTo` is absent when nothing that came later is known.
   */
  readonly lsnFrom: number;
  readonly lsnTo?: number;
  /** Records that were found in it all the same. */
  readonly savedCount: number;
  /** How many were not, where that is known. */
  readonly lostCount?: number;
  readonly reason: string;
}

/** The place at which recovery stops. */
export interface LogRefusal {
  /** Byte offset on the device. */
  readonly offset: number;
  readonly reason: string;
}

/** A place at which something is lost, as whoever walks over it knows it. */
export interface SeenLoss extends Pick<LogLoss, 'segment' | 'sizeBytes' | 'savedCount' | 'reason'> {
  /** Byte offset in the segment. */
  readonly start: number;
  readonly lostCount?: number | undefined;
  /** Of the group that is damaged: it tells the numbers. */
  readonly header?: LogGap['header'];
}

/** See the file comment. Told of the log in its order. */
export class LogLosses {
  readonly #placeOf: (segment: number, offset: number) => number;
  readonly #list: LogLoss[] = [];
  /** A loss of which it is not known yet with which batch the log goes on. */
  #open: LogLoss | undefined;
  #lastLsn: number;

  /**
   * @param placeOf gives the byte offset on the device.
   * @param lastLsn the highest number of a batch in the tables.
   */
  constructor(placeOf: (segment: number, offset: number) => number, lastLsn: number) {
    this.#placeOf = placeOf;
    this.#lastLsn = lastLsn;
  }

  get list(): readonly LogLoss[] {
    return this.#list;
  }

  /** These records come next in the log: what was lost before ends below their first new number. */
  goOn(heads: readonly RecordHead[]): void {
    for (const { lsn, keyStart, keyEnd } of heads) {
      if (keyEnd > keyStart && lsn > this.#lastLsn) this.#lastLsn = lsn;
    }
    const open = this.#open;
    if (open === undefined) return;
    const later = heads.filter(({ type, lsn }) => type !== RECORD_MANIFEST && lsn >= open.lsnFrom);
    const first = later.find(({ keyEnd, keyStart }) => keyEnd > keyStart);
    if (first === undefined) return;
    this.#list[this.#list.indexOf(open)] = { ...open, lsnTo: first.lsn - 1 };
    this.#open = undefined;
  }

  add({ segment, start, sizeBytes, savedCount, lostCount, reason, header }: SeenLoss): void {
    const offset = this.#placeOf(segment, start);
    const place = { segment, offset, sizeBytes, savedCount, reason };
    const told = lostCount === undefined ? place : { ...place, lostCount };
    if (header !== undefined) {
      this.#list.push({ ...told, lsnFrom: header.firstLsn, lsnTo: header.lastLsn });
      return;
    }
    this.#open = { ...told, lsnFrom: this.#lastLsn + 1 };
    this.#list.push(this.#open);
  }
}
