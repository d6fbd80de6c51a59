/**
 * Whether there is room for a group: in the open segment, or in the next one.
 *
 * How many segments must be left for whom is said in `space.ts`. A segment that is being emptied comes back
 * at once if all that is left of it fits: then moves may take more than they may otherwise.
 */
import type { Catalog } from './catalog.ts';
import { BLOCK_BYTES } from './limits.ts';
import type { LogWriter } from './log-writer.ts';
import type { Maintenance } from './maintenance.ts';
import { neededSegments } from './space.ts';
import type { SpaceClass } from './space.ts';

export interface GroupRoomOptions {
  readonly log: LogWriter;
  readonly catalog: Catalog;
  readonly maintenance: Maintenance;
}

/** See the file comment. */
export class GroupRoom {
  readonly #options: GroupRoomOptions;

  constructor(options: GroupRoomOptions) {
    this.#options = options;
  }

  /** Whether a group with so much may be begun, in the open segment or the next. */
  hasRoomFor(bytes: number, spaceClass: SpaceClass): boolean {
    const { log } = this.#options;
    if (bytes <= log.roomBytes) return this.mayWrite(spaceClass);
    return log.hasReservedSegment && this.#mayOpen(spaceClass);
  }

  /** Whether a class may use room in the open segment, which checkpoints may be in need of. */
  mayWrite(spaceClass: SpaceClass): boolean {
    const { availableCount } = this.#options.catalog.segments;
    // It takes none of those that are available, and may well give some back.
    if (spaceClass === 'checkpoint') return true;
    if (spaceClass !== 'moves') return availableCount >= neededSegments(spaceClass) - 1;
    return (
      availableCount >= neededSegments('moves') || this.#isEmptiedWith(this.#options.log.roomBytes)
    );
  }

  /** Whether a class may open another segment. */
  #mayOpen(spaceClass: SpaceClass): boolean {
    const { availableCount } = this.#options.catalog.segments;
    if (spaceClass !== 'moves') return availableCount >= neededSegments(spaceClass);
    // The one that is emptied comes back at once if all that is left of it fits.
    const isGain = this.#isEmptiedWith(this.#options.log.freshRoomBytes);
    return availableCount >= neededSegments(isGain ? 'moves' : 'table-moves');
  }

  /** Whether the segment that is being emptied is empty after moves of so many bytes. */
  #isEmptiedWith(roomBytes: number): boolean {
    return this.#options.maintenance.bytesToMove + 2 * BLOCK_BYTES < roomBytes;
  }
}
