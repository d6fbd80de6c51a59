/** Replays the records of the log into the memtable of a catalog. */
import { binaryStringOf } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { WalkedGroup } from './log-walk.ts';
import {
  RECORD_CHECKPOINT_PAGE,
  RECORD_DELETE,
  RECORD_DELETE_RANGE,
  RECORD_MANIFEST,
  headBytesOf,
  isValueIntact,
} from './record.ts';
import type { RecordHead } from './record.ts';
import { isInline } from './space.ts';
import { TreeEntry } from './tree/tree-entry.ts';

/** Where bytes of the log come from. */
export interface ReplayPlace {
  readonly segment: number;
  readonly ordinal: number;
  /** Byte offset in the segment of the first of the bytes. */
  readonly offset: number;
}

/** See the file comment. The catalog knows the segments of what is replayed. */
export class Replayer {
  readonly #catalog: Catalog;
  nextLsn = 1;
  lastCheckpoint = 0;
  /** Whether anything but manifests was replayed since this was set to false. */
  hasContent = false;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Replays a group whose heads are intact; false when a range delete in it is damaged. */
  replay({ header, bytes, at, heads }: WalkedGroup): boolean {
    const { segment, segmentOrdinal: ordinal, offset } = header;
    const place = { segment, ordinal, offset: offset - at };
    let isWhole = true;
    for (const head of heads ?? []) isWhole = this.replayRecord(bytes, head, place) && isWhole;
    return isWhole;
  }

  /** Replays one record; false when it is a range delete whose end is damaged. */
  replayRecord(bytes: Uint8Array, head: RecordHead, place: ReplayPlace): boolean {
    const { type, lsn } = head;
    if (type === RECORD_CHECKPOINT_PAGE) this.lastCheckpoint = Math.max(this.lastCheckpoint, lsn);
    if (type === RECORD_MANIFEST || type === RECORD_CHECKPOINT_PAGE) return true;
    this.nextLsn = Math.max(this.nextLsn, lsn + 1);
    this.hasContent = true;
    const key = binaryStringOf(bytes, head.keyStart, head.keyEnd);
    if (type === RECORD_DELETE_RANGE) return this.#replayRange(bytes, head, place, key);
    if (type === RECORD_DELETE) this.#catalog.set(key, TreeEntry.delete(lsn));
    else this.#catalog.set(key, this.#entryOf(bytes, head, place));
    return true;
  }

  #entryOf(bytes: Uint8Array, head: RecordHead, place: ReplayPlace): TreeEntry {
    const { lsn, valueStart, valueBytes } = head;
    const seed = this.#catalog.segments.seedOf(place.segment);
    // A short value that is damaged stays where it is: reading it says so.
    if (isInline(valueBytes) && isValueIntact(bytes, head, seed)) {
      return TreeEntry.held(lsn, binaryStringOf(bytes, valueStart, valueStart + valueBytes));
    }
    const start = valueStart - headBytesOf(head.keyEnd - head.keyStart, valueBytes);
    return TreeEntry.pointer(lsn, valueBytes, place.ordinal, place.offset + start);
  }

  #replayRange(bytes: Uint8Array, head: RecordHead, place: ReplayPlace, from: string): boolean {
    const seed = this.#catalog.segments.seedOf(place.segment);
    if (!isValueIntact(bytes, head, seed)) return false;
    const to = binaryStringOf(bytes, head.valueStart, head.valueStart + head.valueBytes);
    if (from < to) this.#catalog.deleteRange(from, to);
    return true;
  }
}
