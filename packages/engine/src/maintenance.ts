/**
 * What the log does besides what it is asked: checkpoints, and emptying segments.
 *
 * Work is done in small steps that ride in the groups of the users' batches, or in groups of their own
 * when there are none. A step is prepared (read, looked up, encoded) while the group before it is on its
 * way to the device.
 *
 * A checkpoint is written after the tree has changed: it makes the log before the memtables superfluous,
 * and gives back the tables that are not part of the tree any more. A segment is emptied when few are
 * free: one of the log by moving its records, one of tables by having them copied elsewhere; the one with
 * the fewest live bytes first. If dead bytes can only be freed by a shorter replay, the memtable is flushed.
 * All of that ends by itself: an effort that frees nothing is not repeated before something has died.
 */
import { assert } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import { CheckpointWriter, checkpointPageBytesOf } from './checkpoint-writer.ts';
import type { Counters } from './counters.ts';
import { segmentCapacityOf } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import { BLOCK_BYTES } from './limits.ts';
import type { LogWriter } from './log-writer.ts';
import type { LogSource } from './log-walk.ts';
import type { PagePlace } from './manifest.ts';
import type { MaybePromise } from './maybe-promise.ts';
import type { Pace } from './pacer.ts';
import { Reclaimer } from './reclaimer.ts';
import type { Move, Moves } from './reclaimer.ts';
import { neededSegments } from './space.ts';
import type { FinishedCheckpoint } from './written-log.ts';
import type { TreeEntry } from './tree/tree-entry.ts';

/** Live records on their way. */
interface MovesStep {
  readonly kind: 'moves';
  moves: readonly Move[];
  /** See `Catalog.generation`: with another one they must be looked up again. */
  readonly generation: number;
}

/** What the next group may carry. */
export type Step =
  | MovesStep
  | {
      readonly kind: 'pages';
      /** Number of the checkpoint. */
      readonly number: number;
      readonly pages: readonly Uint8Array[];
      readonly onDurable: (places: readonly PagePlace[]) => void;
    }
  | { readonly kind: 'publish'; readonly finish: () => FinishedCheckpoint }
  /** A manifest with the checkpoint of before: to make durable what it remembers besides. */
  | { readonly kind: 'manifest' };

export interface MaintenanceOptions {
  readonly log: LogWriter;
  readonly catalog: Catalog;
  readonly source: LogSource;
  readonly counters: Counters;
  readonly geometry: Geometry;
  readonly pacer: Pace;
  /** What a key has now. */
  readonly lookUp: (name: string) => MaybePromise<TreeEntry | undefined>;
  /** The tree's own background work; it asks for checkpoints in turn. */
  readonly tree: TreeWork;
}

/** What maintenance asks of the tree. */
export interface TreeWork {
  /** Has the active memtable flushed soon. */
  requestFlush(): void;
  /** Has the tables of a segment copied elsewhere. */
  requestTableMove(segment: number): void;
  /** Has it found out soon what the entries of the active memtable hide. */
  requestSettling(): void;
  /** Whether such work is under way or waits. */
  readonly isBusy: boolean;
  /** Whether a memtable is being flushed. */
  readonly isFlushing: boolean;
  /** How many segments must be available for the compaction that is needed most; 0 when none waits. */
  readonly wantedSegmentCount: number;
}

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
  /** Moves that wait until a checkpoint has been written. */
  #movesAside: MovesStep | undefined;
  #checkpoint: CheckpointWriter | undefined;
  #isCheckpointWanted = false;
  #isManifestWanted = false;
  #reclaimer: Reclaimer | undefined;
  /** Segments that were walked to their end and still count live bytes, and `Catalog.generation` then. */
  readonly #emptied = new Map<number, number>();
  #fruitlessCount = 0;
  /** What had been written or died, and what had been moved, when that was worth the while last. */
  #moves = { causeBytes: 0, movedBytes: 0 };
  /** What had died when emptying segments turned out to gain nothing. */
  #fruitlessDiedBytes = Number.NEGATIVE_INFINITY;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Live bytes that are still in the segment that is being emptied. */
  get bytesToMove(): number {
    const segment = this.#reclaimer?.segment;
    return segment === undefined ? 0 : this.#options.catalog.segments.liveBytesOf(segment);
  }

  /** The step that is ready, if there is one. */
  get step(): Step | undefined {
    return this.#step;
  }

  /** Whether a checkpoint is being written or was asked for. */
  get isCheckpointRunning(): boolean {
    return this.#checkpoint !== undefined || this.#isCheckpointWanted;
  }

  /** Asks for a checkpoint of the tree as it is now or later. */
  requestCheckpoint(): void {
    this.#isCheckpointWanted = true;
  }

  /** Asks for a manifest soon, with whatever it remembers then. */
  requestManifest(): void {
    this.#isManifestWanted = true;
  }

  /** Lets segments be emptied once more where that seemed to be endless; false: it did not. */
  tryAgain(): boolean {
    if (!this.#isEndless()) return false;
    this.#moves = { ...this.#moves, movedBytes: this.#options.counters.bytesMoved };
    return true;
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
      this.#checkpoint = undefined;
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
    // Until a checkpoint is published, what to do next cannot be told.
    if (this.#inFlight === 'publish') return undefined;
    this.#setMovesAside();
    const step = this.#step;
    if (step !== undefined) return step.kind === 'moves' ? this.#recheck(step) : undefined;
    if (this.#isManifestWanted) {
      this.#isManifestWanted = false;
      this.#step = { kind: 'manifest' };
      return undefined;
    }
    if (this.#checkpoint === undefined && this.#isCheckpointWanted) this.#beginCheckpoint();
    if (this.#checkpoint !== undefined) {
      this.#step = this.#checkpointStep(this.#checkpoint);
      return undefined;
    }
    if (this.#movesAside !== undefined) {
      this.#step = this.#movesAside;
      this.#movesAside = undefined;
      return this.#recheck(this.#step);
    }
    if (this.#reclaimer === undefined) this.#decide();
    return this.#reclaimer === undefined ? undefined : this.#prepareMoves(this.#reclaimer);
  }

  /** A checkpoint goes first: it may free what moves are waiting for. */
  #setMovesAside(): void {
    const step = this.#step;
    if (step?.kind !== 'moves' || this.#isMoving()) return;
    if (!this.isCheckpointRunning && !this.#isManifestWanted) return;
    this.#movesAside = step;
    this.#step = undefined;
  }

  /** Looks moves up again that were looked up before entries went from one source to another. */
  #recheck(step: MovesStep): Promise<void> | undefined {
    const { catalog } = this.#options;
    const reclaimer = this.#reclaimer;
    if (step.generation === catalog.generation || this.#inFlight === 'moves') return undefined;
    assert(reclaimer !== undefined, 'moves come out of a segment');
    return reclaimer.recheck(step.moves).then((found) => {
      if (this.#step === step) this.#step = found.moves.length === 0 ? undefined : movesStep(found);
    });
  }

  async #prepareMoves(reclaimer: Reclaimer): Promise<void> {
    const found = await reclaimer.next();
    if (found !== undefined) {
      this.#step = movesStep(found);
      return;
    }
    // Whether all is out of the segment shows when the last moves are in the tree.
    if (this.#isMoving()) return;
    this.#finishReclaim();
    await this.prepare();
  }

  #isMoving(): boolean {
    return this.#inFlight === 'moves';
  }

  #checkpointStep(checkpoint: CheckpointWriter): Step {
    const pages = checkpoint.nextPages();
    if (pages.length === 0) return { kind: 'publish', finish: () => checkpoint.finish() };
    const onDurable = (places: readonly PagePlace[]): void => {
      checkpoint.addPlaces(places);
    };
    return { kind: 'pages', number: checkpoint.number, pages, onDurable };
  }

  #decide(): void {
    const { catalog, geometry, tree } = this.#options;
    // What is under way may free as much as is needed.
    if (!this.#isSpaceLow() || tree.isBusy) return;
    if (this.#isEndless()) return;
    const { segments } = catalog;
    const capacityBytes = segmentCapacityOf(geometry);
    const victim = this.#emptiest();
    const gainBytes = victim === undefined ? 0 : capacityBytes - segments.liveBytesOf(victim);
    // Whatever its records are like, a segment that is half empty is worth it.
    if (gainBytes < capacityBytes / 2 && this.#isFruitless()) return;
    const held = this.#heldGain();
    const isHeldBetter =
      !tree.isFlushing && held.bestBytes > gainBytes && gainBytes < capacityBytes / 2;
    if (held.totalBytes > capacityBytes * GAIN_MIN && isHeldBetter) {
      tree.requestFlush();
    } else if (victim !== undefined && gainBytes > capacityBytes * GAIN_MIN) {
      this.#empty(victim);
    }
  }

  #empty(segment: number): void {
    const { catalog, source, counters, log, pacer, lookUp, tree } = this.#options;
    if (catalog.segments.kindOf(segment) === 'tables') {
      tree.requestTableMove(segment);
      return;
    }
    const { seed } = log;
    this.#reclaimer = new Reclaimer({ source, catalog, counters, pacer, lookUp, seed }, segment);
  }

  #beginCheckpoint(): void {
    const { catalog, log, geometry } = this.#options;
    const pageBytes = checkpointPageBytesOf(geometry);
    const number = log.nextCheckpointNumber();
    this.#checkpoint = new CheckpointWriter(catalog, number, pageBytes, log.position);
    this.#isCheckpointWanted = false;
  }

  #isSpaceLow(): boolean {
    const { catalog, geometry, tree } = this.#options;
    const ahead = Math.max(1, geometry.segmentCount >> 6);
    const wantedCount = Math.max(neededSegments('grow') + ahead, tree.wantedSegmentCount);
    return catalog.segments.availableCount < wantedCount;
  }

  #emptiest(): number | undefined {
    const { segments, generation, version } = this.#options.catalog;
    // A segment of tables has at most so much left over where the next table does not fit.
    const tableGapBytes = version.largestTableBytes;
    const tableBytesMax = segmentCapacityOf(this.#options.geometry) - tableGapBytes;
    const mayMoveTables = segments.availableCount >= neededSegments('table-moves');
    let best: number | undefined;
    let bestBytes = Number.POSITIVE_INFINITY;
    for (let segment = 0; segment < segments.count; segment++) {
      if (!segments.mayBeEmptied(segment)) continue;
      if (this.#emptied.get(segment) === generation) continue;
      const isOfTables = segments.kindOf(segment) === 'tables';
      if (isOfTables && !mayMoveTables) continue;
      const liveBytes = segments.liveBytesOf(segment);
      if (liveBytes >= bestBytes || (isOfTables && liveBytes > tableBytesMax)) continue;
      best = segment;
      bestBytes = liveBytes;
    }
    return best;
  }

  /** Dead bytes in closed segments that are kept for replay; pages of the checkpoint do not count. */
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
    const { catalog, tree } = this.#options;
    const reclaimer = this.#reclaimer;
    this.#reclaimer = undefined;
    if (reclaimer === undefined) return;
    // What is left is damaged, or has been overwritten by entries that nobody has settled yet.
    if (catalog.segments.liveBytesOf(reclaimer.segment) > 0) {
      this.#emptied.set(reclaimer.segment, catalog.generation);
      tree.requestSettling();
    }
    this.#judge(reclaimer);
  }

  /**
   * Counts segments in a row that were emptied without certainly gaining space: what they gave back may
   * be no more than what is left over where the next large record does not fit. Without it, records that
   * fill their segments badly could be moved for ever, each segment that is emptied making another like it.
   */
  #judge({ movedBytes, recordBytesMax }: Reclaimer): void {
    const { catalog, geometry } = this.#options;
    if (segmentCapacityOf(geometry) - movedBytes > recordBytesMax + 2 * BLOCK_BYTES) {
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

  /**
   * Whether as much as the device holds was moved while next to nothing was written or died. What the moves
   * free goes into their own flushes and checkpoints then, and would for ever. What is written counts: the log
   * of short values is dead once they are in tables, and nobody tells of its death.
   */
  #isEndless(): boolean {
    const { catalog, counters, geometry } = this.#options;
    const { segmentCount, segmentPayloadBytes } = geometry;
    const causeBytes = catalog.diedBytes + counters.bytesAccepted;
    if (causeBytes - this.#moves.causeBytes >= segmentPayloadBytes * GAIN_MIN) {
      this.#moves = { causeBytes, movedBytes: counters.bytesMoved };
    }
    return counters.bytesMoved - this.#moves.movedBytes > segmentCount * segmentPayloadBytes;
  }
}

function movesStep({ moves, generation }: Moves): MovesStep {
  return { kind: 'moves', moves, generation };
}
