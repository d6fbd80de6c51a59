import { ByteWriter, CodecError, binaryStringOf } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rangesArbitrary } from '../../tests/table-content.ts';
import { RangeSet } from '../tree/range-set.ts';
import { decodeRanges, encodeRanges, packRanges } from './ranges-block.ts';
import { isBlockIntact } from './table-format.ts';

describe('the range deletes of a table', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(rangesArbitrary(), fc.nat(), (ranges, seed) => {
        const block = encodeRanges(ranges, seed);
        expect(isBlockIntact(block, seed)).toBe(true);
        expect(decodeRanges(block).list()).toEqual(ranges.list());
      }),
    );
  });

  it('may end at the key just after a longest one', () => {
    const ranges = RangeSet.of([{ from: 'a', to: `${'a'.repeat(1536)}\0` }]);
    expect(decodeRanges(encodeRanges(ranges, 1)).list()).toEqual(ranges.list());
  });

  const blockOf = (bounds: readonly string[], count = bounds.length / 2): Uint8Array => {
    const writer = new ByteWriter().uint32(0).uint32(count);
    for (const bound of bounds) {
      writer.uint16(bound.length);
      for (const character of bound) writer.uint8(character.charCodeAt(0));
    }
    return writer.finish();
  };

  it.each([
    ['that are empty', blockOf(['b', 'b'])],
    ['that end before they begin', blockOf(['b', 'a'])],
    ['that overlap', blockOf(['a', 'c', 'b', 'd'])],
    ['that are not in order', blockOf(['c', 'd', 'a', 'b'])],
    ['whose bound is too long', blockOf(['a', 'b'.repeat(1538)])],
    ['that are fewer than their count', blockOf(['a', 'b'], 2)],
    ['that are more than their count', blockOf(['a', 'b', 'c', 'd'], 1)],
  ])('are refused when there are intervals %s', (_, block) => {
    expect(() => decodeRanges(block)).toThrow(CodecError);
  });

  it('are packed one bound after the other', () => {
    fc.assert(
      fc.property(rangesArbitrary(), (ranges) => {
        const { bytes, ends } = packRanges(ranges);
        const bounds = [...ends].map((end, index) =>
          binaryStringOf(bytes, ends[index - 1] ?? 0, end),
        );
        expect(bounds).toEqual(ranges.list().flatMap(({ from, to }) => [from, to]));
      }),
    );
  });
});
