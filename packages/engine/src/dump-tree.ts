/**
 * The tree that the newest checkpoint names, for whoever debugs a device: which tables count, and where each
 * of them lies. Offline and read only, also while somebody writes.
 *
 * Read page by page past the page cache, and told as it is read, so that no more than a page of it is in
 * memory. What a page that is damaged said is missing; the others are told all the same. Nothing is checked
 * across pages, because recovery does that: here the contradictions themselves are of interest.
 */
import type { Device } from '@dozo/base';
import { readCheckpointPages } from './checkpoint-reader.ts';
import type { DeviceDump } from './dump.ts';
import { LogSource } from './log-walk.ts';
import { seedOf } from './segment-header.ts';
import type { TableMeta } from './table/table-meta.ts';

/** What the pages of a checkpoint say of the tree, in their order: level by level, run by run. */
export type TreeItem =
  | {
      readonly kind: 'table';
      readonly level: number;
      /** In level 0 the runs are numbered from the newest on; 0 elsewhere. */
      readonly run: number;
      readonly table: TableMeta;
      /** Byte offset on the device. */
      readonly deviceOffset: number;
    }
  | {
      readonly kind: 'counters';
      /** Keys that the tables show. */
      readonly keyCount: number;
      /** No table has this number or a higher one. */
      readonly nextTableNumber: number;
    }
  /** A page that is damaged, or that is not there any more because the holder has gone on. */
  | {
      readonly kind: 'damaged';
      readonly segment: number;
      /** Byte offset in the segment. */
      readonly offset: number;
      readonly reason: string;
    };

/**
 * The tree of a dump's manifest; nothing where there is none. Rejects with the device's errors, but for
 * failed reads.
 */
export async function* dumpTree(
  device: Device,
  { inspection, recoverFrom, manifest }: DeviceDump,
): AsyncGenerator<TreeItem> {
  if (recoverFrom?.checkpoint === undefined || manifest === undefined) return;
  const source = new LogSource(device, inspection.superblock.geometry, 'uncached');
  const { segmentOrdinal: ordinal } = recoverFrom.checkpoint;
  const own = { ordinal, seed: seedOf(recoverFrom.identity) };
  for await (const { page, content } of readCheckpointPages(source, manifest, own)) {
    if (typeof content === 'string') {
      const { segment, offset } = page;
      yield { kind: 'damaged', segment, offset, reason: content };
    } else if (content.kind === 'counters') {
      yield { kind: 'counters', ...content.counters };
    } else if (content.kind === 'tables') {
      for (const { level, run, meta: table } of content.tables) {
        const deviceOffset = source.place(table.segment, table.offset);
        yield { kind: 'table', level, run, table, deviceOffset };
      }
    }
  }
}
