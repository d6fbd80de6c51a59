/**
 * Verifies the values that lie in the log: of every visible pointer of the tree, record and value.
 *
 * The tree is walked in key order, and what it points to is read in the order in which it lies on the
 * device, so many pointers at a time: memory is bounded whatever the device holds. Each such batch is of
 * one moment, and the next one begins behind its last key with the tree as it is then: so nothing is kept
 * from being used again for longer than a batch takes.
 */
import { bytesOfBinaryString, hasCode } from '@dozo/base';
import type { Damage } from './engine-types.ts';
import type { IndexRow } from './tree/index-range.ts';
import {
  READ_GAP_BYTES_MAX,
  VERIFY_KEYS_AT_ONCE,
  VERIFY_POINTERS_AT_ONCE,
  WALK_WINDOW_BYTES,
} from './limits.ts';
import type { LogSource } from './log-walk.ts';
import { recordBytesOf } from './record.ts';
import type { RecordReader } from './record-reader.ts';
import type { SegmentTable } from './segment-table.ts';
import { ENTRY_POINTER } from './tree/tree-entry.ts';
import type { TreeEntry } from './tree/tree-entry.ts';
import type { TreeView } from './tree/tree-view.ts';

export interface ValueVerification {
  /** Lets go of what the last view needs, and gives the tree as it is now. */
  readonly nextView: () => TreeView;
  readonly source: LogSource;
  readonly segments: SegmentTable;
  readonly records: RecordReader;
  readonly report: (damage: Damage) => void;
  readonly onBytes: (sizeBytes: number) => void;
  readonly onStaleRead: () => void;
  /** Throws when the verification is not wanted any more. */
  readonly stopIfUnwanted: () => void;
}

/** A record that must be there. */
interface Place {
  readonly name: string;
  readonly entry: TreeEntry;
  readonly segment: number;
  readonly sizeBytes: number;
}

/** Verifies, and resolves with the count of visible keys: of each as of when it was looked at. */
export async function verifyValues(options: ValueVerification): Promise<number> {
  let keyCount = 0;
  let from: string | undefined = '';
  while (from !== undefined) {
    const batch: Batch = await collectBatch(options, from);
    await verifyPlaces(options, batch.places);
    keyCount += batch.keyCount;
    from = batch.next;
  }
  return keyCount;
}

/** Keys of one view, and the records that they point to. */
interface Batch {
  keyCount: number;
  readonly places: Place[];
  /** Where the next one begins, if there may be more. */
  next: string | undefined;
}

async function collectBatch(options: ValueVerification, from: string): Promise<Batch> {
  const { source, nextView, stopIfUnwanted } = options;
  const batch: Batch = { keyCount: 0, places: [], next: undefined };
  const { places } = batch;
  let bytes = 0;
  for await (const rows of nextView().entries({ from, reverse: false })) {
    stopIfUnwanted();
    batch.keyCount += rows.length;
    for (const row of rows) {
      const place = placeOf(options, row);
      if (place === undefined) continue;
      places.push(place);
      bytes += place.sizeBytes;
    }
    const isFull =
      batch.keyCount >= VERIFY_KEYS_AT_ONCE ||
      places.length >= VERIFY_POINTERS_AT_ONCE ||
      bytes >= source.geometry.segmentPayloadBytes;
    if (!isFull) continue;
    const last = rows.at(-1);
    if (last !== undefined) batch.next = `${last.key}\0`;
    break;
  }
  return batch;
}

function placeOf(
  { segments, report }: ValueVerification,
  { key: name, entry }: IndexRow<TreeEntry>,
): Place | undefined {
  if (entry.kind !== ENTRY_POINTER) return undefined;
  const segment = segments.segmentOf(entry.ordinal);
  const sizeBytes = recordBytesOf(name.length, entry.valueBytes);
  if (segment !== undefined) return { name, entry, segment, sizeBytes };
  const reason = 'the segment that it lies in has been used again';
  const { lsn } = entry;
  report({ segment: -1, offset: 0, sizeBytes, key: bytesOfBinaryString(name), lsn, reason });
  return undefined;
}

async function verifyPlaces(options: ValueVerification, places: Place[]): Promise<void> {
  places.sort((a, b) => a.segment - b.segment || a.entry.offset - b.entry.offset);
  let start = 0;
  while (start < places.length) {
    options.stopIfUnwanted();
    const end = runEnd(places, start);
    await verifyRun(options, places.slice(start, end));
    start = end;
  }
}

/** The first place that is not read together with the one at `start`. */
function runEnd(places: readonly Place[], start: number): number {
  const first = places[start] as Place;
  let endOffset = first.entry.offset;
  let end = start;
  for (; end < places.length; end++) {
    const { segment, entry, sizeBytes } = places[end] as Place;
    const isFar =
      segment !== first.segment ||
      entry.offset - endOffset > READ_GAP_BYTES_MAX ||
      entry.offset + sizeBytes - first.entry.offset > WALK_WINDOW_BYTES;
    if (isFar && end > start) break;
    endOffset = entry.offset + sizeBytes;
  }
  return end;
}

async function verifyRun(options: ValueVerification, run: readonly Place[]): Promise<void> {
  const { source } = options;
  const first = run[0] as Place;
  const last = run.at(-1) as Place;
  const start = first.entry.offset;
  const sizeBytes = last.entry.offset + last.sizeBytes - start;
  const bytes = await readUnlessBroken(() => source.read(first.segment, start, sizeBytes));
  for (const place of run) {
    const at = place.entry.offset - start;
    await verifyPlace(options, place, bytes?.subarray(at, at + place.sizeBytes));
  }
}

async function verifyPlace(
  { source, records, report, onBytes, onStaleRead }: ValueVerification,
  { name, entry, segment, sizeBytes }: Place,
  record: Uint8Array | undefined,
): Promise<void> {
  onBytes(sizeBytes);
  const isRight = record !== undefined && records.problemOf(name, entry, record) === undefined;
  if (isRight) return;
  const again = await readUnlessBroken(() =>
    source.uncached.read(segment, entry.offset, sizeBytes),
  );
  const reason =
    again === undefined ? 'the device cannot read it' : records.problemOf(name, entry, again);
  if (reason === undefined) {
    onStaleRead();
    return;
  }
  const offset = source.place(segment, entry.offset);
  const { lsn } = entry;
  report({ segment, offset, sizeBytes, key: bytesOfBinaryString(name), lsn, reason });
}

/** What the device cannot read at all is damage too, not the end of the verification. */
export async function readUnlessBroken<Result>(
  read: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    if (hasCode(error, 'DEVICE_READ_FAILED')) return undefined;
    throw error;
  }
}
