/**
 * How many live bytes are in each segment: of records that visible pointers point to, and of tables.
 *
 * The sum over all segments is kept beside them. Pages of a checkpoint are not live bytes, since the next
 * checkpoint replaces them; what they take is known for as long.
 */
import { assert } from '@dozo/base';

/** See the file comment. */
export class LiveBytes {
  readonly #bytes: Float64Array;
  readonly #pageBytes: Float64Array;
  readonly #isMiscounted: boolean;
  #totalBytes = 0;
  #tableBytes = 0;

  /** @param isMiscounted a test switch has bytes die that do not live: no segment has less than none. */
  constructor(count: number, isMiscounted: boolean) {
    this.#bytes = new Float64Array(count);
    this.#pageBytes = new Float64Array(count);
    this.#isMiscounted = isMiscounted;
  }

  /** In all segments, tables included. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Of tables, those included that wait for a checkpoint to be let go. */
  get tableBytes(): number {
    return this.#tableBytes;
  }

  of(segment: number): number {
    return this.#bytes[segment] as number;
  }

  /** Bytes of the current index snapshot in a segment. */
  ofPages(segment: number): number {
    return this.#pageBytes[segment] as number;
  }

  add(segment: number, bytes: number): void {
    this.#bytes[segment] = (this.#bytes[segment] as number) + bytes;
    this.#totalBytes += bytes;
  }

  /** Returns what is left in the segment. */
  remove(segment: number, bytes: number): number {
    const before = this.#bytes[segment] as number;
    assert(before >= bytes || this.#isMiscounted, 'a segment has less than no live bytes');
    const left = Math.max(0, before - bytes);
    this.#bytes[segment] = left;
    this.#totalBytes -= before - left;
    return left;
  }

  addTable(segment: number, sizeBytes: number): void {
    this.#tableBytes += sizeBytes;
    this.add(segment, sizeBytes);
  }

  /** Returns what is left in the segment. */
  removeTable(segment: number, sizeBytes: number): number {
    this.#tableBytes -= sizeBytes;
    return this.remove(segment, sizeBytes);
  }

  /** Nothing lives in a segment. */
  clear(segment: number): void {
    this.#totalBytes -= this.#bytes[segment] as number;
    this.#bytes[segment] = 0;
  }

  /** Where the pages of the newest durable index snapshot lie. */
  setPages(pages: readonly { readonly segment: number; readonly valueBytes: number }[]): void {
    this.#pageBytes.fill(0);
    for (const { segment, valueBytes } of pages) {
      this.#pageBytes[segment] = (this.#pageBytes[segment] as number) + valueBytes;
    }
  }
}
