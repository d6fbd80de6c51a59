/**
 * The footer of a table: its meta once more, for whoever looks at a device without its checkpoint.
 *
 *     content of the meta | uint32 bytes of it | uint32 CRC of both | "DOZOTBL1"
 *
 * It ends where the table ends, which is at the end of a block, and is shorter than a block: to find
 * tables, look at the last eight bytes of every block. Its CRC has no seed, which stands in it.
 */
import { ByteReader, ByteWriter, CodecError, crc32c, readUint32 } from '@dozo/base';
import { assert } from '@dozo/base';
import { BLOCK_BYTES } from '../limits.ts';
import { TABLE_CONTENT_BYTES_MAX, decodeTableContent, encodeTableContent } from './table-meta.ts';
import type { TableContent } from './table-meta.ts';

const MAGIC = Uint8Array.from('DOZOTBL1', (character) => character.charCodeAt(0));
/** What follows the content: its length, the CRC, the magic. */
const TRAILER_BYTES = 16;

assert(TABLE_CONTENT_BYTES_MAX + TRAILER_BYTES <= BLOCK_BYTES, 'a footer fits a block');

/** The footer of a table. */
export function encodeFooter(content: TableContent): Uint8Array {
  const writer = new ByteWriter();
  encodeTableContent(writer, content);
  writer.uint32(writer.length);
  writer.uint32(crc32c(writer.view())).bytes(MAGIC);
  return writer.finish();
}

/**
 * Reads the footer of the table that ends with this block; undefined when no table ends there.
 *
 * @param block `BLOCK_BYTES` bytes.
 */
export function decodeFooter(block: Uint8Array): TableContent | undefined {
  const end = block.length;
  if (end < TRAILER_BYTES || MAGIC.some((byte, index) => block[end - 8 + index] !== byte)) {
    return undefined;
  }
  const lengthAt = end - TRAILER_BYTES;
  const start = lengthAt - readUint32(block, lengthAt);
  if (start < 0) return undefined;
  if (crc32c(block.subarray(start, lengthAt + 4)) !== readUint32(block, lengthAt + 4)) {
    return undefined;
  }
  try {
    const reader = new ByteReader(block, 'the footer of a table', start, lengthAt);
    const content = decodeTableContent(reader);
    reader.expectEnd();
    return content;
  } catch (error) {
    if (error instanceof CodecError) return undefined;
    throw error;
  }
}
