/**
 * The free segments of a device, in the order in which they are used again: those first that have been free
 * for longest, and last of all those that have been discarded since, the youngest first.
 */

/** See the file comment. */
export class FreeSegments {
  readonly #free: number[] = [];
  /** Where the first one of {@link #free} lies. */
  #head = 0;
  /** Free too, and discarded since: taken last. */
  readonly #discarded: number[] = [];

  get count(): number {
    return this.undiscardedCount + this.#discarded.length;
  }

  /** How many the device may still keep old bytes for. */
  get undiscardedCount(): number {
    return this.#free.length - this.#head;
  }

  add(segment: number): void {
    this.#free.push(segment);
  }

  addDiscarded(segment: number): void {
    this.#discarded.push(segment);
  }

  /** Takes up to `limit`, those first that were not discarded. */
  take(limit: number): number[] {
    const taken: number[] = [];
    while (taken.length < limit && this.#head < this.#free.length) {
      taken.push(this.#free[this.#head++] as number);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#free.length) {
      this.#free.splice(0, this.#head);
      this.#head = 0;
    }
    while (taken.length < limit) {
      const segment = this.#discarded.pop();
      if (segment === undefined) break;
      taken.push(segment);
    }
    return taken;
  }

  /** Takes up to `limit` that were not discarded, those that {@link take} would take last. */
  takeUndiscarded(limit: number): number[] {
    const length = Math.min(limit, this.undiscardedCount);
    return this.#free.splice(this.#free.length - length, length);
  }

  /** Test switch: puts the segment that was added last before all others. Not if it has another number. */
  moveLastFirst(segment: number): void {
    if (this.#free.at(-1) !== segment) return;
    this.#free.pop();
    this.#free.splice(this.#head, 0, segment);
  }
}
