import { ByteReader, ByteWriter, CodecError } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyArbitrary } from '../../tests/table-content.ts';
import { BLOCK_BYTES } from '../limits.ts';
import { decodeFooter, encodeFooter } from './table-footer.ts';
import { decodeTableMeta, encodeTableMeta, tableMetaBytesOf } from './table-meta.ts';
import type { TableMeta } from './table-meta.ts';

const sample: TableMeta = {
  number: 12,
  segment: 3,
  ordinal: 40,
  offset: 8192,
  seed: 0xfedc_ba98,
  sizeBytes: 65_536,
  filter: { offset: 60_000, sizeBytes: 68 },
  ranges: { offset: 60_068, sizeBytes: 20 },
  index: { offset: 60_088, sizeBytes: 400 },
  entryCount: 50,
  deleteCount: 5,
  pointerCount: 7,
  rangeCount: 1,
  dataBytes: 5000,
  lsnMax: 99,
  smallest: 'a',
  end: 'b\0',
};

const count = fc.nat(2 ** 31 - 1);
const metaArbitrary = fc
  .record({
    number: fc.maxSafeNat(),
    segment: count,
    ordinal: fc.maxSafeNat(),
    offset: fc.nat(16_000).map((blocks) => blocks * BLOCK_BYTES),
    seed: fc.nat(2 ** 32 - 1),
    sizes: fc.tuple(fc.nat(9000), fc.integer({ min: 1, max: 9000 }), fc.nat(9000)),
    counts: fc.tuple(count, count, count),
    dataBytes: fc.maxSafeNat(),
    lsnMax: fc.maxSafeNat(),
    bounds: fc.tuple(keyArbitrary, keyArbitrary),
  })
  .map(({ sizes: [data, filter, range], counts, bounds, ...rest }): TableMeta => {
    const ranges = range === 0 ? undefined : { offset: data + filter, sizeBytes: range };
    const index = { offset: data + filter + range, sizeBytes: 18 };
    const sizeBytes = (Math.floor((index.offset + 18) / BLOCK_BYTES) + 2) * BLOCK_BYTES;
    const [smallest, other] = bounds.toSorted();
    return {
      ...rest,
      sizeBytes,
      filter: { offset: data, sizeBytes: filter },
      ranges,
      index,
      entryCount: Math.max(...counts),
      deleteCount: Math.floor(counts[0] / 2),
      pointerCount: Math.floor(counts[1] / 2),
      rangeCount: ranges === undefined ? 0 : Math.max(1, counts[2]),
      smallest: smallest ?? '',
      end: `${other ?? ''}\0`,
    };
  });

function encoded(meta: TableMeta): Uint8Array {
  const writer = new ByteWriter();
  encodeTableMeta(writer, meta);
  return writer.finish();
}

describe('the meta of a table', () => {
  it('is read as it was written, and has the length that was said', () => {
    fc.assert(
      fc.property(metaArbitrary, (meta) => {
        const bytes = encoded(meta);
        expect(bytes.length).toBe(tableMetaBytesOf(meta));
        const reader = new ByteReader(bytes, 'a meta');
        expect(decodeTableMeta(reader)).toEqual(meta);
        reader.expectEnd();
      }),
    );
  });

  const { filter, index } = sample;
  it.each<[string, Partial<TableMeta>]>([
    ['begins inside a block', { offset: 100 }],
    ['has a size that is not one of whole blocks', { sizeBytes: 65_537 }],
    ['has no size', { sizeBytes: 0 }],
    ['has an index past its end', { index: { offset: 65_500, sizeBytes: 100 } }],
    ['has ranges in its filter', { ranges: { offset: filter.offset + 1, sizeBytes: 20 } }],
    ['has an index in its ranges', { index: { ...index, offset: 60_070 } }],
    ['has no index', { index: { offset: 0, sizeBytes: 0 } }],
    ['has no filter', { filter: { offset: 0, sizeBytes: 0 } }],
    ['has empty bounds', { end: 'a' }],
    ['has a bound that is too long', { end: 'b'.repeat(1538) }],
    ['has more deletes than entries', { deleteCount: 51 }],
    ['counts range deletes that it does not have', { ranges: undefined }],
    ['does not count the range deletes that it has', { rangeCount: 0 }],
  ])('is refused when the table %s', (_, change) => {
    const bytes = encoded({ ...sample, ...change });
    expect(() => decodeTableMeta(new ByteReader(bytes, 'a meta'))).toThrow(CodecError);
  });
});

describe('the footer of a table', () => {
  const { segment, ordinal, offset, ...content } = sample;
  const blockOf = (footer: Uint8Array): Uint8Array => {
    const block = new Uint8Array(BLOCK_BYTES).fill(0xaa);
    block.set(footer, BLOCK_BYTES - footer.length);
    return block;
  };

  it('is read from the last block of the table', () => {
    expect([segment, ordinal, offset]).toEqual([3, 40, 8192]);
    expect(decodeFooter(blockOf(encodeFooter(content)))).toEqual(content);
  });

  it('fits a block with the longest bounds', () => {
    const bounds = { smallest: 'a'.repeat(1536), end: 'b'.repeat(1537) };
    const block = blockOf(encodeFooter({ ...content, ...bounds }));
    expect(decodeFooter(block)).toEqual({ ...content, ...bounds });
  });

  it('is not found where no table ends, or where any bit of it is wrong', () => {
    expect(decodeFooter(new Uint8Array(BLOCK_BYTES))).toBeUndefined();
    const footer = encodeFooter(content);
    const block = blockOf(footer);
    for (let bit = 8 * (BLOCK_BYTES - footer.length); bit < 8 * BLOCK_BYTES; bit++) {
      const flipped = block.slice();
      flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      expect([bit, decodeFooter(flipped)]).toEqual([bit, undefined]);
    }
  });
});
