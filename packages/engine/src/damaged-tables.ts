/**
 * The tables that are known to be damaged: found by whoever reads them, left out by compaction.
 *
 * A damaged table stays where it is and in the tree until a repair, and everything else goes on around it.
 * That a table is damaged is known until the next start, or until a look at all of it finds it sound: a
 * cable that was loose for a moment must not count for ever.
 */
import { DAMAGED_TABLES_MAX } from './limits.ts';
import type { Version } from './tree/version.ts';

/** See the file comment. Bounded: past {@link DAMAGED_TABLES_MAX} no compaction is tried any more. */
export class DamagedTables {
  readonly #numbers = new Set<number>();
  #revision = 0;
  #isOverflowing = false;
  /** What {@link keepOnly} has seen last. */
  #kept = { version: -1, revision: -1 };

  /** How many are known. */
  get count(): number {
    return this.#numbers.size;
  }

  /** Goes up whenever another table is found damaged, or sound again. */
  get revision(): number {
    return this.#revision;
  }

  /** More were found than are remembered. */
  get isOverflowing(): boolean {
    return this.#isOverflowing;
  }

  has(table: number): boolean {
    return this.#numbers.has(table);
  }

  /** A block of the table is damaged, or the device cannot read it. */
  note(table: number): void {
    if (this.#numbers.has(table)) return;
    this.#revision++;
    if (this.#numbers.size < DAMAGED_TABLES_MAX) this.#numbers.add(table);
    else this.#isOverflowing = true;
  }

  /** All of the table was looked at and is right. */
  forget(table: number): void {
    if (this.#numbers.delete(table)) this.#revision++;
  }

  /** Forgets what is not in a version: somebody may have read it in an older one. */
  keepOnly(version: Version): void {
    const { number } = version;
    if (this.count === 0) return;
    if (this.#kept.version === number && this.#kept.revision === this.#revision) return;
    const gone = new Set(this.#numbers);
    for (const table of version.tables()) gone.delete(table.number);
    for (const table of gone) this.forget(table);
    this.#kept = { version: number, revision: this.#revision };
  }
}
