/**
 * The headers that are kept with an object, as bytes inside an entry or an upload record.
 *
 *     count u16, then for each header:
 *     | field u8 | field 0: name length u8, name | value length u16 | value |
 *
 * `field` is the number of a standard header, or 0 for user metadata, whose name (without
 * `x-amz-meta-`) follows. Names and values are binary strings, one byte per character, as they came.
 */
import { assert, CodecError } from '@dozo/base';
import type { ObjectHeaders } from '../protocol/index.ts';

/** Standard headers; the place in the list, from 1, is the number in records. */
const FIELDS = [
  'contentType',
  'cacheControl',
  'contentDisposition',
  'contentEncoding',
  'contentLanguage',
  'expires',
] as const satisfies readonly (keyof ObjectHeaders)[];

const USER_METADATA = 0;

/** How many bytes {@link writeKeptHeaders} writes. */
export function keptHeadersBytes(headers: ObjectHeaders): number {
  let sizeBytes = 2;
  for (const field of FIELDS) {
    const value = headers[field];
    if (value !== undefined) sizeBytes += 3 + value.length;
  }
  for (const [name, value] of headers.userMetadata) sizeBytes += 4 + name.length + value.length;
  return sizeBytes;
}

/** Writes at `offset`; returns the offset behind. */
export function writeKeptHeaders(into: Buffer, headers: ObjectHeaders, at: number): number {
  let count = 0;
  let offset = at + 2;
  for (let index = 0; index < FIELDS.length; index += 1) {
    const value = headers[FIELDS[index] as (typeof FIELDS)[number]];
    if (value === undefined) continue;
    into[offset] = index + 1;
    offset = writeText16(into, value, offset + 1);
    count += 1;
  }
  for (const [name, value] of headers.userMetadata) {
    assert(name.length <= 255, 'names are bounded before they come here');
    into[offset] = USER_METADATA;
    into[offset + 1] = name.length;
    offset += 2 + into.write(name, offset + 2, 'latin1');
    offset = writeText16(into, value, offset);
    count += 1;
  }
  into.writeUInt16LE(count, at);
  return offset;
}

/** Reads at `offset`. @throws CodecError */
export function readKeptHeaders(
  from: Buffer,
  at: number,
): { readonly headers: ObjectHeaders; readonly end: number } {
  const userMetadata: (readonly [name: string, value: string])[] = [];
  const headers: { -readonly [Field in keyof ObjectHeaders]: ObjectHeaders[Field] } = {
    userMetadata,
  };
  let offset = need(from, at, 2);
  for (let count = from.readUInt16LE(at); count > 0; count -= 1) {
    const number = from.readUInt8(need(from, offset, 1) - 1);
    offset += 1;
    let name = '';
    if (number === USER_METADATA) {
      const nameStart = need(from, offset, 1);
      const nameEnd = need(from, nameStart, from.readUInt8(offset));
      name = from.toString('latin1', nameStart, nameEnd);
      offset = nameEnd;
    }
    const start = need(from, offset, 2);
    const end = need(from, start, from.readUInt16LE(offset));
    const value = from.toString('latin1', start, end);
    if (number === USER_METADATA) userMetadata.push([name, value]);
    else headers[fieldOf(number, offset)] = value;
    offset = end;
  }
  return { headers, end: offset };
}

function fieldOf(number: number, offset: number): (typeof FIELDS)[number] {
  const field = FIELDS[number - 1];
  if (field !== undefined) return field;
  throw new CodecError(
    `Reading kept headers at offset ${offset}: header number ${number} is not known to this software.`,
    { code: 'CODEC_INVALID', what: 'kept headers', offset },
  );
}

function writeText16(into: Buffer, text: string, offset: number): number {
  into.writeUInt16LE(text.length, offset);
  return offset + 2 + into.write(text, offset + 2, 'latin1');
}

/** The offset behind `sizeBytes` at `offset`, which must be inside. */
function need(from: Buffer, offset: number, sizeBytes: number): number {
  const end = offset + sizeBytes;
  if (end <= from.length) return end;
  throw new CodecError(
    `Reading kept headers at offset ${offset}: ${sizeBytes} bytes are needed, the record ends before.`,
    { code: 'CODEC_TOO_SHORT', what: 'kept headers', offset },
  );
}
