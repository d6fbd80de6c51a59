/**
 * LMDB for the engine's bench: `lmdb`, with its own batching of concurrent puts.
 *
 * Its cache is the kernel's page cache: it takes no size. A put resolves when it is flushed, because
 * `overlappingSync` is off: with it on, and each put waiting for its `flushed`, most rows were slower.
 */
import { open } from 'lmdb';
import { allocatedBytes, type BenchStore, type StoreOptions } from './engine-store.ts';

const MIB = 1024 ** 2;

export function openLmdb({ directory, dataBytes }: StoreOptions): BenchStore {
  const store = open<Buffer, Buffer>({
    path: directory,
    keyEncoding: 'binary',
    encoding: 'binary',
    compression: false,
    overlappingSync: false,
    mapSize: dataBytes * 4 + 1024 * MIB,
  });
  return {
    put: ([first, ...rest]) => {
      if (first === undefined) return Promise.resolve();
      if (rest.length === 0) return store.put(first.key, first.value);
      return store.batch(() => {
        void store.put(first.key, first.value);
        for (const { key, value } of rest) void store.put(key, value);
      });
    },
    get: (key) => store.get(key),
    scan: (rowsMax) => {
      let rows = 0;
      for (const { value } of store.getRange({ limit: rowsMax })) rows += value.length > 0 ? 1 : 0;
      return Promise.resolve(rows);
    },
    sizeBytes: () => allocatedBytes(directory),
    counters: () => ({}),
    close: () => store.close(),
  };
}
