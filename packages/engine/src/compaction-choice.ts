/**
 * Chooses which compaction comes next: the one that is needed most, of those that can be done.
 *
 * Damage keeps some from being done: `tree/around-damage.ts` goes around tables that are known to be
 * damaged. Where it is not known which table ended a job, there are no more jobs.
 *
 * So does want of room. A job whose output does not fit beside its input waits, and says how many segments it
 * wants; but one for which writers wait, or which itself makes room, is tried wherever it may be begun. Tried in
 * vain, it is not tried again before there is more room than there was then. Where not even that is possible a
 * few runs of level 0 are merged with each other.
 */
import { hasCode } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Geometry } from './geometry.ts';
import { LEVEL_ZERO_RUNS_STALL } from './limits.ts';
import { neededSegments } from './space.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TestSwitches } from './test-switches.ts';
import type { TreeAccess } from './tree-access.ts';
import type { TreeSettings } from './tree-settings.ts';
import { PickerAroundDamage } from './tree/around-damage.ts';
import { CompactionPicker } from './tree/compaction-picker.ts';
import type { Compaction } from './tree/compaction-picker.ts';

export interface CompactionChoiceOptions {
  readonly catalog: Catalog;
  readonly tree: Pick<TreeAccess, 'damaged'>;
  readonly geometry: Geometry;
  readonly settings: TreeSettings;
  readonly switches: TestSwitches;
}

/** Tables above the last level are merged for the sake of space until they are one part in so many of all. */
const SPACE_SHARE = 64;

/** See the file comment. */
export class CompactionChoice {
  readonly #options: CompactionChoiceOptions;
  readonly #picker: CompactionPicker;
  readonly #pickerAroundDamage: PickerAroundDamage;
  #isSpaceWanted = false;
  #wantedSegmentCount = 0;
  /** With so many segments available a compaction was begun that did not have room, and was given up. */
  #triedCount = 0;
  /** Damage ended a job, and it is not known which of its tables to leave out. */
  #isCompactionBroken = false;
  /** Compaction is due, and all that is due would read damaged tables. */
  #isStuckOnDamage = false;

  constructor(options: CompactionChoiceOptions) {
    this.#options = options;
    const { compaction } = options.settings;
    this.#picker = new CompactionPicker(compaction);
    this.#pickerAroundDamage = new PickerAroundDamage(compaction, options.tree.damaged);
  }

  get isLevelZeroLong(): boolean {
    const runCount = this.#options.catalog.version.levels[0]?.runs.length ?? 0;
    return runCount >= LEVEL_ZERO_RUNS_STALL;
  }

  /** Level 0 is long, and damaged tables keep it from getting shorter. */
  get isBlockedByDamage(): boolean {
    return this.#isStuckOnDamage && this.isLevelZeroLong;
  }

  /** How many segments must be available for the job that is needed most; 0 when none waits. */
  get wantedSegmentCount(): number {
    return this.#wantedSegmentCount;
  }

  /** Bytes that compaction has still to write. */
  get debtBytes(): number {
    return this.#picker.debtBytes(this.#options.catalog.version);
  }

  /** Whether what hides something is still to be carried down: see {@link wantSpace}. */
  get isSpaceWanted(): boolean {
    return this.#isSpaceWanted;
  }

  /** From now on, everything that hides something is carried down, until hardly anything is left. */
  wantSpace(): void {
    this.#isSpaceWanted = true;
  }

  /** What is to be done now; `nothing-due` at rest, `no-room` when what is due cannot be begun. */
  next(): Compaction | 'nothing-due' | 'no-room' {
    if (this.#upperBytes() <= this.#spaceBytesMin()) this.#isSpaceWanted = false;
    const job = this.#pick();
    this.#isStuckOnDamage = job === undefined && this.#isAnyDamaged;
    if (job === undefined) return 'nothing-due';
    const possible = this.#hasRoomFor(job) ? job : this.#smallJob();
    return possible ?? 'no-room';
  }

  /** A job has got all the room that it needed. */
  finished(): void {
    this.#triedCount = 0;
  }

  /**
   * A job has ended with an error, which is thrown unless it is damage. Whoever read the table has noted that
   * it is damaged: the next job leaves it out.
   */
  noteDamage(error: unknown, inputs: readonly TableMeta[]): void {
    if (!hasCode(error, 'INDEX_DAMAGED')) throw error;
    const { tree, switches } = this.#options;
    const isKnown = inputs.some(({ number }) => tree.damaged.has(number));
    if (!isKnown || switches.forgetDamagedTables === true) this.#isCompactionBroken = true;
  }

  /** Bytes of tables above the last level: what they hide cannot be more. */
  #upperBytes(): number {
    const { version } = this.#options.catalog;
    return version.sizeBytes - (version.levels.at(-1)?.sizeBytes ?? 0);
  }

  /** Less than this is not worth it. */
  #spaceBytesMin(): number {
    const { settings, catalog } = this.#options;
    return Math.max(2 * settings.tableBytes, catalog.version.sizeBytes / SPACE_SHARE);
  }

  get #isAnyDamaged(): boolean {
    return this.#isCompactionBroken || this.#options.tree.damaged.count > 0;
  }

  /** The job that is needed most, of those that can be done. */
  #pick(): Compaction | undefined {
    const { catalog, tree, switches } = this.#options;
    const { version } = catalog;
    if (this.#isCompactionBroken || tree.damaged.isOverflowing) return undefined;
    tree.damaged.keepOnly(version);
    const isAround = tree.damaged.count > 0 && switches.forgetDamagedTables !== true;
    if (!isAround) return this.#picker.pick(version, this.#isSpaceWanted);
    return this.#pickerAroundDamage.pick(version, this.#isSpaceWanted);
  }

  /** The output of a job must fit beside its input, and a flush must find room meanwhile. */
  #hasRoomFor(job: Compaction): boolean {
    const { catalog, geometry } = this.#options;
    this.#wantedSegmentCount = 0;
    if (job.isMove) return true;
    const { availableCount } = catalog.segments;
    const least = neededSegments('compaction');
    const wantedCount = Math.ceil(job.inputBytes / geometry.segmentPayloadBytes) + least;
    if (availableCount >= wantedCount) return true;
    // Writers wait for it, or it makes room: better to try, and to give it up if the room does not come.
    const isPressing = this.isLevelZeroLong || this.#isSpaceWanted;
    if (isPressing && availableCount >= Math.max(least, this.#triedCount + 1)) {
      this.#triedCount = availableCount;
      return true;
    }
    this.#wantedSegmentCount = wantedCount;
    return false;
  }

  /** What can be done where there is room for little. */
  #smallJob(): Compaction | undefined {
    const { catalog, geometry, tree } = this.#options;
    if (!this.isLevelZeroLong) return undefined;
    const segmentCount = catalog.segments.availableCount - neededSegments('compaction') + 1;
    const bytesMax = Math.max(0, segmentCount) * geometry.segmentPayloadBytes;
    return this.#picker.pickWithinLevelZero(catalog.version, bytesMax, (run) =>
      run.some(({ number }) => tree.damaged.has(number)),
    );
  }
}
