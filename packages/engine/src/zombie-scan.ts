/**
 * Looks at what a claim wrote past its fence: where nobody reads, and so only for people.
 *
 * Every block of the claim's segments that holds the header of a group of that claim (the checksum is
 * seeded with its nonce, and the header names its own place) is the beginning of a group; its records
 * are counted as far as they are whole. Anything else is passed over. Memory is bounded by one read and
 * one group, whatever is found. Read uncached: the writer used another page cache.
 *
 * Tables that it wrote are passed over. They say nothing that it had not logged before: a flush writes what
 * its log holds, a merge what older tables did. So every write that it took is counted by its record, and a
 * zombie that only merged has taken none. What is found is what is still there: a segment of its own that
 * it has used again holds its later records alone, as it would without tables.
 */
import { hasCode, uninitialisedBytes } from '@dozo/base';
import type { Device } from '@dozo/base';
import type { Fence, ZombieFindings } from './claim-history.ts';
import { decodeGroupHeader, padded } from './group.ts';
import type { GroupHeader } from './group.ts';
import { BLOCK_BYTES, NOTE_KEYS_MAX, NOTE_KEY_BYTES_MAX, WALK_WINDOW_BYTES } from './limits.ts';
import { LogSource, decodeHeads } from './log-walk.ts';
import { RECORD_DELETE, RECORD_DELETE_RANGE, RECORD_PUT } from './record.ts';
import type { RecordType } from './record.ts';
import { seedOf } from './segment-header.ts';
import type { Superblock } from './superblock.ts';

/** What users write. The other records are the engine's own. */
const WRITES: ReadonlySet<RecordType> = new Set([RECORD_PUT, RECORD_DELETE, RECORD_DELETE_RANGE]);

/** Whose writes, past which place, in which segments. */
export interface ZombieScanOptions {
  readonly device: Device;
  readonly superblock: Superblock;
  /**
   * The fence; for a claim that has none, of which nothing counts, ordinal and end 0 and the segments
   * that its slot reserves.
   */
  readonly fence: Pick<Fence, 'identity' | 'ordinal' | 'end' | 'segments'>;
  readonly signal?: AbortSignal;
  /** Ends the scan early, with what was found so far. */
  readonly isOver?: () => boolean;
}

/**
 * Scans. The claim may still be writing: what it has written when its segment is read is found.
 * Segments that the device cannot read are passed over. Rejects with the signal's reason, and with
 * `DEVICE_CLOSED`.
 */
export async function scanZombie(options: ZombieScanOptions): Promise<ZombieFindings> {
  const scan = new ZombieScan(options);
  const { segmentCount } = options.superblock.geometry;
  for (const segment of options.fence.segments) {
    if (segment >= segmentCount) continue;
    try {
      await scan.segment(segment);
    } catch (error) {
      if (!hasCode(error, 'DEVICE_READ_FAILED')) throw error;
    }
  }
  return scan.findings();
}

class ZombieScan {
  readonly #source: LogSource;
  readonly #fence: ZombieScanOptions['fence'];
  readonly #signal: AbortSignal | undefined;
  readonly #isOver: () => boolean;
  readonly #seed: number;
  readonly #keys: Uint8Array[] = [];
  #groupCount = 0;
  #recordCount = 0;
  #bytes = 0;
  #firstWallMs = 0;
  #lastWallMs = 0;

  constructor(options: ZombieScanOptions) {
    this.#source = new LogSource(options.device, options.superblock.geometry);
    this.#fence = options.fence;
    this.#signal = options.signal;
    this.#isOver = options.isOver ?? (() => false);
    this.#seed = seedOf(options.fence.identity);
  }

  async segment(segment: number): Promise<void> {
    const end = this.#source.geometry.segmentStrideBytes;
    let start = BLOCK_BYTES;
    while (start < end && !this.#isOver()) {
      this.#signal?.throwIfAborted();
      const sizeBytes = Math.min(WALK_WINDOW_BYTES, end - start);
      const window = await this.#source.readUncached(segment, start, sizeBytes);
      let at = 0;
      while (at < window.length) {
        const header = decodeGroupHeader(window, at, this.#seed);
        if (header === undefined || !this.#isZombie(header, segment, start + at)) {
          at += BLOCK_BYTES;
          continue;
        }
        const groupBytes = Math.min(padded(header.sizeBytes), end - start - at);
        await this.#count(header, window.subarray(at), groupBytes);
        at += groupBytes;
      }
      start += at;
    }
  }

  findings(): ZombieFindings {
    return {
      groupCount: this.#groupCount,
      recordCount: this.#recordCount,
      bytes: this.#bytes,
      firstWallMs: this.#firstWallMs,
      lastWallMs: this.#lastWallMs,
      keys: this.#keys,
    };
  }

  #isZombie(header: GroupHeader, segment: number, offset: number): boolean {
    const { ordinal, end } = this.#fence;
    if (header.segment !== segment || header.offset !== offset || header.sizeBytes === 0) {
      return false;
    }
    return header.segmentOrdinal > ordinal || (header.segmentOrdinal === ordinal && offset >= end);
  }

  async #count(header: GroupHeader, inWindow: Uint8Array, groupBytes: number): Promise<void> {
    this.#groupCount++;
    this.#bytes += groupBytes;
    const { wallMs } = header;
    this.#firstWallMs = this.#groupCount === 1 ? wallMs : Math.min(this.#firstWallMs, wallMs);
    this.#lastWallMs = Math.max(this.#lastWallMs, wallMs);
    if (header.sizeBytes > groupBytes) return;
    const group =
      inWindow.length >= groupBytes
        ? inWindow
        : await this.#source.readUncached(header.segment, header.offset, groupBytes);
    // A group that was torn counts as one without records.
    for (const head of decodeHeads(group, 0, header, this.#seed) ?? []) {
      if (!WRITES.has(head.type)) continue;
      this.#recordCount++;
      if (this.#keys.length >= NOTE_KEYS_MAX) continue;
      const keyEnd = Math.min(head.keyEnd, head.keyStart + NOTE_KEY_BYTES_MAX);
      const key = uninitialisedBytes(keyEnd - head.keyStart);
      key.set(group.subarray(head.keyStart, keyEnd));
      this.#keys.push(key);
    }
  }
}
