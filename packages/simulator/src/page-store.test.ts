import { concatBytes } from '@dozo/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { PageStore } from './page-store.ts';

const SIZE_BYTES = 3 * 128 * 4096;

describe('PageStore', () => {
  it('holds what a plain array holds, and forks stay as they were', () => {
    const write = fc.record({
      offset: fc.nat({ max: SIZE_BYTES - 1 }),
      sizeBytes: fc.oneof(fc.nat({ max: 600 }), fc.nat({ max: 20_000 }), fc.constant(600_000)),
      isAligned: fc.boolean(),
      isForkedBefore: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 12 }), (writes) => {
        const store = new PageStore();
        const plain = new Uint8Array(SIZE_BYTES);
        const forks: { store: PageStore; plain: Uint8Array }[] = [];
        for (const [index, { offset, sizeBytes, isAligned, isForkedBefore }] of writes.entries()) {
          if (isForkedBefore) forks.push({ store: store.fork(), plain: plain.slice() });
          const start = isAligned ? offset - (offset % 4096) : offset;
          const bytes = new Uint8Array(Math.min(sizeBytes, SIZE_BYTES - start)).fill(index + 1);
          plain.set(bytes, start);
          store.write(start, bytes);
        }
        for (const fork of [...forks, { store, plain }]) {
          const [head, tail] = [new Uint8Array(5000), new Uint8Array(SIZE_BYTES - 5000)];
          fork.store.read(0, head);
          fork.store.read(5000, tail);
          expect(Buffer.compare(concatBytes([head, tail]), fork.plain)).toBe(0);
        }
        const fork = forks[0];
        if (fork !== undefined) {
          fork.store.write(0, new Uint8Array(4096).fill(99));
          const first = new Uint8Array(1);
          store.read(0, first);
          expect(first[0]).toBe(plain[0]);
        }
      }),
      { numRuns: 60 },
    );
  });
});
