/**
 * What the log does besides what it is asked: index snapshots, and emptying segments.
 *
 * Work is done in small steps that ride in the groups of the users' batches, or in groups of their own
 * when there are none. A step is prepared (read, checked, encoded) while the group before it is on its
 * way to the device.
 *
 * An index snapshot is written when the log since the last one is long, or when it holds dead bytes
 * that cannot be freed otherwise. A segment is emptied when few are free; the one with the fewest live
 * bytes first. Both end by themselves: an effort that frees nothing is not repeated before something
 * has died.
 */
import { assert } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import { segmentCapacityOf } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import { INDEX_PAGE_BYTES } from './limits.ts';
import type { FinishedSnapshot, LogWriter } from './log-writer.ts';
import type { LogSource } from './log-walk.ts';
import type { PagePlace } from './manifest.ts';
import { valueChecksums } from './record.ts';
import { Reclaimer } from './reclaimer.ts';
import type { Move } from './reclaimer.ts';
import { SnapshotWriter } from './snapshot-writer.ts';
import { neededSegments } from './space.ts';

/** What the next group may carry. */
export type Step =
  | { readonly kind: 'moves'; moves: readonly Move[] }
  | {
      readonly kind: 'page';
      /** Number of the snapshot. */
      readonly number: number;
      readonly value: Uint8Array;
      readonly checksums: readonly number[];
      readonly onDurable: (place: PagePlace) => void;
    }
  | { readonly kind: 'publish'; readonly finish: () => FinishedSnapshot }
  /** A manifest with the snapshot of before: to make durable what it remembers besides. */
  | { readonly kind: 'manifest' };

export interface MaintenanceOptions {
  readonly log: LogWriter;
  readonly catalog: Catalog;
  readonly source: LogSource;
  readonly counters: Counters;
  readonly geometry: Geometry;
}

/** Segments of log that are replayed at most, as a share of the device. */
const REPLAY_SHARE = 8;
const REPLAY_SEGMENTS_MIN = 4;
/** Less than this part of a segment is not worth an effort. */
const GAIN_MIN = 1 / 32;
/** Segments that may be emptied in a row without gaining space. */
const FRUITLESS_MAX = 3;

/** See the file comment. */
export class Maintenance {
  readonly #options: MaintenanceOptions;
  #step: Step | undefined;
  /** The kind of the step in the group that is on its way to the device. */
  #inFlight: Step['kind'] | undefined;
  #snapshot: SnapshotWriter | undefined;
  #isSnapshotWanted = false;
  #isManifestWanted = false;
  #reclaimer: Reclaimer | undefined;
  /** The most space there was since users last wrote, and how much they had written then. */
  #mostFreeBytes = 0;
  #acceptedBytes = -1;
  #fruitlessCount = 0;
  /** What had died when emptying segments turned out to gain nothing. */
  #fruitlessDiedBytes = Number.NEGATIVE_INFINITY;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** The step that is ready, if there is one. */
  get step(): Step | undefined {
    return this.#step;
  }

  /** Whether an index snapshot is being written or was asked for. */
  get isSnapshotRunning(): boolean {
    return this.#snapshot !== undefined || this.#isSnapshotWanted;
  }

  /** Asks for an index snapshot now. */
  requestSnapshot(): void {
    this.#isSnapshotWanted = true;
  }

  /** Asks for a manifest soon, with whatever it remembers then. */
  requestManifest(): void {
    this.#isManifestWanted = true;
  }

  /** The step goes into the group that is being formed; `rest` are the moves that do not fit. */
  take(rest: readonly Move[]): void {
    const step = this.#step;
    assert(step !== undefined && this.#inFlight === undefined, 'there is a step to take');
    this.#inFlight = step.kind;
    if (step.kind === 'moves' && rest.length > 0) step.moves = rest;
    else this.#step = undefined;
  }

  /** The group that carried the step is durable and in the index. */
  committed(): void {
    if (this.#inFlight === 'publish') {
      this.#snapshot = undefined;
      this.#options.counters.checkpointCount++;
    }
    this.#inFlight = undefined;
  }

  /**
   * Gets the next step ready if there is anything to do.
   *
   * @returns a promise only when the device has to be read for it; it does not reject because of
   *   damage. Must not be called again before it has resolved.
   */
  prepare(): Promise<void> | undefined {
    // Until a snapshot is published, what to do next cannot be told.
    if (this.#step !== undefined || this.#inFlight === 'publish') return undefined;
    if (this.#isManifestWanted) {
      this.#isManifestWanted = false;
      this.#step = { kind: 'manifest' };
      return undefined;
    }
    if (this.#snapshot === undefined && this.#reclaimer === undefined) this.#decide();
    if (this.#snapshot !== undefined) {
      this.#step = this.#snapshotStep(this.#snapshot);
      return undefined;
    }
    return this.#reclaimer === undefined ? undefined : this.#prepareMoves(this.#reclaimer);
  }

  async #prepareMoves(reclaimer: Reclaimer): Promise<void> {
    const moves = await reclaimer.next();
    if (moves !== undefined) {
      this.#step = { kind: 'moves', moves };
      return;
    }
    // Whether all is out of the segment shows when the last moves are in the index.
    if (this.#isMoving()) return;
    this.#finishReclaim();
    await this.prepare();
  }

  #isMoving(): boolean {
    return this.#inFlight === 'moves';
  }

  #snapshotStep(snapshot: SnapshotWriter): Step {
    const value = snapshot.nextPage();
    if (value === undefined) return { kind: 'publish', finish: () => snapshot.finish() };
    const checksums = valueChecksums(value, this.#options.log.seed);
    const onDurable = (place: PagePlace): void => {
      snapshot.addPlace(place);
    };
    return { kind: 'page', number: snapshot.number, value, checksums, onDurable };
  }

  #decide(): void {
    if (this.#isSnapshotWanted || this.#isReplayLong()) {
      this.#beginSnapshot();
      return;
    }
    if (!this.#isSpaceLow() || this.#isFruitless()) return;
    const { catalog, source, counters, geometry, log } = this.#options;
    const { segments } = catalog;
    const capacityBytes = segmentCapacityOf(geometry);
    const victim = this.#emptiest();
    const gainBytes = victim === undefined ? 0 : capacityBytes - segments.liveBytesOf(victim);
    const held = this.#heldGain();
    const isHeldWorthIt = held.totalBytes > catalog.indexBytes + capacityBytes * GAIN_MIN;
    const isHeldBetter = held.bestBytes > gainBytes && gainBytes < capacityBytes / 2;
    if ((isHeldWorthIt && isHeldBetter) || this.#isShortAtStart(held.bestBytes)) {
      this.#beginSnapshot();
    } else if (victim !== undefined && gainBytes > capacityBytes * GAIN_MIN) {
      this.#reclaimer = new Reclaimer({ source, catalog, counters, seed: log.seed }, victim);
    }
  }

  #beginSnapshot(): void {
    const { catalog, log, geometry } = this.#options;
    const pageBytes = Math.min(INDEX_PAGE_BYTES, geometry.segmentPayloadBytes / 8);
    const number = log.nextSnapshotNumber();
    this.#snapshot = new SnapshotWriter(catalog, log.position, number, pageBytes);
    this.#isSnapshotWanted = false;
  }

  #isReplayLong(): boolean {
    const { log, geometry, catalog } = this.#options;
    const segmentBytes = geometry.segmentPayloadBytes;
    const segmentCap = Math.max(
      REPLAY_SEGMENTS_MIN,
      Math.floor(geometry.segmentCount / REPLAY_SHARE),
    );
    const limitBytes = Math.min(
      Math.max(REPLAY_SEGMENTS_MIN * segmentBytes, 2 * catalog.indexBytes),
      segmentCap * segmentBytes,
    );
    const { bytes, segmentCount } = log.replayGrowth;
    return bytes > limitBytes || segmentCount > 2 * segmentCap;
  }

  #isSpaceLow(): boolean {
    const { catalog, geometry } = this.#options;
    const reserve = neededSegments('grow', catalog.indexBytes, geometry);
    const ahead = Math.max(1, geometry.segmentCount >> 6);
    return catalog.segments.availableCount < reserve + ahead;
  }

  /**
   * Whether a start finds so little space that what earlier ones left comes first. A start that is
   * cut off while it moves records leaves a segment with a few of them, which the log keeps for
   * replay; a row of those would use up all segments. One that is cut off while it writes a snapshot
   * leaves nothing, and once the snapshot is there, those segments are the first to be emptied.
   */
  #isShortAtStart(heldBytes: number): boolean {
    const { catalog, counters, geometry } = this.#options;
    if (counters.checkpointCount > 0) return false;
    const needed = neededSegments('grow', catalog.indexBytes, geometry);
    return (
      catalog.segments.availableCount < needed && heldBytes > segmentCapacityOf(geometry) * GAIN_MIN
    );
  }

  #emptiest(): number | undefined {
    const { segments } = this.#options.catalog;
    let best: number | undefined;
    let bestBytes = Number.POSITIVE_INFINITY;
    for (let segment = 0; segment < segments.count; segment++) {
      if (!segments.isClosed(segment)) continue;
      if (segments.isNeeded(segment) || segments.isDamaged(segment)) continue;
      // What is moved out of it gains no space before its quarantine ends.
      if (segments.isQuarantined(segment)) continue;
      const liveBytes = segments.liveBytesOf(segment);
      if (liveBytes >= bestBytes) continue;
      best = segment;
      bestBytes = liveBytes;
    }
    return best;
  }

  /** Dead bytes in closed segments that are kept for replay; pages of the index do not count. */
  #heldGain(): { readonly totalBytes: number; readonly bestBytes: number } {
    const { log, catalog, geometry } = this.#options;
    const { segments } = catalog;
    let totalBytes = 0;
    let bestBytes = 0;
    for (const segment of new Set(log.parts.map((part) => part.segment))) {
      if (!segments.isClosed(segment) || segments.isDamaged(segment)) continue;
      if (segments.isQuarantined(segment)) continue;
      const used = segments.liveBytesOf(segment) + segments.pageBytesOf(segment);
      const gainBytes = segmentCapacityOf(geometry) - used;
      totalBytes += Math.max(0, gainBytes);
      bestBytes = Math.max(bestBytes, gainBytes);
    }
    return { totalBytes, bestBytes };
  }

  #finishReclaim(): void {
    const { catalog } = this.#options;
    const reclaimer = this.#reclaimer;
    this.#reclaimer = undefined;
    if (reclaimer === undefined) return;
    // Live records that the walk did not hand out, or that stay because they are damaged.
    if (catalog.segments.liveBytesOf(reclaimer.segment) > 0) {
      catalog.segments.markDamaged(reclaimer.segment);
    }
    this.#judge();
  }

  /**
   * Counts segments in a row that were emptied without more space than there had been before, unless
   * users wrote meanwhile. Without it, records that fill their segments badly could be moved for ever,
   * each segment that is emptied making another like it.
   */
  #judge(): void {
    const { catalog, counters, geometry } = this.#options;
    const freeBytes = this.#freeBytes();
    if (counters.bytesAccepted !== this.#acceptedBytes) {
      this.#acceptedBytes = counters.bytesAccepted;
      this.#mostFreeBytes = freeBytes;
      this.#fruitlessCount = 0;
      return;
    }
    if (freeBytes > this.#mostFreeBytes + segmentCapacityOf(geometry) * (GAIN_MIN / 4)) {
      this.#mostFreeBytes = freeBytes;
      this.#fruitlessCount = 0;
      return;
    }
    this.#fruitlessCount++;
    if (this.#fruitlessCount < FRUITLESS_MAX) return;
    this.#fruitlessCount = 0;
    this.#fruitlessDiedBytes = catalog.diedBytes;
  }

  #isFruitless(): boolean {
    const { catalog, geometry } = this.#options;
    const diedBytes = catalog.diedBytes - this.#fruitlessDiedBytes;
    return diedBytes < geometry.segmentPayloadBytes * GAIN_MIN;
  }

  #freeBytes(): number {
    const { catalog, geometry, log } = this.#options;
    const { availableCount, retiredCount } = catalog.segments;
    return (availableCount + retiredCount) * segmentCapacityOf(geometry) + log.roomBytes;
  }
}
