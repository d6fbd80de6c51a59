/**
 * Memory that a device can read into and write from past the page cache without a copy.
 *
 * Such a transfer wants memory that begins at a page. JavaScript has one kind that promises it: the
 * memory of WebAssembly. Which buffers are of that kind is remembered here, because an address cannot
 * be seen from JavaScript.
 */
import { assert } from './assert.ts';

/** Offsets, lengths and memory of uncached transfers are multiples of this, in bytes. */
export const UNCACHED_BLOCK_BYTES = 4096;

/** A page of WebAssembly's memory: what it is made of, whatever the page of the machine. */
const MEMORY_PAGE_BYTES = 65_536;

interface WebAssemblyMemory {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => {
    readonly buffer: ArrayBuffer;
  };
}

const alignedBuffers = new WeakSet<ArrayBufferLike>();

/**
 * Zeroed memory of its own that begins at a page, for `Device.readUncached` and `writeUncached`.
 *
 * Each call takes some GiB of address space (not of memory) until it is collected: make few, and use
 * them again. Where the runtime has no WebAssembly it is plain memory, which costs a copy.
 *
 * @param sizeBytes a multiple of {@link UNCACHED_BLOCK_BYTES}, above 0.
 */
export function alignedBytes(sizeBytes: number): Uint8Array {
  assert(sizeBytes > 0 && sizeBytes % UNCACHED_BLOCK_BYTES === 0, 'aligned memory is whole blocks');
  const runtime = (globalThis as { WebAssembly?: WebAssemblyMemory }).WebAssembly;
  if (runtime === undefined) return new Uint8Array(sizeBytes);
  const pages = Math.ceil(sizeBytes / MEMORY_PAGE_BYTES);
  const { buffer } = new runtime.Memory({ initial: pages, maximum: pages });
  alignedBuffers.add(buffer);
  return new Uint8Array(buffer, 0, sizeBytes);
}

/** Whether `bytes` are known to begin at a block of aligned memory; a part of it may. */
export function isAligned(bytes: Uint8Array): boolean {
  return bytes.byteOffset % UNCACHED_BLOCK_BYTES === 0 && alignedBuffers.has(bytes.buffer);
}
