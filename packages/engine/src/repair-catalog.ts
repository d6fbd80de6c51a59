/**
 * The catalog that a repair goes on with: the same tables and the same log as were recovered, with an
 * accounting that was counted anew, because that of a damaged device cannot be trusted.
 */
import { binaryStringOf } from '@dozo/base';
import { Catalog } from './catalog.ts';
import type { PlacedTable } from './checkpoint-page.ts';
import type { Recovered } from './recovery.ts';
import type { Examination } from './repair-plan.ts';
import { ENTRY_DELETE, ENTRY_POINTER, TreeEntry } from './tree/tree-entry.ts';
import type { Version } from './tree/version.ts';

/** What was recovered, with the keys of the plan deleted in its memtable. Nothing of it is written yet. */
export function repairedStart(recovered: Recovered, examination: Examination): Recovered {
  const { catalog: damaged, nextLsn } = recovered;
  const { segments } = damaged;
  const catalog = new Catalog(segments.count);
  for (const row of segments.rows()) {
    catalog.restoreRow({ ...row, liveBytes: examination.liveBytes.get(row.ordinal) ?? 0 });
  }
  catalog.restoreTables(placedTables(damaged.version));
  catalog.restoreCounters({
    keyCount: examination.keyCount,
    nextTableNumber: damaged.takeTableNumber(),
  });
  const { memtable } = damaged.active;
  for (const { from, to } of memtable.ranges.list()) catalog.deleteRange(from, to);
  const rows = memtable.rows({ from: '', reverse: false }, memtable.entryCount);
  for (const { key, entry } of rows) catalog.set(key, unsettled(entry));
  for (const { key } of examination.plan.dropped) {
    catalog.set(binaryStringOf(key), TreeEntry.delete(nextLsn));
  }
  const numbers = Array.from({ length: segments.count }, (_, segment) => segment);
  catalog.segments.finishRecovery(
    new Set(numbers.filter((segment) => segments.isNeeded(segment))),
    new Set(numbers.filter((segment) => segments.isQuarantined(segment))),
  );
  catalog.segments.setPages(recovered.pages);
  return { ...recovered, catalog, nextLsn: nextLsn + 1 };
}

function placedTables(version: Version): PlacedTable[] {
  return version.levels.flatMap(({ runs }, level) =>
    runs.flatMap((tables, run) => tables.map((meta) => ({ level, run, meta }))),
  );
}

/** A copy of an entry that says nothing of what it hides. */
function unsettled(entry: TreeEntry): TreeEntry {
  const { kind, lsn, valueBytes, ordinal, offset } = entry;
  if (kind === ENTRY_DELETE) return TreeEntry.delete(lsn);
  if (kind === ENTRY_POINTER) return TreeEntry.pointer(lsn, valueBytes, ordinal, offset);
  return TreeEntry.held(lsn, binaryStringOf(entry.value));
}
