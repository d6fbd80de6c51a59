/**
 * How every block of the claim area begins: eight letters, a version, and the CRC-32C of the whole block
 * with that field zero.
 *
 *     0        8         12        16
 *     +--------+---------+---------+--- ...
 *     | magic  | version | CRC     |
 *     +--------+---------+---------+--- ...
 */
import { ByteReader, crc32c, writeUint32 } from '@dozo/base';
import type { ByteWriter } from '@dozo/base';

/** What a block of one kind begins with. */
export interface BlockHead {
  /** Eight letters of ASCII. */
  readonly magic: string;
  readonly version: number;
  /** What it is, for messages: "a claim slot". */
  readonly what: string;
}

const CRC_OFFSET_BYTES = 12;

/** Writes the head; its checksum comes with {@link sealBlock}. */
export function writeHead(writer: ByteWriter, { magic, version }: BlockHead): ByteWriter {
  return writer.bytes(new TextEncoder().encode(magic)).uint32(version).uint32(0);
}

/** Puts the checksum into a finished block. */
export function sealBlock(block: Uint8Array): Uint8Array {
  writeUint32(block, CRC_OFFSET_BYTES, crc32c(block));
  return block;
}

/** Checks the head of a block; the reader stands behind it. Throws `CodecError`. */
export function readHead(block: Uint8Array, head: BlockHead): ByteReader {
  const reader = new ByteReader(block, head.what);
  const magic = new TextEncoder().encode(head.magic);
  if (reader.view(8).some((byte, index) => byte !== magic[index])) {
    throw reader.invalid(`it does not begin with ${head.magic}`);
  }
  const version = reader.uint32();
  const checksum = reader.uint32();
  const copy = block.slice();
  copy.fill(0, CRC_OFFSET_BYTES, CRC_OFFSET_BYTES + 4);
  if (crc32c(copy) !== checksum) throw reader.invalid('the checksum does not match');
  if (version !== head.version) throw reader.invalid(`its version is ${version}`);
  return reader;
}
