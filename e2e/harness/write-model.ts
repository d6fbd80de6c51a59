/**
 * What a reader of a device may see, by what its writers have said outside of it.
 *
 * Each key holds what the last acknowledged batch made of it. A batch that was handed in and never
 * acknowledged (its process was killed or stopped) may have happened, all of it, or not at all; once it
 * was seen either way, it stays so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchLine } from './writer-protocol.ts';

const PROGRESS_STEP_MS = 10;
const PROGRESS_STEPS_MAX = 6_000;

export class WriteModel {
  /** The tag of each key's value; a key that was deleted is not in it. */
  readonly #settled = new Map<string, string>();
  readonly #pending = new Map<string, BatchLine>();
  readonly #landed = new Set<string>();
  #acknowledgedCount = 0;

  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  /** Batches that are handed in and not yet answered; after a kill: that nobody will answer. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Batches that nobody had acknowledged and that were seen all the same. */
  get landedCount(): number {
    return this.#landed.size;
  }

  /** The keys of which it is open what they hold, until the next {@link adopt}. */
  pendingKeys(): string[] {
    return [...this.#pending.values()].flatMap(({ puts, deletes }) => [...puts, ...deletes]);
  }

  /** Whether a batch that nobody had acknowledged was seen all the same. */
  hasLanded(tag: string): boolean {
    return this.#landed.has(tag);
  }

  /** Takes down what a writer says. */
  hear(line: BatchLine): void {
    if (line.kind === 'submitted') {
      this.#pending.set(line.tag, line);
      return;
    }
    this.#pending.delete(line.tag);
    if (line.kind === 'rejected') return;
    this.#acknowledgedCount += 1;
    this.#settle(line);
  }

  /**
   * Compares with what a reader has seen, which is from then on what every reader must see.
   *
   * @param rows key, and the tag of its value.
   * @param asked what the reader was asked for, all of {@link pendingKeys} among it; default: everything.
   * @returns what is wrong, in words; nothing is, if it is empty.
   */
  adopt(rows: readonly (readonly [string, string])[], asked?: ReadonlySet<string>): string[] {
    const seen = new Map(rows);
    for (const batch of this.#pending.values()) {
      const isThere =
        batch.puts.every((key) => seen.get(key) === batch.tag) &&
        // Deletes of keys that were not there leave no trace, and need none.
        batch.deletes.every((key) => seen.get(key) === undefined);
      if (!isThere) continue;
      this.#settle(batch);
      this.#landed.add(batch.tag);
    }
    this.#pending.clear();
    const wrong: string[] = [];
    for (const key of asked ?? new Set([...seen.keys(), ...this.#settled.keys()])) {
      const [is, shouldBe] = [seen.get(key), this.#settled.get(key)];
      if (is !== shouldBe) wrong.push(`${key} is ${is ?? 'absent'}, not ${shouldBe ?? 'absent'}`);
    }
    return wrong;
  }

  /** Until so many more batches are acknowledged. */
  async progress(count: number): Promise<void> {
    const goal = this.#acknowledgedCount + count;
    for (let step = 0; step < PROGRESS_STEPS_MAX; step += 1) {
      if (this.#acknowledgedCount >= goal) return;
      await sleep(PROGRESS_STEP_MS);
    }
    throw new Error(`${count} more batches are not acknowledged.`);
  }

  #settle({ tag, puts, deletes }: BatchLine): void {
    for (const key of puts) this.#settled.set(key, tag);
    for (const key of deletes) this.#settled.delete(key);
  }
}
