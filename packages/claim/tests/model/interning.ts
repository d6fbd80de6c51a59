/** Values as small numbers: a state of the model is a row of them. */

/** Gives each value with a key of its own a number from 0 on. */
export class Interned<Value> {
  readonly #numbers = new Map<string, number>();
  readonly #values: Value[] = [];
  readonly #keyOf: (value: Value) => string;

  constructor(keyOf: (value: Value) => string) {
    this.#keyOf = keyOf;
  }

  get size(): number {
    return this.#values.length;
  }

  number(value: Value): number {
    const key = this.#keyOf(value);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#values.length;
      this.#numbers.set(key, number);
      this.#values.push(value);
    }
    return number;
  }

  value(number: number): Value {
    return this.#values[number] as Value;
  }
}

/**
 * A set of rows of numbers that keeps 64 bits of each: with 10^7 rows, two of which one would be taken
 * for the other exist with a probability below 10^-5.
 */
export class RowSet {
  #high = new Int32Array(1 << 16);
  #low = new Int32Array(1 << 16);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a row; false when it was there. */
  add(row: Int32Array): boolean {
    let high = 0x2545f491;
    let low = 0x1b873593;
    for (const value of row) {
      high = Math.imul(high ^ value, 0x85ebca6b);
      high ^= high >>> 13;
      low = Math.imul(low ^ (value + 0x7f4a7c15), 0xc2b2ae35);
      low ^= low >>> 15;
    }
    high = Math.imul(high ^ (high >>> 16), 0x7feb352d) | 1;
    low = Math.imul(low ^ (low >>> 14), 0x9e3779b1);
    if (!this.#insert(high, low)) return false;
    this.#size++;
    if (this.#size * 2 > this.#high.length) this.#grow();
    return true;
  }

  #insert(high: number, low: number): boolean {
    const mask = this.#high.length - 1;
    let at = (low ^ (high >>> 7)) & mask;
    // The high half of a row is never 0.
    while (this.#high[at] !== 0) {
      if (this.#high[at] === high && this.#low[at] === low) return false;
      at = (at + 1) & mask;
    }
    this.#high[at] = high;
    this.#low[at] = low;
    return true;
  }

  #grow(): void {
    const [high, low] = [this.#high, this.#low];
    this.#high = new Int32Array(high.length * 2);
    this.#low = new Int32Array(high.length * 2);
    for (const [index, value] of high.entries()) {
      if (value !== 0) this.#insert(value, low[index] as number);
    }
  }
}
