/** A random workload on an engine, and what its caller knows of the result. */
import { binaryStringOf, concatBytes, equalBytes, hasCode } from '@dozo/base';
import type { SeededRandom } from '@dozo/base';
import type { Engine } from '../src/index.ts';
import { HAS_RANGE_DELETE, batchOf } from './engine-features.ts';
import type { ProofOperation } from './engine-features.ts';
import { KIB, bytes } from './simulated-engine.ts';
import type { ValueHistory } from './value-history.ts';

type Batch = readonly ProofOperation[];

export type State = ReadonlyMap<string, Uint8Array>;

/** What the caller of `apply` knows at one moment. */
export interface Knowledge {
  /** The state before the first batch of this open. */
  readonly base: State;
  /** Batches in the order of the calls; those that were refused are left out. */
  readonly submitted: readonly Batch[];
  readonly acknowledgedCount: number;
}

/** A run's shape: how large the disk is, and what is done with it. */
export interface Shape {
  readonly segmentPayloadBytes: number;
  readonly segmentCount: number;
  readonly keyCount: number;
  readonly valueBytesMax: number;
  readonly writerCount: number;
}

/** Random batches of several writers, and the order in which they were given. */
export class Workload {
  readonly #random: SeededRandom;
  readonly #shape: Shape;
  readonly #base: State;
  readonly #history: ValueHistory | undefined;
  #submitted: Batch[] = [];
  #acknowledged = new Set<Batch>();
  #refusedCount = 0;

  /** @param history is told of all values. */
  constructor(base: State, random: SeededRandom, shape: Shape, history?: ValueHistory) {
    this.#base = base;
    this.#history = history;
    this.#random = random.derive(String(random.uint32()));
    this.#shape = shape;
  }

  get refusedCount(): number {
    return this.#refusedCount;
  }

  knowledge(): Knowledge {
    let acknowledgedCount = 0;
    this.#submitted.forEach((batch, index) => {
      if (this.#acknowledged.has(batch)) acknowledgedCount = index + 1;
    });
    return { base: this.#base, submitted: this.#submitted.slice(), acknowledgedCount };
  }

  finalState(): State {
    const state = new Map(this.#base);
    for (const batch of this.#submitted) applyTo(state, batch);
    return state;
  }

  async run(engine: Engine, batchCount: number): Promise<void> {
    let left = batchCount;
    const write = async (): Promise<void> => {
      while (left > 0) {
        left--;
        await this.#apply(engine, this.#batch());
      }
    };
    await Promise.all(Array.from({ length: this.#shape.writerCount }, write));
  }

  async #apply(engine: Engine, batch: Batch): Promise<void> {
    this.#submitted.push(batch);
    this.#history?.note(batch);
    try {
      await engine.apply(batchOf(batch));
      this.#acknowledged.add(batch);
    } catch (error) {
      // Both say that nothing was written.
      if (!hasCode(error, 'DEVICE_FULL', 'BATCH_TOO_LARGE')) throw error;
      this.#submitted = this.#submitted.filter((other) => other !== batch);
      this.#refusedCount++;
    }
  }

  #batch(): Batch {
    const random = this.#random;
    const count = random.chance(0.8) ? 1 : 1 + random.below(4);
    return Array.from({ length: count }, () => {
      if (HAS_RANGE_DELETE && random.chance(0.03)) return this.#rangeDelete();
      const key = bytes(`key/${random.below(this.#shape.keyCount)}`);
      if (random.chance(0.2)) return { kind: 'delete', key };
      return { kind: 'put', key, value: random.bytes(this.#valueBytes()) };
    });
  }

  #rangeDelete(): ProofOperation {
    // As text: "key/1" to "key/3" takes "key/17" and "key/2" along.
    const from = bytes(`key/${this.#random.below(this.#shape.keyCount)}`);
    return { kind: 'delete-range', from, to: concatBytes([from, bytes(':')]) };
  }

  #valueBytes(): number {
    const { valueBytesMax } = this.#shape;
    const roll = this.#random.fraction();
    if (roll < 0.05) return 0;
    if (roll < 0.5) return this.#random.below(Math.min(300, valueBytesMax));
    if (roll < 0.95) return this.#random.below(Math.min(5000, valueBytesMax));
    return this.#random.below(valueBytesMax);
  }
}

export function drawShape(random: SeededRandom): Shape {
  const isLarge = random.chance(0.15);
  const segmentPayloadBytes = isLarge ? 256 * KIB : 32 * KIB;
  return {
    segmentPayloadBytes,
    segmentCount: 14 + random.below(isLarge ? 6 : 22),
    keyCount: 5 + random.below(120),
    valueBytesMax: isLarge ? 128 * KIB : 16 * KIB,
    writerCount: 1 + random.below(6),
  };
}

export function applyTo(state: Map<string, Uint8Array>, batch: Batch): void {
  for (const operation of batch) {
    if (operation.kind === 'delete-range') {
      const from = binaryStringOf(operation.from);
      const to = binaryStringOf(operation.to);
      for (const name of state.keys()) if (name >= from && name < to) state.delete(name);
      continue;
    }
    const key = binaryStringOf(operation.key);
    if (operation.kind === 'put') state.set(key, operation.value);
    else state.delete(key);
  }
}

export function areEqual(left: State, right: State): boolean {
  if (left.size !== right.size) return false;
  for (const [key, value] of left) {
    const other = right.get(key);
    if (other === undefined || !(other === value || equalBytes(other, value))) return false;
  }
  return true;
}

export function bytesOf(name: string): Uint8Array {
  return Uint8Array.from(name, (character) => character.charCodeAt(0));
}
