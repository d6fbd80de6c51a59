/**
 * Empties a segment of tables: each live one is copied, byte for byte, to another place.
 *
 * A table is checked before it is copied; a damaged one stays where it is and keeps its segment from
 * being used again.
 */
import { hasCode } from '@dozo/base';
import type { Catalog } from './catalog.ts';
import type { Pace } from './pacer.ts';
import { neededSegments } from './space.ts';
import type { TableSpace } from './table-space.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TableReader } from './table/table-reader.ts';
import type { TableReads } from './table/table-source.ts';

export interface TableMoverOptions {
  readonly catalog: Catalog;
  readonly space: TableSpace;
  readonly reader: TableReader;
  /** Past the page cache. */
  readonly source: TableReads;
  readonly pacer: Pace;
}

/** Copies the tables of a segment elsewhere. Rejects with the errors of device and claim. */
export async function moveTables(options: TableMoverOptions, segment: number): Promise<void> {
  const { catalog, space, reader, source } = options;
  const moved = new Map<number, TableMeta>();
  const dead: TableMeta[] = [];
  for (const meta of catalog.version.tables()) {
    if (meta.segment !== segment) continue;
    const { damages } = await reader.verify(meta);
    if (damages.length > 0) {
      catalog.segments.markDamaged(segment);
      continue;
    }
    const bytes = await source.read(meta, 0, meta.sizeBytes);
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
