/**
 * All of a table in memory, checked: what is copied to another place is the very bytes that were found
 * right, and not those of another read of them.
 */
import { hasCode } from '@dozo/base';
import type { TableMeta } from './table-meta.ts';
import { CheckedTableSource } from './table-source.ts';
import type { TableReads } from './table-source.ts';
import { checkTable } from './verify-table.ts';

/** A bit may flip on the way from the disk: what is wrong twice is wrong there. */
const READS_MAX = 2;

/**
 * Reads a table whole and checks it as `verify-table.ts` does; undefined when it is damaged, or the device
 * cannot read it.
 *
 * @param reads past the page cache.
 */
export async function readWholeTable(
  reads: TableReads,
  meta: TableMeta,
  isUnchecked: boolean,
): Promise<Uint8Array | undefined> {
  for (let count = 0; count < READS_MAX; count++) {
    const bytes = await readAll(reads, meta);
    if (bytes === undefined) continue;
    if (isUnchecked || (await isSound(meta, bytes))) return bytes;
  }
  return undefined;
}

async function readAll(reads: TableReads, meta: TableMeta): Promise<Uint8Array | undefined> {
  try {
    return await reads.read(meta, 0, meta.sizeBytes);
  } catch (error) {
    if (hasCode(error, 'DEVICE_READ_FAILED')) return undefined;
    throw error;
  }
}

async function isSound(meta: TableMeta, bytes: Uint8Array): Promise<boolean> {
  const inMemory: TableReads = {
    read: (_, offset, sizeBytes) => Promise.resolve(bytes.subarray(offset, offset + sizeBytes)),
  };
  const source = {
    ...inMemory,
    uncached: inMemory,
    readCached: () => false,
    path: '',
    place: (_: unknown, at: number) => at,
  };
  // What is found here is told once, for the table.
  const counters = { checksumErrorCount: 0, staleReadCount: 0 };
  const { damages } = await checkTable(new CheckedTableSource({ source, counters }), meta);
  return damages.length === 0;
}
