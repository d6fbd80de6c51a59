/**
 * Segments that nothing needs any more but readers who may have begun to read there, and these readers.
 *
 * Each retirement ends an *epoch*. A reader belongs to the one in which it began: what was retired in that
 * one or a later one it may still read. So a segment goes on when all readers are of later epochs, in the
 * order of retirement.
 */
import { assert } from '@dozo/base';

/** See the file comment. */
export class RetiredSegments {
  readonly #onUnread: (segment: number) => void;
  readonly #retired: { readonly segment: number; readonly epoch: number }[] = [];
  #epoch = 0;
  /** How many readers there are of each epoch. */
  readonly #readers = new Map<number, number>();
  #shortReaderCount = 0;
  #onLeave: (() => void)[] = [];

  /** @param onUnread told of each segment that no reader can read any more; may retire others. */
  constructor(onUnread: (segment: number) => void) {
    this.#onUnread = onUnread;
  }

  get count(): number {
    return this.#retired.length;
  }

  /** Nobody who begins from now on will read there. */
  add(segment: number): void {
    this.#retired.push({ segment, epoch: this.#epoch });
    this.#epoch++;
    this.#letGo();
  }

  /**
   * A reader begins; what is retired from now on is not let go before it has left.
   *
   * @param isShort whether it ends by itself after a few reads of the device.
   * @param epoch what an enclosing reader got, which is still there: the new one sees what that one
   *   sees, and may outlive it. Default: now.
   */
  enter(isShort: boolean, epoch = this.#epoch): number {
    if (isShort) this.#shortReaderCount++;
    this.#readers.set(epoch, (this.#readers.get(epoch) ?? 0) + 1);
    return epoch;
  }

  /** The reader that got this number from {@link enter} has ended. */
  leave(epoch: number, isShort: boolean): void {
    if (isShort) this.#shortReaderCount--;
    const left = (this.#readers.get(epoch) ?? 0) - 1;
    assert(left >= 0, 'a reader leaves that never entered');
    if (left > 0) this.#readers.set(epoch, left);
    else this.#readers.delete(epoch);
    this.#letGo();
    const waiting = this.#onLeave;
    if (waiting.length === 0) return;
    this.#onLeave = [];
    for (const wake of waiting) wake();
  }

  /**
   * Resolves when the next reader leaves; `undefined` when no short reader keeps a retired segment
   * back. Snapshots may stay for ever, and are not waited for.
   */
  nextRelease(): Promise<void> | undefined {
    if (this.#retired.length === 0 || this.#shortReaderCount === 0) return undefined;
    return new Promise((resolve) => {
      this.#onLeave.push(resolve);
    });
  }

  #letGo(): void {
    if (this.#retired.length === 0) return;
    // A map keeps the order of insertion, and epochs only grow.
    const oldest = this.#readers.keys().next().value ?? Number.POSITIVE_INFINITY;
    for (;;) {
      const next = this.#retired[0];
      if (next === undefined || next.epoch >= oldest) return;
      // First: whoever is told of a free segment may retire others before this goes on.
      this.#retired.shift();
      this.#onUnread(next.segment);
    }
  }
}
