/**
 * Sparse bytes that can be copied in constant time.
 *
 * Content is a two-level table of 4 KiB pages. A fork shares everything with its origin; whichever
 * writes first copies the table chunk and the page that it changes. Ownership is told by a token: a
 * chunk or page may be changed in place only by the store whose token it carries, and a fork gives
 * both stores new tokens. Pages that were never written are zero and take no memory.
 */

/** Bytes of a page. */
const PAGE_BYTES = 4096;
/** Pages of one chunk of the table. */
const CHUNK_PAGES = 128;

interface Page {
  readonly owner: object;
  readonly bytes: Uint8Array;
}

interface Chunk {
  readonly owner: object;
  readonly pages: (Page | undefined)[];
}

/** Bytes of a fixed size, zero at first, with cheap forks. */
export class PageStore {
  #owner: object = {};
  #chunks: (Chunk | undefined)[] = [];

  /** A store of its own with the same content. */
  fork(): PageStore {
    const other = new PageStore();
    other.#chunks = this.#chunks.slice();
    this.#owner = {};
    return other;
  }

  /** Copies bytes from `offset` on into `into`. */
  read(offset: number, into: Uint8Array): void {
    let done = 0;
    while (done < into.length) {
      const pageIndex = Math.floor((offset + done) / PAGE_BYTES);
      const start = (offset + done) % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - start, into.length - done);
      const page =
        this.#chunks[Math.floor(pageIndex / CHUNK_PAGES)]?.pages[pageIndex % CHUNK_PAGES];
      if (page === undefined) into.fill(0, done, done + count);
      else into.set(page.bytes.subarray(start, start + count), done);
      done += count;
    }
  }

  /** Copies `bytes` to `offset`. */
  write(offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const pageIndex = Math.floor((offset + done) / PAGE_BYTES);
      const start = (offset + done) % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - start, bytes.length - done);
      const isWhole = count === PAGE_BYTES;
      this.#ownPage(pageIndex, isWhole).set(bytes.subarray(done, done + count), start);
      done += count;
    }
  }

  #ownPage(pageIndex: number, isOverwritten: boolean): Uint8Array {
    const chunkIndex = Math.floor(pageIndex / CHUNK_PAGES);
    let chunk = this.#chunks[chunkIndex];
    if (chunk?.owner !== this.#owner) {
      chunk = { owner: this.#owner, pages: chunk?.pages.slice() ?? [] };
      this.#chunks[chunkIndex] = chunk;
    }
    const page = chunk.pages[pageIndex % CHUNK_PAGES];
    if (page?.owner === this.#owner) return page.bytes;
    const bytes =
      page === undefined || isOverwritten ? new Uint8Array(PAGE_BYTES) : page.bytes.slice();
    chunk.pages[pageIndex % CHUNK_PAGES] = { owner: this.#owner, bytes };
    return bytes;
  }
}
