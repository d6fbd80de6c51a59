/**
 * What one kernel knows of one disk by one path: its cached pages, and who has locked it.
 *
 * Handles of one simulated host share one; another machine, or a second path to the same disk, has one
 * of its own. Then a read that finds its page here does not see what was written elsewhere, and an
 * exclusive opener here does not exclude one there, as with two machines or two loop devices.
 *
 * Pages are kept until they are dropped, so there are at most as many as the disk has. Not simulated:
 * a write of a part of a page writes that part, where a kernel may write the whole stale page.
 */
import { SeededRandom } from '@dozo/base';

const PAGE_BYTES = 4096;

export interface PageCacheOptions {
  readonly seed?: string | number;
  /** The probability with which a page stays although it was to be dropped. Default 0. */
  readonly keepProbability?: number;
  /** The name in the lock identity of a disk that is opened by this path. Default: the medium's. */
  readonly lockName?: string;
}

/** The pages that one simulated host has of one disk. Give each `SimulatedDevice` of the host the same. */
export class PageCache {
  readonly lockName: string | undefined;
  readonly #pages = new Map<number, Uint8Array>();
  readonly #random: SeededRandom;
  readonly #keepProbability: number;

  constructor(options: PageCacheOptions = {}) {
    this.lockName = options.lockName;
    this.#random = new SeededRandom(options.seed ?? 0).derive('page-cache');
    this.#keepProbability = options.keepProbability ?? 0;
  }

  /** How many pages it has. */
  get pageCount(): number {
    return this.#pages.size;
  }

  /**
   * For `SimulatedDevice`: fills `into`, and keeps each page that it did not have.
   *
   * @param load what the disk holds; called for whole pages, of which the device's last may be shorter.
   */
  read(
    offset: number,
    into: Uint8Array,
    deviceBytes: number,
    load: (offset: number, page: Uint8Array) => void,
  ): void {
    for (const part of partsOf(offset, into.length)) {
      let page = this.#pages.get(part.index);
      if (page === undefined) {
        const pageOffset = part.index * PAGE_BYTES;
        page = new Uint8Array(Math.min(PAGE_BYTES, deviceBytes - pageOffset));
        load(pageOffset, page);
        this.#pages.set(part.index, page);
      }
      into.set(page.subarray(part.start, part.end), part.done);
    }
  }

  /** For `SimulatedDevice`: a write has resolved; pages that are here follow. */
  update(offset: number, bytes: Uint8Array): void {
    for (const part of partsOf(offset, bytes.length)) {
      const source = bytes.subarray(part.done, part.done + part.end - part.start);
      const page = this.#pages.get(part.index);
      if (page !== undefined) page.set(source, part.start);
      else if (source.length === PAGE_BYTES) {
        // `slice` of a Node Buffer would be a view.
        this.#pages.set(part.index, new Uint8Array(source));
      }
    }
  }

  /** For `SimulatedDevice`: pages of a range that was written past the cache, or discarded. */
  forget(offset: number, sizeBytes: number): void {
    for (const { index } of partsOf(offset, sizeBytes)) this.#pages.delete(index);
  }

  /** Drops the pages, but for some that stay by chance: it is a hint to a real kernel too. */
  drop(): void {
    for (const index of this.#pages.keys()) {
      if (!this.#random.chance(this.#keepProbability)) this.#pages.delete(index);
    }
  }
}

/** The pages that a range touches: `[start, end)` in the page, `done` bytes of the range before it. */
function* partsOf(
  offset: number,
  sizeBytes: number,
): Generator<{ index: number; start: number; end: number; done: number }> {
  let done = 0;
  while (done < sizeBytes) {
    const start = (offset + done) % PAGE_BYTES;
    const end = Math.min(PAGE_BYTES, start + sizeBytes - done);
    yield { index: Math.floor((offset + done) / PAGE_BYTES), start, end, done };
    done += end - start;
  }
}
