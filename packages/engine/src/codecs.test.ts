/** The codecs of everything on the device: round trips, and what damage does to them. */
import fc from 'fast-check';
import { concatBytes } from '@dozo/base';
import { describe, expect, test } from 'vitest';
import {
  decodeCheckpointPage,
  encodeCounters,
  encodeSegmentRows,
  encodeTables,
} from './checkpoint-page.ts';
import { encodeHistory } from './claim-history.ts';
import { planGeometry } from './geometry.ts';
import { GroupBuilder, decodeGroupHeader } from './group.ts';
import {
  FENCES_MAX,
  NOTE_KEYS_MAX,
  NOTE_KEY_BYTES_MAX,
  VALUE_BLOCK_BYTES,
  ZOMBIE_NOTES_MAX,
} from './limits.ts';
import { decodeManifest, encodeManifest, manifestBytesOf } from './manifest.ts';
import { decodeRecordHead, encodeRecordHead, headBytesOf } from './record.ts';
import { isValueIntact, recordBytesOf, valueChecksums } from './record.ts';
import { decodeSegmentHeader, encodeSegmentHeader } from './segment-header.ts';
import { decodeSuperblock, encodeSuperblock } from './superblock.ts';
import { tableMetaBytesOf } from './table/table-meta.ts';
import type { TableMeta } from './table/table-meta.ts';

const natural = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: 'grapheme', maxLength: 8 });
const number32 = fc.nat({ max: 0xffff_ffff });
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const identity = fc.record({ incarnation: natural, nonce: bytes16 });
const key = fc.uint8Array({ minLength: 1, maxLength: 80 });

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  const at = (bit >> 3) % copy.length;
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

describe('records', () => {
  const record = fc.record({ key, value: fc.uint8Array({ maxLength: 300 }), lsn: natural });

  test('decode to what was encoded, and only under their seed', () => {
    fc.assert(
      fc.property(record, number32, ({ key: name, value, lsn }, seed) => {
        const bytes = new Uint8Array(recordBytesOf(name.length, value.length));
        const checksums = valueChecksums(value, seed);
        const at = encodeRecordHead(bytes, 0, { type: 1, key: name, value, checksums, lsn }, seed);
        bytes.set(value, at);
        const head = decodeRecordHead(bytes, 0, bytes.length, seed);
        expect(head).toMatchObject({ type: 1, lsn, valueBytes: value.length, valueStart: at });
        expect(head !== undefined && isValueIntact(bytes, head, seed)).toBe(true);
        expect(decodeRecordHead(bytes, 0, bytes.length, seed ^ 1)).toBeUndefined();
      }),
    );
  });

  test('a flipped bit is found, in the head or in the value', () => {
    fc.assert(
      fc.property(record, fc.nat(), ({ key: name, value, lsn }, bit) => {
        const bytes = new Uint8Array(recordBytesOf(name.length, value.length));
        const checksums = valueChecksums(value, 7);
        bytes.set(
          value,
          encodeRecordHead(bytes, 0, { type: 1, key: name, value, checksums, lsn }, 7),
        );
        const damaged = flip(bytes, bit);
        const head = decodeRecordHead(damaged, 0, damaged.length, 7);
        expect(head !== undefined && isValueIntact(damaged, head, 7)).toBe(false);
      }),
    );
  });

  test('a large value has a checksum for each 64 KiB', () => {
    const value = new Uint8Array(3 * VALUE_BLOCK_BYTES + 1).fill(5);
    expect(valueChecksums(value, 1)).toHaveLength(4);
    expect(headBytesOf(10, value.length)).toBe(20 + 10 + 16);
    expect(valueChecksums(new Uint8Array(0), 1)).toEqual([]);
  });
});

describe('groups', () => {
  test('hold the records where they say, with values copied or from where they are', () => {
    const builder = new GroupBuilder(64);
    for (const sizes of [[0], [10, 70_000, 5], [65_536, 200_000], Array<number>(200).fill(100)]) {
      builder.begin();
      const values = sizes.map((size) => new Uint8Array(size).fill(size & 255));
      const offsets = values.map((value, index) => {
        const checksums = valueChecksums(value, 9);
        return builder.add(
          { type: 1, key: Uint8Array.of(index), value, checksums, lsn: index + 5 },
          9,
        );
      });
      const place = { segment: 3, offset: 8192, segmentOrdinal: 17, index: 2, wallMs: 1000 };
      const bytes = concatBytes(builder.finish(place, 9));
      expect(bytes.length % 4096).toBe(0);
      expect(decodeGroupHeader(bytes, 0, 9)).toMatchObject({
        ...place,
        recordCount: sizes.length,
        firstLsn: 5,
        lastLsn: 4 + sizes.length,
      });
      expect(decodeGroupHeader(bytes, 0, 8)).toBeUndefined();
      offsets.forEach((offset, index) => {
        const head = decodeRecordHead(bytes, offset, bytes.length, 9);
        expect(head).toMatchObject({ lsn: index + 5, valueBytes: sizes[index] });
        expect(head !== undefined && isValueIntact(bytes, head, 9)).toBe(true);
      });
    }
  });
});

describe('structures', () => {
  test('a manifest decodes to what was encoded', () => {
    const part = fc.record({
      segment: number32,
      ordinal: natural,
      identity,
      start: number32,
      end: number32,
      firstGroup: number32,
    });
    const page = fc.record({
      segment: number32,
      ordinal: natural,
      offset: number32,
      valueBytes: number32,
    });
    const claim = {
      identity,
      host: text,
      podName: text,
      processId: number32,
      sinceWallMs: natural,
      by: identity,
      fencedWallMs: natural,
    };
    const fence = fc.record({
      ...claim,
      segment: number32,
      ordinal: natural,
      end: number32,
      segments: fc.array(number32, { maxLength: 20 }),
    });
    const note = fc.record({
      ...claim,
      proof: fc.constantFrom(
        'released',
        'stopped',
        'kernel',
        'rebooted',
        'operator',
        'lease',
        'unknown',
      ),
      notedWallMs: natural,
      groupCount: number32,
      recordCount: natural,
      bytes: natural,
      firstWallMs: natural,
      lastWallMs: natural,
      keys: fc.array(fc.uint8Array({ maxLength: NOTE_KEY_BYTES_MAX }), {
        maxLength: NOTE_KEYS_MAX,
      }),
    });
    const manifest = fc.record({
      nextLsn: natural,
      nextOrdinal: natural,
      checkpoint: natural,
      pages: fc.array(page),
      parts: fc.array(part),
      history: fc.record({
        fences: fc.array(fence, { maxLength: FENCES_MAX }),
        notes: fc.array(note, { maxLength: ZOMBIE_NOTES_MAX }),
      }),
    });
    fc.assert(
      fc.property(manifest, (value) => {
        const bytes = encodeManifest(value);
        const historyBytes = encodeHistory(value.history).length;
        const sizeBytes = manifestBytesOf(value.pages.length, value.parts.length, historyBytes);
        expect(bytes.length).toBe(sizeBytes);
        expect(decodeManifest(bytes)).toEqual(value);
      }),
    );
    expect(() => decodeManifest(new Uint8Array(36).fill(255))).toThrow('manifest');
    expect(() => decodeManifest(new Uint8Array(3))).toThrow('manifest');
  });

  /** A table with these numbers, as consistent as the decoder wants it. */
  const table = fc
    .record({
      level: fc.nat({ max: 6 }),
      run: number32,
      number: natural,
      segment: number32,
      blocks: fc.integer({ min: 1, max: 1000 }),
      seed: number32,
      entryCount: number32,
      rangeCount: fc.nat({ max: 3 }),
      smallest: fc.string({ unit: 'binary-ascii', maxLength: 40 }),
      suffix: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }),
    })
    .map(({ level, run, blocks, smallest, suffix, ...rest }) => {
      const meta: TableMeta = {
        ...rest,
        ordinal: rest.number,
        offset: 4096 * blocks,
        sizeBytes: 4096 * blocks,
        filter: { offset: 100, sizeBytes: 64 },
        ranges: rest.rangeCount === 0 ? undefined : { offset: 164, sizeBytes: 32 },
        index: { offset: 196, sizeBytes: 100 },
        deleteCount: rest.entryCount >>> 2,
        pointerCount: rest.entryCount >>> 1,
        dataBytes: 77 * rest.entryCount,
        lsnMax: rest.number,
        smallest,
        end: smallest + suffix,
      };
      return { level, run, meta };
    });

  test('checkpoint pages decode to the tables that were encoded, each with as many as fit', () => {
    fc.assert(
      fc.property(
        fc.array(table, { minLength: 1 }),
        fc.integer({ min: 1, max: 2000 }),
        (all, size) => {
          const found: unknown[] = [];
          for (let next = 0; next < all.length;) {
            const start = next;
            const encoded = encodeTables(all, start, size);
            next = encoded.next;
            expect(next).toBeGreaterThan(start);
            // A table that is longer than a page has one of its own.
            if (next > start + 1) expect(encoded.page.length).toBeLessThanOrEqual(size);
            const { meta } = all[next] ?? {};
            if (meta !== undefined) {
              expect(encoded.page.length + 5 + tableMetaBytesOf(meta)).toBeGreaterThan(size);
            }
            const page = decodeCheckpointPage(encoded.page);
            expect(page.kind).toBe('tables');
            if (page.kind === 'tables') found.push(...page.tables);
            const cut = encoded.page.subarray(0, encoded.page.length - 1);
            expect(() => decodeCheckpointPage(cut)).toThrow('a checkpoint page');
          }
          expect(found).toEqual(all);
        },
      ),
    );
  });

  test('checkpoint pages decode to the pieces of log and the counters that were encoded', () => {
    const row = fc.record({
      segment: number32,
      ordinal: natural,
      seed: number32,
      end: number32,
      liveBytes: natural,
    });
    fc.assert(
      fc.property(fc.array(row), natural, natural, (rows, keyCount, nextTableNumber) => {
        const page = encodeSegmentRows(rows);
        expect(decodeCheckpointPage(page)).toEqual({ kind: 'segments', rows });
        if (rows.length > 0) {
          expect(() => decodeCheckpointPage(page.subarray(0, page.length - 1))).toThrow('page');
        }
        const counters = { keyCount, nextTableNumber };
        const encoded = encodeCounters(counters);
        expect(decodeCheckpointPage(encoded)).toEqual({ kind: 'counters', counters });
        expect(() => decodeCheckpointPage(encoded.subarray(0, 16))).toThrow('page');
      }),
    );
    expect(() => decodeCheckpointPage(Uint8Array.of(9))).toThrow('kind');
    expect(() => decodeCheckpointPage(new Uint8Array(0))).toThrow('page');
  });

  test('a segment header decodes to what was encoded, and is refused with a flipped bit', () => {
    const previous = fc.record({ segment: number32, ordinal: natural, end: number32 });
    const header = fc.record(
      { deviceId: bytes16, segment: number32, ordinal: natural, identity, previous },
      { requiredKeys: ['deviceId', 'segment', 'ordinal', 'identity'] },
    );
    fc.assert(
      fc.property(header, fc.nat(), (value, bit) => {
        for (const kind of ['log', 'tables'] as const) {
          const block = encodeSegmentHeader(value, kind);
          expect(decodeSegmentHeader(block, kind)).toEqual(value);
          expect(decodeSegmentHeader(flip(block, bit), kind)).toBeUndefined();
          // Neither is ever taken for the other.
          expect(decodeSegmentHeader(block, kind === 'log' ? 'tables' : 'log')).toBeUndefined();
        }
      }),
    );
  });

  test('a superblock decodes to what was encoded, and says when it is damaged', () => {
    const geometry = planGeometry(1024 ** 3);
    if ('neededBytes' in geometry) throw new Error('a GiB is enough');
    const superblock = {
      deviceId: new Uint8Array(16).fill(3),
      geometry,
      beatIntervalMs: 1000,
      leaseMs: 5000,
      isLocal: true,
      createdWallMs: 1_700_000_000_000,
    };
    const block = encodeSuperblock(superblock);
    expect(decodeSuperblock(block)).toEqual({ kind: 'valid', superblock });
    fc.assert(
      fc.property(fc.integer({ min: 64, max: 4096 * 8 - 1 }), (bit) => {
        expect(decodeSuperblock(flip(block, bit)).kind).toBe('damaged');
      }),
    );
    expect(decodeSuperblock(flip(block, 3)).kind).toBe('foreign');
    const short = encodeSuperblock({ ...superblock, leaseMs: 2000 });
    expect(decodeSuperblock(short).kind).toBe('damaged');
  });
});
