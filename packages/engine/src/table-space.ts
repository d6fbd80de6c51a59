/**
 * Gives tables a place on the device and writes them.
 *
 * Tables lie one behind the other in segments of their own, which come from the same reservation as the
 * log's: what a process writes that has lost the device lies in segments that are quarantined. A place
 * is given once; a segment is left when the next table does not fit behind the last one.
 *
 * A table is written in slices, each durable when its write returns, so that commits of the log get their
 * turn at the device in between. The lease is asked for before each.
 */
import { assert, hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import type { Claim } from '@dozo/claim';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import { EngineError } from './errors.ts';
import { deviceOffset } from './geometry.ts';
import { BLOCK_BYTES, TABLE_WRITE_BYTES } from './limits.ts';
import type { LogWriter } from './log-writer.ts';
import { encodeSegmentHeader } from './segment-header.ts';
import type { Superblock } from './superblock.ts';
import type { TestSwitches } from './test-switches.ts';
import type { TableContent, TableMeta } from './table/table-meta.ts';

export interface TableSpaceOptions {
  readonly device: Device;
  readonly superblock: Superblock;
  readonly claim: Pick<Claim, 'identity' | 'checkLease'>;
  readonly catalog: Catalog;
  readonly log: LogWriter;
  readonly counters: Counters;
  readonly switches: TestSwitches;
  /** A segment is wanted: the slot may have to be written for one. */
  readonly onWait: () => void;
  /** Throws when the engine does not serve any more. */
  readonly assertServing: () => void;
  /** A write or flush of the device failed: said before anything else, so that no commit overtakes it. */
  readonly onFailure: (error: unknown) => void;
}

interface OpenSegment {
  readonly segment: number;
  readonly ordinal: number;
  /** Where the next table goes. */
  offset: number;
  hasHeader: boolean;
  /** Tables that have a place in it and are not written yet. */
  pendingCount: number;
  isFull: boolean;
}

/** A table without a place. */
interface Request {
  readonly content: TableContent;
  readonly spareCount: number;
  readonly isPatient: boolean;
  readonly resolve: (place: Place) => void;
  readonly reject: (error: unknown) => void;
}

/** A place that a table has been given. */
interface Place {
  readonly target: OpenSegment;
  readonly offset: number;
}

/** See the file comment. */
export class TableSpace {
  readonly #options: TableSpaceOptions;
  #open: OpenSegment | undefined;
  /** Tables that wait for a segment; those that are patient first. At most one for each line of work. */
  #requests: Request[] = [];
  #isLooking = false;
  /** Who wants to know when a table begins to wait. */
  readonly #watchers = new Set<() => void>();

  constructor(options: TableSpaceOptions) {
    this.#options = options;
  }

  /**
   * Writes a table and resolves with its place when it is durable.
   *
   * @param spareCount segments that must stay available when one is opened for it.
   * @param isPatient whether it waits for a segment whatever happens; else it rejects with `DEVICE_FULL`
   *   after {@link giveUp}.
   */
  async write(
    bytes: Uint8Array,
    content: TableContent,
    spareCount: number,
    isPatient: boolean,
  ): Promise<TableMeta> {
    assert(bytes.length === content.sizeBytes, 'a table is as long as it says');
    const { target, offset } = await new Promise<Place>((resolve, reject) => {
      const request = { content, spareCount, isPatient, resolve, reject };
      if (isPatient) this.#requests.unshift(request);
      else this.#requests.push(request);
      this.look();
      if (!this.#requests.includes(request)) return;
      this.#options.onWait();
    });
    const { segment, ordinal } = target;
    await this.#writeSlices(target, offset, bytes);
    target.pendingCount--;
    this.#closeIfDone(target);
    return { ...content, segment, ordinal, offset };
  }

  /** Segments have become free or confirmed, or the engine ends: gives places as far as there are any. */
  look(): void {
    // A segment that is left for the next may be free at once, which comes here while a table is given its place.
    if (this.#isLooking) return;
    this.#isLooking = true;
    let request = this.#requests[0];
    while (request !== undefined) {
      try {
        this.#options.assertServing();
        const place = this.#place(request);
        if (place === undefined) break;
        request.resolve(place);
      } catch (error) {
        request.reject(error);
      }
      this.#requests.shift();
      request = this.#requests[0];
    }
    this.#isLooking = false;
    if (request === undefined) return;
    // What was there when it came may have gone to others.
    this.#tellIfWaiting();
    // The slot may have to be written before there are more.
    this.#options.onWait();
  }

  /** Ends the waits of tables that are not patient. Returns whether there were any. */
  giveUp(): boolean {
    const given = this.#requests.filter(({ isPatient }) => !isPatient);
    this.#requests = this.#requests.filter(({ isPatient }) => isPatient);
    const { path } = this.#options.device;
    for (const { reject } of given) {
      reject(
        new EngineError(`Writing a table to ${path}: no segment is free for it.`, {
          code: 'DEVICE_FULL',
          path,
          neededBytes: 1,
          availableBytes: 0,
        }),
      );
    }
    return given.length > 0;
  }

  /** Whether a table waits for a segment that only others can free. */
  get isWaiting(): boolean {
    const first = this.#requests[0];
    const { segments } = this.#options.catalog;
    return first !== undefined && segments.availableCount <= first.spareCount;
  }

  /** Tables without a place; a line of work has at most one, and goes on without it for no longer than one table. */
  get waitingCount(): number {
    return this.#requests.length;
  }

  /** Resolves when some work has ended, or when a table has to wait for others to free a segment. */
  async endOrWaiting(work: Promise<void>): Promise<void> {
    if (this.isWaiting) return;
    let tell: () => void = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        tell = resolve;
        this.#watchers.add(tell);
        work.then(resolve, reject);
      });
    } finally {
      this.#watchers.delete(tell);
    }
  }

  #tellIfWaiting(): void {
    if (this.isWaiting) for (const tell of this.#watchers) tell();
  }

  /** A place for a table; `undefined` when there is no segment for it now. */
  #place({ content, spareCount }: Request): Place | undefined {
    const { superblock, catalog, log } = this.#options;
    const { sizeBytes, number: ordinal } = content;
    const before = this.#open;
    const hasRoom =
      before !== undefined && before.offset + sizeBytes <= superblock.geometry.segmentStrideBytes;
    if (!hasRoom) {
      if (catalog.segments.availableCount <= spareCount) return undefined;
      const segment = log.takeTableSegment(ordinal);
      if (segment === undefined) return undefined;
      const offset = BLOCK_BYTES;
      this.#open = { segment, ordinal, offset, hasHeader: false, pendingCount: 0, isFull: false };
      if (before !== undefined) {
        before.isFull = true;
        this.#closeIfDone(before);
      }
    }
    const target = this.#open;
    assert(target !== undefined, 'a segment for tables is open');
    const { offset } = target;
    target.offset += sizeBytes;
    target.pendingCount++;
    catalog.segments.addTable(target.segment, sizeBytes);
    return { target, offset };
  }

  /** A segment leaves the slot when no write to it can be on its way any more. */
  #closeIfDone(target: OpenSegment): void {
    if (!target.isFull || target.pendingCount > 0) return;
    this.#options.log.closeTableSegment(target.segment, target.offset);
  }

  async #writeSlices(target: OpenSegment, offset: number, bytes: Uint8Array): Promise<void> {
    const { superblock, claim, counters, assertServing } = this.#options;
    const { geometry } = superblock;
    for (let at = 0; at < bytes.length; at += TABLE_WRITE_BYTES) {
      const lease = claim.checkLease();
      if (lease !== undefined) await lease;
      assertServing();
      const slice = bytes.subarray(at, at + TABLE_WRITE_BYTES);
      if (offset + at === BLOCK_BYTES && !target.hasHeader) {
        target.hasHeader = true;
        const start = deviceOffset(geometry, target.segment, 0);
        await this.#write(start, [this.#header(target), slice]);
        counters.bytesWritten += BLOCK_BYTES;
      } else {
        await this.#write(deviceOffset(geometry, target.segment, offset + at), [slice]);
      }
      counters.flushCount++;
      counters.bytesWritten += slice.length;
    }
  }

  #write(start: number, buffers: readonly Uint8Array[]): Promise<void> {
    const { device, switches, onFailure } = this.#options;
    const isDurable = switches.publishBeforeTablesFlushed !== true;
    const write = isDurable ? device.writeDurably(start, buffers) : device.write(start, buffers);
    // Before whoever waits for the write hears of it.
    write.catch((error: unknown) => {
      if (hasCode(error, 'DEVICE_WRITE_FAILED', 'DEVICE_FLUSH_FAILED')) onFailure(error);
    });
    return write;
  }

  #header({ segment, ordinal }: OpenSegment): Uint8Array {
    const { superblock, claim } = this.#options;
    const { deviceId } = superblock;
    return encodeSegmentHeader({ deviceId, segment, ordinal, identity: claim.identity }, 'tables');
  }
}
