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
    this.#acknowledgedCount += 1;
    this.#settle(line);
  }

  /**
   * Compares with what a reader has seen, which is from then on what every reader must see.
   *
   * @returns what is wrong, in words; nothing is, if it is empty.
   */
  adopt(rows: readonly (readonly [string, string])[]): string[] {
    const seen = new Map(rows);
    for (const batch of this.#pending.values()) {
      // Deletes of keys that were not there leave no trace, and need none.
      if (!batch.keys.every((key) => seen.get(key) === resultOf(batch))) continue;
      this.#settle(batch);
      this.#landed.add(batch.tag);
    }
    this.#pending.clear();
    const wrong: string[] = [];
    for (const key of new Set([...seen.keys(), ...this.#settled.keys()])) {
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

  #settle(batch: BatchLine): void {
    for (const key of batch.keys) {
      if (batch.isDelete) this.#settled.delete(key);
      else this.#settled.set(key, batch.tag);
    }
  }
}

function resultOf(batch: BatchLine): string | undefined {
  return batch.isDelete ? undefined : batch.tag;
}
