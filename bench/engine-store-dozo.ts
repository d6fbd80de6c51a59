/** The engine on a device file, for its bench. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { formatDevice, openEngine } from '@dozo/engine';
import {
  boundProcessMemory,
  createDeviceFile,
  openFileDevice,
  openSystemClock,
  readHostIdentity,
  SystemRandom,
  WorkerCompute,
} from '@dozo/platform';
import type { BenchStore, StoreOptions } from './engine-store.ts';

const MIB = 1024 ** 2;
const BLOCK_BYTES = 4096;

/**
 * The device has room for what it holds, twice, and for what it keeps free. Every block of it has been
 * written once: the first write of a block costs more, and happens once in the life of a disk.
 */
export async function openDozo(options: StoreOptions): Promise<BenchStore> {
  // Both as `dozo up` does.
  await boundProcessMemory();
  const compute = new WorkerCompute();
  const path = join(options.directory, 'device');
  const [clock, random] = [await openSystemClock(), new SystemRandom()];
  const isNew = !existsSync(path);
  const sizeBytes = Math.ceil((options.dataBytes * 2 + 512 * MIB) / BLOCK_BYTES) * BLOCK_BYTES;
  if (isNew) await createDeviceFile({ path, sizeBytes, fill: 'zeros' });
  const device = await openFileDevice({ path, mode: 'exclusive' });
  if (isNew) await formatDevice({ device, clock, random, isLocal: true });
  const { pid, ...identity } = readHostIdentity();
  const holder = { ...identity, processId: pid, softwareVersion: 'bench' };
  const { cacheBytes } = options;
  const engine = await openEngine({ ...{ cacheBytes, compute }, device, clock, random, holder });
  return {
    put: (entries) => engine.apply(entries.map((entry) => ({ kind: 'put', ...entry }))),
    get: async (key) => (await engine.get(key))?.value,
    scan: async (rowsMax) => {
      let rows = 0;
      for await (const row of engine.scan({}, { limit: rowsMax })) {
        if (row.value !== undefined) rows += 1;
      }
      return rows;
    },
    sizeBytes: () => {
      const { segmentCount, freeSegmentCount, segmentBytes } = engine.stats();
      return (segmentCount - freeSegmentCount) * segmentBytes;
    },
    counters: () => {
      const { bytesWritten, bytesMoved, checkpointCount, tree } = engine.stats();
      return { bytesWritten, bytesMoved, checkpointCount, stepMsMax: tree?.stepMsMax ?? 0 };
    },
    close: async () => {
      await engine.close();
      await compute.close();
      await device.close();
    },
  };
}
