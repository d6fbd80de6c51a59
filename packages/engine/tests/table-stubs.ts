/** Tables without content, and versions of them: for what looks at bounds and sizes alone. */
import type { TableMeta } from '../src/table/table-meta.ts';
import { LEVEL_LAST, Version } from '../src/tree/version.ts';
import type { Run } from '../src/tree/version.ts';

const PLACE = { offset: 0, sizeBytes: 1 };

let tableNumber = 0;

/** A table of 100 bytes over the keys in `[smallest, end)`. */
export function table(smallest: string, end: string, changes: Partial<TableMeta> = {}): TableMeta {
  return {
    ...{ number: ++tableNumber, segment: 0, ordinal: 0, offset: 0, seed: 0, sizeBytes: 100 },
    ...{ filter: PLACE, ranges: undefined, index: PLACE, entryCount: 1, deleteCount: 0 },
    ...{ pointerCount: 0, rangeCount: 0, dataBytes: 0, lsnMax: 0, smallest, end },
    ...changes,
  };
}

/** Levels by their numbers; the others are empty. */
export function versionOf(levels: Record<number, Run[]>): Version {
  return Version.of(
    1,
    Array.from({ length: LEVEL_LAST + 1 }, (_, level) => levels[level] ?? []),
  );
}
