/** Draws by lot from a seed (mulberry32): which object, how big, when to kill. */

export class SeededDraw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A fraction in `[0, 1)`. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer in `[from, to)`. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from));
  }

  /** One of some. */
  pick<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[this.integer(0, values.length)] ?? values[0];
  }
}
