/**
 * Writes that are durable when they return, each through an open file description that no other write uses
 * at the same time.
 *
 * Linux keeps, for each open file description, how far it has told of errors of writing pages back, and
 * tells of each once: whoever asks first is told, whichever pages they were. Through a description that two
 * `O_DSYNC` writes shared, one could be told of the pages of the other, and that one that all was well. So a
 * write takes a description to itself for as long as it runs. A few are kept; they are opened when first
 * needed, through `/proc`, and take no lock. Who finds none free waits.
 *
 * Where none can be opened, the first description serves all, one after the other, with a sync of its own.
 *
 * Source: Documentation/filesystems/vfs.rst, "Handling errors during writeback"; `lib/errseq.c`.
 */
import { constants } from 'node:fs';
import { closeFile, openFile, syncData } from './file-calls.ts';
import { DURABLE_DESCRIPTIONS_MAX } from './limits.ts';

/** A descriptor to write through; `isSync` when a write is durable as soon as it returns. */
interface Description {
  readonly descriptor: number;
  readonly isSync: boolean;
}

/** Opens what a descriptor refers to once more, `O_DSYNC`. Rejects with the kernel's error. */
export type OpenDurably = (descriptor: number) => Promise<number>;

/** Through `/proc`: it takes no lock and cannot lose ours, which belongs to the first description. */
export const openDurably: OpenDurably = (descriptor) =>
  openFile(`/proc/self/fd/${descriptor}`, constants.O_RDWR | constants.O_DSYNC, 0);

/** See the file comment. */
export class DurableFile {
  readonly #first: number;
  readonly #open: OpenDurably | undefined;
  readonly #free: Description[] = [];
  readonly #waiting: ((description: Description) => void)[] = [];
  /** Those that were opened here. */
  readonly #opened: number[] = [];
  /** Free or taken, those included that are being opened. */
  #count = 0;
  #isRefused = false;
  #isFirstUsed = false;

  /**
   * @param first the descriptor that holds the lock. It stays its owner's.
   * @param open absent where there is to be no other.
   */
  constructor(first: number, open: OpenDurably | undefined) {
    this.#first = first;
    this.#open = open;
  }

  /** Opens one description, so that no write begins with that as long as it is alone. */
  async prepare(): Promise<void> {
    this.#give(await this.#take());
  }

  /** Has `write` write through a description of its own; durable when it resolves. */
  async write(write: (descriptor: number) => Promise<void>): Promise<void> {
    const description = this.#free.pop() ?? (await this.#take());
    try {
      await write(description.descriptor);
      if (!description.isSync) await syncData(description.descriptor);
    } finally {
      this.#give(description);
    }
  }

  /** Closes what was opened here. Nothing must be on its way. */
  async close(): Promise<void> {
    for (const descriptor of this.#opened.splice(0)) await closeFile(descriptor);
  }

  async #take(): Promise<Description> {
    if (this.#isRefused || this.#count === DURABLE_DESCRIPTIONS_MAX) return this.#wait();
    this.#count++;
    const descriptor = await this.#open?.(this.#first).catch(() => undefined);
    if (descriptor !== undefined) {
      this.#opened.push(descriptor);
      return { descriptor, isSync: true };
    }
    this.#isRefused = true;
    // Without any other the first one serves; who has been refused later waits for those that there are.
    if (this.#opened.length === 0 && !this.#isFirstUsed) {
      this.#isFirstUsed = true;
      return { descriptor: this.#first, isSync: false };
    }
    this.#count--;
    return this.#wait();
  }

  /** Each who waits is an operation of the device that its caller has begun, and is bounded there. */
  #wait(): Promise<Description> {
    const free = this.#free.pop();
    if (free !== undefined) return Promise.resolve(free);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #give(description: Description): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(description);
    else next(description);
  }
}
