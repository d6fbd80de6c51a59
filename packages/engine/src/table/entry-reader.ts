/**
 * Walks the entries of data blocks: the inner loop of merges and scans.
 *
 *     entry: shared | unshared | tail bytes | key[shared ...] | tail
 *     tail:  kind u8 | LSN | value, or ordinal, offset and value bytes
 *
 * The three lengths take one byte below 128, else two: seven low bits first. The numbers of a tail are
 * LEB128. The key stands in {@link EntryReader.key}, whose bytes stay the same over entries as far as
 * keys share them: nothing is allocated for an entry.
 *
 * A block whose checksum is right has been made by us and is well formed; the walk is safe on any
 * other bytes too and says {@link EntryReader.isDamaged}.
 */
import { assert, readUint16, writeBinaryString } from '@dozo/base';
import { KEY_BYTES_MAX } from '../limits.ts';
import { ENTRY_DELETE, ENTRY_INLINE, ENTRY_POINTER, TreeEntry } from '../tree/tree-entry.ts';
import { CHECKSUM_BYTES, TABLE_INLINE_BYTES_MAX } from './table-format.ts';

/** Kind and LSN. */
const TAIL_BYTES_MIN = 2;

const NO_BYTES = new Uint8Array(0);

/** A place between entries, and the entry before it. */
export class EntryReader {
  /** The block; views into it are `[tailStart, tailEnd)`. */
  bytes: Uint8Array = NO_BYTES;
  /** The key of the entry: `key[0, keyBytes)`. Never given out: the next entry changes it. */
  readonly key = new Uint8Array(KEY_BYTES_MAX);
  keyBytes = 0;
  tailStart = 0;
  tailEnd = 0;
  /** Where the next entry begins. */
  position = 0;
  /** Where the entries end. */
  end = 0;
  /** Something in the block cannot be. */
  isDamaged = false;

  /** Goes before the first entry of a block that lies at `[start, blockEnd)` in `bytes`. */
  open(bytes: Uint8Array, start: number, blockEnd: number): void {
    this.bytes = bytes;
    this.keyBytes = 0;
    this.position = start + CHECKSUM_BYTES;
    this.end = entriesEndOf(bytes, start, blockEnd);
    this.isDamaged = this.end < this.position;
  }

  /** Goes to a restart: an entry with its key in full. */
  restartAt(position: number): void {
    this.position = position;
    this.keyBytes = 0;
  }

  /** Reads the next entry; false behind the last one, and where the block is damaged. */
  next(): boolean {
    const { bytes, key } = this;
    let at = this.position;
    if (at >= this.end) return false;
    let shared = bytes[at++] as number;
    if (shared >= 128) shared = (shared & 127) | ((bytes[at++] as number) << 7);
    let unshared = bytes[at++] as number;
    if (unshared >= 128) unshared = (unshared & 127) | ((bytes[at++] as number) << 7);
    let tailBytes = bytes[at++] as number;
    if (tailBytes >= 128) tailBytes = (tailBytes & 127) | ((bytes[at++] as number) << 7);
    const tailStart = at + unshared;
    const tailEnd = tailStart + tailBytes;
    const keyBytes = shared + unshared;
    // Written so that NaN, what a read past the array makes, is damage too.
    const isWellFormed =
      tailEnd <= this.end &&
      tailBytes >= TAIL_BYTES_MIN &&
      shared <= this.keyBytes &&
      keyBytes <= KEY_BYTES_MAX &&
      (bytes[tailStart] as number) <= ENTRY_POINTER;
    if (!isWellFormed) {
      this.isDamaged = true;
      return false;
    }
    for (let index = shared; index < keyBytes; index++) key[index] = bytes[at++] as number;
    this.keyBytes = keyBytes;
    this.tailStart = tailStart;
    this.tailEnd = tailEnd;
    this.position = tailEnd;
    return true;
  }
}

/** Where the entries of a block end and its restarts begin; less than `start` when that cannot be. */
export function entriesEndOf(bytes: Uint8Array, start: number, blockEnd: number): number {
  if (blockEnd - start < CHECKSUM_BYTES + 2 || blockEnd > bytes.length) return -1;
  const restartCount = readUint16(bytes, blockEnd - 2);
  const end = blockEnd - 2 - 2 * restartCount;
  return restartCount === 0 || end < start + CHECKSUM_BYTES ? -1 : end;
}

/**
 * The entry whose tail is `bytes[start, end)`. An inline value is a view: nobody may change it, and who
 * gives it to somebody outside the engine, or keeps it for long, copies it.
 */
export function entryOfTail(bytes: Uint8Array, start: number, end: number): TreeEntry {
  const kind = bytes[start];
  const lsn = readNumber(bytes, start + 1);
  let at = numberEnd(bytes, start + 1);
  if (kind === ENTRY_INLINE) {
    // A copy of 100 bytes takes 440 ns, ten times the rest of an entry: V8 allocates it outside its heap.
    const value = new Uint8Array(bytes.buffer, bytes.byteOffset + at, end - at);
    return TreeEntry.inline(lsn, value);
  }
  if (kind !== ENTRY_POINTER) {
    assert(kind === ENTRY_DELETE, 'an entry of an intact block has a kind that there is not');
    return TreeEntry.delete(lsn);
  }
  const ordinal = readNumber(bytes, at);
  at = numberEnd(bytes, at);
  const offset = readNumber(bytes, at);
  return TreeEntry.pointer(lsn, readNumber(bytes, numberEnd(bytes, at)), ordinal, offset);
}

/** Reads a LEB128 number below 2^53. */
export function readNumber(bytes: Uint8Array, start: number): number {
  let at = start;
  let byte = bytes[at++] as number;
  let value = byte & 127;
  for (let factor = 128; byte >= 128; factor *= 128) {
    byte = bytes[at++] as number;
    value += (byte & 127) * factor;
  }
  return value;
}

/** Where the number that begins at `start` ends. */
export function numberEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while ((bytes[at] as number) >= 128) at++;
  return at + 1;
}

/** Writes a LEB128 number below 2^53 and returns where it ends. */
export function writeNumber(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x8000_0000; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 128;
  for (; rest >= 128; rest >>>= 7) bytes[at++] = rest | 128;
  bytes[at++] = rest;
  return at;
}

/** How many bytes a number takes as LEB128. */
function numberBytesOf(value: number): number {
  let bytes = 1;
  let rest = value;
  for (; rest >= 0x8000_0000; rest = Math.floor(rest / 128)) bytes++;
  for (; rest >= 128; rest >>>= 7) bytes++;
  return bytes;
}

/** Length of the tail of an entry. */
export function tailBytesOf({ kind, lsn, valueBytes, ordinal, offset }: TreeEntry): number {
  const headBytes = 1 + numberBytesOf(lsn);
  if (kind === ENTRY_INLINE) return headBytes + valueBytes;
  if (kind !== ENTRY_POINTER) return headBytes;
  return headBytes + numberBytesOf(ordinal) + numberBytesOf(offset) + numberBytesOf(valueBytes);
}

/** Writes the tail of an entry at `start`, and returns where it ends. */
export function writeTail(entry: TreeEntry, into: Uint8Array, start: number): number {
  into[start] = entry.kind;
  let at = writeNumber(into, start + 1, entry.lsn);
  if (entry.kind === ENTRY_INLINE) {
    const { text, bytes, valueBytes } = entry;
    assert(valueBytes <= TABLE_INLINE_BYTES_MAX, 'an inline value is too long');
    if (text === '') into.set(bytes, at);
    else writeBinaryString(text, into, at);
    at += valueBytes;
  } else if (entry.kind === ENTRY_POINTER) {
    at = writeNumber(into, at, entry.ordinal);
    at = writeNumber(into, at, entry.offset);
    at = writeNumber(into, at, entry.valueBytes);
  }
  return at;
}
