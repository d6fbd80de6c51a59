import { describe, expect, it } from 'vitest';

import { formatSize, parseSizeBytes } from './sizes.ts';

describe('parseSizeBytes', () => {
  it.each([
    ['4096', 4096],
    ['20GiB', 20 * 2 ** 30],
    ['20 gib', 20 * 2 ** 30],
    ['1.5TB', 1.5e12],
    ['64Mi', 64 * 2 ** 20],
    ['3KiB', 3072],
    [' 7b ', 7],
    ['0.5KiB', 512],
  ])('reads %j', (text, expected) => {
    expect(parseSizeBytes(text)).toBe(expected);
  });

  it.each(['', '0', 'x', '-1', '5G', '1e9', '20GiB!', '0.1', '99999999TiB', 'constructor'])(
    'refuses %j and shows how to write it',
    (text) => {
      expect(() => parseSizeBytes(text)).toThrow(
        expect.objectContaining({
          code: 'USAGE_INVALID',
          message: expect.stringMatching(/20GiB/) as string,
        }),
      );
    },
  );
});

describe('formatSize', () => {
  it.each([
    [0, '0 bytes'],
    [1023, '1023 bytes'],
    [1536, '1.5 KiB'],
    [20 * 2 ** 30, '20 GiB'],
    [2 ** 51, '2048 TiB'],
  ])('writes %d', (sizeBytes, expected) => {
    expect(formatSize(sizeBytes)).toBe(expected);
  });
});
