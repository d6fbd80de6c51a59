/**
 * Sparse bytes that can be copied in constant time.
 *
 * Content is a two-level table of 4 KiB pages. Pages never change: writing puts other pages in their
 * place, where a whole page is a view of the bytes that were written, without a copy. A fork shares
 * everything with its origin; whichever writes first copies the chunk of the table that it changes.
 * Who may change a chunk in place is told by a token, and a fork gives both stores new tokens. Pages
 * that were never written are zero and take no memory.
 */

/** Bytes of a page. */
const PAGE_BYTES = 4096;
/** Pages of one chunk of the table. */
const CHUNK_PAGES = 128;

interface Chunk {
  readonly owner: object;
  readonly pages: (Uint8Array | undefined)[];
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
      else into.set(page.subarray(start, start + count), done);
      done += count;
    }
  }

  /** Puts `bytes` at `offset`. They belong to the store from then on and must never change. */
  write(offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const pageIndex = Math.floor((offset + done) / PAGE_BYTES);
      const start = (offset + done) % PAGE_BYTES;
      const part = bytes.subarray(done, done + PAGE_BYTES - start);
      const pages = this.#ownPages(Math.floor(pageIndex / CHUNK_PAGES));
      if (part.length === PAGE_BYTES) {
        pages[pageIndex % CHUNK_PAGES] = part;
      } else {
        const page = pages[pageIndex % CHUNK_PAGES]?.slice() ?? new Uint8Array(PAGE_BYTES);
        page.set(part, start);
        pages[pageIndex % CHUNK_PAGES] = page;
      }
      done += part.length;
    }
  }

  #ownPages(chunkIndex: number): (Uint8Array | undefined)[] {
    let chunk = this.#chunks[chunkIndex];
    if (chunk?.owner !== this.#owner) {
      chunk = { owner: this.#owner, pages: chunk?.pages.slice() ?? [] };
      this.#chunks[chunkIndex] = chunk;
    }
    return chunk.pages;
  }
}
