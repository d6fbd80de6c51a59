/**
 * CRC-32C (Castagnoli), the checksum of every record, block and frame.
 *
 * Polynomial 0x1EDC6F41, reflected 0x82F63B78, initial value and final xor 0xFFFFFFFF, as in iSCSI
 * (RFC 3720, appendix B.4). Slicing by 8: eight tables, eight bytes a step.
 */

/** 8 tables of 256: table k advances a byte by k more zero bytes. */
const TABLES = makeTables();

/**
 * The CRC-32C of `bytes`, an integer in `[0, 2^32)`.
 *
 * @param seed the CRC-32C of what comes before: `crc32c(second, crc32c(first))` is the CRC-32C of
 *   both in a row. Default: nothing comes before.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const tables = TABLES;
  const length = bytes.length;
  let crc = ~seed;
  let index = 0;
  for (const end = length - 7; index < end; index += 8) {
    crc ^=
      (bytes[index] as number) |
      ((bytes[index + 1] as number) << 8) |
      ((bytes[index + 2] as number) << 16) |
      ((bytes[index + 3] as number) << 24);
    crc =
      (tables[1792 + (crc & 255)] as number) ^
      (tables[1536 + ((crc >>> 8) & 255)] as number) ^
      (tables[1280 + ((crc >>> 16) & 255)] as number) ^
      (tables[1024 + (crc >>> 24)] as number) ^
      (tables[768 + (bytes[index + 4] as number)] as number) ^
      (tables[512 + (bytes[index + 5] as number)] as number) ^
      (tables[256 + (bytes[index + 6] as number)] as number) ^
      (tables[bytes[index + 7] as number] as number);
  }
  for (; index < length; index++) {
    crc = (tables[(crc ^ (bytes[index] as number)) & 255] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0);
    tables[byte] = value;
  }
  for (let index = 256; index < tables.length; index++) {
    const previous = tables[index - 256] as number;
    tables[index] = (previous >>> 8) ^ (tables[previous & 255] as number);
  }
  return tables;
}
