import { describe, expect, it } from 'vitest';

import { alignedBytes, isAligned } from './aligned-bytes.ts';

describe('alignedBytes', () => {
  it('gives zeroed memory of the size asked for, and knows it and its blocks again', () => {
    const bytes = alignedBytes(3 * 4096);
    expect(bytes).toEqual(new Uint8Array(3 * 4096));
    expect(isAligned(bytes)).toBe(true);
    expect(isAligned(bytes.subarray(4096, 8192))).toBe(true);
    expect(isAligned(bytes.subarray(512))).toBe(false);
    expect(isAligned(new Uint8Array(4096))).toBe(false);
  });

  it('is whole blocks', () => {
    expect(() => alignedBytes(4095)).toThrow('whole blocks');
    expect(() => alignedBytes(0)).toThrow('whole blocks');
  });
});
