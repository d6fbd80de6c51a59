/**
 * Empties a segment of tables: each live one is copied, byte for byte, to another place.
 *
 * A table is checked in memory, and just these bytes are written; a damaged one stays where it is and
 * keeps its segment from being used again.
 */
import { hasCode } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import { neededSegments } from './space.ts';
import type { TableSpace } from './table-space.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TableReader } from './table/table-reader.ts';

export interface TableMoverOptions {
  readonly catalog: Catalog;
  readonly space: Pick<TableSpace, 'write'>;
  readonly reader: TableReader;
}

/** Copies the tables of a segment elsewhere. Rejects with the device's errors of writes and the claim's. */
export async function moveTables(options: TableMoverOptions, segment: number): Promise<void> {
  const { catalog, space, reader } = options;
  const moved = new Map<number, TableMeta>();
  const dead: TableMeta[] = [];
  for (const meta of catalog.version.tables()) {
    if (meta.segment !== segment) continue;
    const bytes = await reader.whole(meta);
    if (bytes === undefined) {
      catalog.segments.markDamaged(segment);
      continue;
    }
    try {
      const spareCount = neededSegments('table-moves') - 1;
      moved.set(meta.number, await space.write(bytes, meta, spareCount, false));
    } catch (error) {
      // The rest stays where it is.
      if (!hasCode(error, 'DEVICE_FULL')) throw error;
      break;
    }
    dead.push(meta);
  }
  if (moved.size > 0) catalog.installChange(catalog.version.withPlaces(moved), dead);
}
