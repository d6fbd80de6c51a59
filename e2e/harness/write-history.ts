/**
 * Which values of a key may be there after a crash.
 *
 * Every write is noted with the moment it was sent and, if it was, the moment it was acknowledged. A
 * write that was not acknowledged may have happened at any time after it was sent, or never. So a
 * write may be what the key holds unless an acknowledged write was sent after it had been
 * acknowledged itself: that one came later for certain. This is what linearizability demands of the
 * last value of a register; intermediate reads are not judged here.
 */

/** One attempt to write or delete a key. `what` says which value: undefined for a delete. */
export interface Write<Value> {
  readonly what: Value | undefined;
  readonly sentAt: number;
  acknowledgedAt: number;
}

export class WriteHistory<Value> {
  readonly #writes = new Map<string, Write<Value>[]>();
  #now = 0;

  /** Notes that a write is being sent. */
  sent(key: string, what: Value | undefined): Write<Value> {
    const write = { what, sentAt: this.#tick(), acknowledgedAt: Number.POSITIVE_INFINITY };
    this.#writesOf(key).push(write);
    return write;
  }

  /** Notes that the server has answered that it is done. */
  acknowledged(write: Write<Value>): void {
    write.acknowledgedAt = this.#tick();
  }

  /** Keys that were ever written. */
  keys(): string[] {
    return [...this.#writes.keys()];
  }

  /** Whether a key was written since it was last {@link settled}. */
  isTouched(key: string): boolean {
    return this.#writesOf(key).length > 1;
  }

  /** The values that may be there; undefined among them where there may be none. */
  possible(key: string): (Value | undefined)[] {
    const writes = this.#writesOf(key);
    const lastAcknowledgedSentAt = Math.max(
      ...writes.filter((write) => write.acknowledgedAt < Infinity).map((write) => write.sentAt),
    );
    return writes
      .filter((write) => write.acknowledgedAt >= lastAcknowledgedSentAt)
      .map((write) => write.what);
  }

  /** Takes what was found after the crash as what the key holds from now on. */
  settled(key: string, what: Value | undefined): void {
    this.#writes.set(key, [{ what, sentAt: this.#tick(), acknowledgedAt: this.#tick() }]);
  }

  /** The history of a key; it begins with nothing being there. */
  #writesOf(key: string): Write<Value>[] {
    let writes = this.#writes.get(key);
    if (writes === undefined) {
      writes = [{ what: undefined, sentAt: 0, acknowledgedAt: 0 }];
      this.#writes.set(key, writes);
    }
    return writes;
  }

  #tick(): number {
    this.#now += 1;
    return this.#now;
  }
}
