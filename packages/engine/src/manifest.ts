/**
 * The manifest: a record that says what recovery has to read.
 *
 * It names the pages of the newest complete checkpoint, and the closed parts of the log from where that
 * one's replay begins, each with its exact start and end. The log goes on after the manifest itself.
 * The first group of every segment holds one, so that what lies before it is closed by what is
 * durable; a new claim's first one is its *fence*: nothing beyond the ends that it names is ever read.
 * What it remembers of other claims is in `claim-history.ts`.
 */
import { ByteReader, ByteWriter } from '@dozo/base';
import type { ClaimIdentity } from '@dozo/claim';
import { decodeHistory, encodeHistory } from './claim-history.ts';
import type { ClaimHistory } from './claim-history.ts';

/** A part of the log: whole groups of one use of a segment. */
export interface LogPart {
  readonly segment: number;
  readonly ordinal: number;
  /** Who wrote it. */
  readonly identity: ClaimIdentity;
  /** Byte offsets in the segment, `[start, end)`, multiples of 4,096. */
  readonly start: number;
  readonly end: number;
  /** Index of the group at `start`. */
  readonly firstGroup: number;
}

/** Where a checkpoint page lies: a record in one of the parts, or in the manifest's own segment. */
export interface PagePlace {
  readonly segment: number;
  readonly ordinal: number;
  /** Byte offset in the segment. */
  readonly offset: number;
  readonly valueBytes: number;
}

/** What recovery needs to know. */
export interface Manifest {
  /** A batch that is written after this manifest has at least this number. */
  readonly nextLsn: number;
  /** The ordinal after that of the manifest's own segment. */
  readonly nextOrdinal: number;
  /** Number of the checkpoint, 0 when there is none; its pages carry it as their LSN. */
  readonly checkpoint: number;
  readonly pages: readonly PagePlace[];
  /** In the order of the log. */
  readonly parts: readonly LogPart[];
  /** Fences of claims whose processes may live, and notes on those that did. */
  readonly history: ClaimHistory;
}

const VERSION = 3;
const PART_BYTES = 48;
const PAGE_BYTES = 20;
const FIXED_BYTES = 36;

/** How long the value of a manifest is, in bytes; `historyBytes` is what {@link encodeHistory} gives. */
export function manifestBytesOf(
  pageCount: number,
  partCount: number,
  historyBytes: number,
): number {
  return FIXED_BYTES + PAGE_BYTES * pageCount + PART_BYTES * partCount + historyBytes;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const { pages, parts } = manifest;
  const history = encodeHistory(manifest.history);
  const writer = new ByteWriter(manifestBytesOf(pages.length, parts.length, history.length));
  writer.uint32(VERSION).uint64(manifest.nextLsn).uint64(manifest.nextOrdinal);
  writer.uint64(manifest.checkpoint).uint32(pages.length).uint32(parts.length);
  for (const page of pages) {
    writer.uint32(page.segment).uint64(page.ordinal).uint32(page.offset).uint32(page.valueBytes);
  }
  for (const part of parts) {
    writer.uint32(part.segment).uint64(part.ordinal).uint64(part.identity.incarnation);
    writer.bytes(part.identity.nonce).uint32(part.start).uint32(part.end).uint32(part.firstGroup);
  }
  return writer.bytes(history).finish();
}

/** Throws `CodecError`. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const reader = new ByteReader(bytes, 'a manifest');
  const version = reader.uint32();
  if (version !== VERSION) throw reader.invalid(`its version is ${version}`);
  const numbers = {
    nextLsn: reader.uint64(),
    nextOrdinal: reader.uint64(),
    checkpoint: reader.uint64(),
  };
  const [pageCount, partCount] = [reader.uint32(), reader.uint32()];
  if (reader.remaining < PAGE_BYTES * pageCount + PART_BYTES * partCount) {
    throw reader.invalid('its length does not fit its counts');
  }
  const pages = Array.from({ length: pageCount }, () => ({
    segment: reader.uint32(),
    ordinal: reader.uint64(),
    offset: reader.uint32(),
    valueBytes: reader.uint32(),
  }));
  const parts = Array.from({ length: partCount }, () => ({
    segment: reader.uint32(),
    ordinal: reader.uint64(),
    identity: { incarnation: reader.uint64(), nonce: reader.bytes(16) },
    start: reader.uint32(),
    end: reader.uint32(),
    firstGroup: reader.uint32(),
  }));
  const history = decodeHistory(reader);
  reader.expectEnd();
  return { ...numbers, pages, parts, history };
}
