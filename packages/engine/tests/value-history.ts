/**
 * Every value that a run ever wrote, by key: says of a state that must not be whether something was lost,
 * or came back from the dead.
 */
import { binaryStringOf, equalBytes } from '@dozo/base';
import type { ProofOperation } from './engine-features.ts';

type State = ReadonlyMap<string, Uint8Array>;

/** See the file comment. */
export class ValueHistory {
  readonly #values = new Map<string, Uint8Array[]>();

  /** A batch that was submitted, whatever becomes of it. */
  note(batch: readonly ProofOperation[]): void {
    for (const operation of batch) {
      if (operation.kind !== 'put') continue;
      const name = binaryStringOf(operation.key);
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [operation.value]);
      else values.push(operation.value);
    }
  }

  /** What is wrong with what was found, in words, key by key: the first few. */
  explain(acknowledged: State, found: State, touched: ReadonlySet<string>): string {
    const words: string[] = [];
    for (const name of new Set([...acknowledged.keys(), ...found.keys()])) {
      // Batches that were on their way may have changed it.
      if (touched.has(name)) continue;
      const word = this.#wordFor(name, acknowledged.get(name), found.get(name));
      if (word !== undefined) words.push(word);
    }
    if (words.length === 0) return 'only keys of batches on their way differ';
    const more = words.length > 6 ? ` and ${words.length - 6} more` : '';
    return `${words.slice(0, 6).join('; ')}${more}`;
  }

  #wordFor(
    name: string,
    expected: Uint8Array | undefined,
    found: Uint8Array | undefined,
  ): string | undefined {
    if (found === undefined) return expected === undefined ? undefined : `lost: ${name}`;
    if (expected !== undefined && equalBytes(expected, found)) return undefined;
    const values = this.#values.get(name) ?? [];
    const index = values.findLastIndex((value) => equalBytes(value, found));
    if (index < 0) return `wrong: ${name} has ${found.length} bytes that nobody wrote`;
    const instead = expected === undefined ? 'it was deleted' : 'a newer one was acknowledged';
    return `resurrected: ${name} has value ${index + 1} of ${values.length}, and ${instead}`;
  }
}
