/**
 * Group commit around a store that has none of its own: what comes while a commit is under way makes up
 * the next one. It is what a careful user of such a store writes for concurrent writers.
 */

interface Waiting<Entry> {
  readonly entries: readonly Entry[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Gather<Entry> {
  readonly #commit: (entries: readonly Entry[]) => Promise<void> | void;
  #waiting: Waiting<Entry>[] = [];
  #isRunning = false;

  /** @param commit makes all of them durable at once. */
  constructor(commit: (entries: readonly Entry[]) => Promise<void> | void) {
    this.#commit = commit;
  }

  put(entries: readonly Entry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entries, resolve, reject });
      if (this.#isRunning) return;
      this.#isRunning = true;
      setImmediate(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#commit(group.flatMap(({ entries }) => entries));
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
      // The writers that were told come with what they write next.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#isRunning = false;
  }
}
