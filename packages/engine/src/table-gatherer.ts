/**
 * Says when tables are to be gathered, and out of which segment: see `sparse-tables.ts`.
 *
 * Only at rest, which is known from two looks in a row: little was put in the time before the last one, nor
 * since. And no more bytes are gathered than flushes and compactions have written, so that copying never
 * becomes the greater part of what is written.
 */
import type { Clock, Timer } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Counters } from './counters.ts';
import { segmentCapacityOf } from './geometry.ts';
import type { Geometry } from './geometry.ts';
import { REST_MS, REST_PUT_BYTES_MAX } from './limits.ts';
import { neededSegments } from './space.ts';
import { sparsestTableSegment } from './sparse-tables.ts';

export interface TableGathererOptions {
  readonly catalog: Catalog;
  readonly geometry: Geometry;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Some time has passed: there may be a segment now. */
  readonly onLook: () => void;
}

/** See the file comment. */
export class TableGatherer {
  readonly #options: TableGathererOptions;
  #restTimer: Timer | undefined;
  /** Little was put in the time before the last look; and since then, if that is still so. */
  #isAtRest = false;
  #putBytesAtLook = 0;
  /** `Catalog.generation` in which tables were as close together as they should be. */
  #gatheredGeneration = -1;
  /** Bytes of tables that may still be gathered. */
  #gatherBytesMax: number;

  constructor(options: TableGathererOptions) {
    this.#options = options;
    this.#gatherBytesMax = options.catalog.version.sizeBytes;
  }

  /** A flush or a compaction has written so much: as much may be gathered. */
  wrote(sizeBytes: number): void {
    this.#gatherBytesMax += sizeBytes;
  }

  /** Ends the look that is to come. */
  end(): void {
    this.#restTimer?.cancel();
  }

  /** The segment to be emptied now, of which the caller sees to it that it is. */
  next(): number | undefined {
    const { catalog, geometry } = this.#options;
    const { generation, segments } = catalog;
    if (this.#restTimer !== undefined || this.#gatheredGeneration === generation) return undefined;
    // Where room is short, maintenance says what is emptied.
    const spareCount = neededSegments('grow') + Math.ceil(geometry.segmentCount / 8);
    if (segments.availableCount <= spareCount) return undefined;
    const sparse = sparsestTableSegment(catalog, segmentCapacityOf(geometry));
    if (sparse === undefined || sparse.tableBytes > this.#gatherBytesMax) {
      this.#gatheredGeneration = generation;
      return undefined;
    }
    if (!this.#isAtRest || !this.#isLittlePut) {
      this.#watchForRest();
      return undefined;
    }
    this.#gatherBytesMax -= sparse.tableBytes;
    return sparse.segment;
  }

  #watchForRest(): void {
    const { clock, counters } = this.#options;
    this.#putBytesAtLook = counters.bytesAccepted;
    this.#restTimer = clock.startTimer(REST_MS, () => {
      this.#restTimer = undefined;
      this.#isAtRest = this.#isLittlePut;
      this.#options.onLook();
    });
  }

  get #isLittlePut(): boolean {
    return this.#options.counters.bytesAccepted - this.#putBytesAtLook <= REST_PUT_BYTES_MAX;
  }
}
