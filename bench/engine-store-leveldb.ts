/**
 * LevelDB for the engine's bench: `classic-level`, every write synced.
 *
 * Concurrent puts are gathered into one batch: LevelDB groups writers by itself, but only as many as
 * the runtime has threads.
 */
import { ClassicLevel } from 'classic-level';
import { Gather } from './engine-gather.ts';
import {
  allocatedBytes,
  type BenchEntry,
  type BenchStore,
  type StoreOptions,
} from './engine-store.ts';

const MIB = 1024 ** 2;
/** The default of 4 MiB makes ten times as many tables of the first level. */
const WRITE_BUFFER_BYTES = 32 * MIB;

export async function openLevelDb({ directory, cacheBytes }: StoreOptions): Promise<BenchStore> {
  const store = new ClassicLevel<Buffer, Buffer>(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    cacheSize: cacheBytes,
    writeBufferSize: WRITE_BUFFER_BYTES,
  });
  await store.open();
  const gather = new Gather<BenchEntry>((entries) =>
    store.batch(
      entries.map((entry) => ({ type: 'put', ...entry })),
      { sync: true },
    ),
  );
  return {
    put: (entries) => gather.put(entries),
    get: (key) => store.get(key),
    scan: async (rowsMax) => {
      let rows = 0;
      const iterator = store.iterator({ limit: rowsMax, highWaterMarkBytes: MIB });
      for (;;) {
        const page = await iterator.nextv(1000);
        if (page.length === 0) break;
        rows += page.length;
      }
      await iterator.close();
      return rows;
    },
    sizeBytes: () => allocatedBytes(directory),
    counters: () => ({}),
    close: () => store.close(),
  };
}
