import type { Device } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { BLANK_CHECK_EDGE_BYTES, BLANK_CHECK_WHOLE_BYTES } from '../limits.ts';
import { findContent, spansToRead } from './blank-check.ts';

const TIB = 2 ** 40;

/** A device of zeros, with one byte at `at` that is not. */
function deviceWithByte(sizeBytes: number, at: number | undefined): Device {
  const unused = (): never => {
    throw new Error('the check only reads');
  };
  return {
    path: '/dev/test',
    sizeBytes,
    lockIdentity: { kind: 'none', name: '' },
    read: (offset, into) => {
      expect(offset + into.length).toBeLessThanOrEqual(sizeBytes);
      into.fill(0);
      if (at !== undefined && at >= offset && at < offset + into.length) into[at - offset] = 1;
      return Promise.resolve();
    },
    readCached: () => false,
    write: unused,
    writeDurably: unused,
    readUncached: unused,
    writeUncached: unused,
    dropCache: unused,
    flush: unused,
    discard: unused,
    close: unused,
  };
}

describe('findContent', () => {
  it.each([4096, 5 * 2 ** 20 + 4096, 3 * TIB])(
    'finds nothing on %d bytes of zeros',
    async (size) => {
      expect(await findContent(deviceWithByte(size, undefined))).toBeUndefined();
    },
  );

  it.each([0, 4095, 2 ** 20, 2 ** 20 + 1, 5 * 2 ** 20 - 1])(
    'finds a single byte at %d of a small device',
    async (at) => {
      expect(await findContent(deviceWithByte(5 * 2 ** 20, at))).toBe(at);
    },
  );

  it.each([0, 1024, BLANK_CHECK_EDGE_BYTES - 1, TIB - BLANK_CHECK_EDGE_BYTES, TIB - 1])(
    'finds a single byte at %d, in the head or the tail of a large device',
    async (at) => {
      expect(await findContent(deviceWithByte(TIB, at))).toBe(at);
    },
  );
});

describe('spansToRead', () => {
  it('spreads the samples over all of a large device, aligned and inside', () => {
    for (const size of [BLANK_CHECK_WHOLE_BYTES + 4096, TIB, 16 * TIB + 4096]) {
      const spans = spansToRead(size);
      const samples = spans.slice(1, -1).map((span) => span.offset);
      expect(Math.max(...spans.map((span) => span.offset + span.sizeBytes))).toBe(size);
      expect(samples.every((offset) => offset % 4096 === 0)).toBe(true);
      const gaps = samples.slice(1).map((offset, index) => offset - (samples[index] ?? 0));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(size / 256);
    }
  });
});
