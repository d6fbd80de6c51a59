/**
 * The tree in `dozo device dump`: which tables count, and where they lie. A table that is on the device and
 * not here is left from an earlier time.
 *
 * A tree may have very many tables. So many are told one by one, the others only counted.
 */
import { bytesOfBinaryString } from '@dozo/base';
import type { TreeItem } from '@dozo/engine';

import { plural, printableKey } from '../forensics/wording.ts';
import { formatSize } from '../sizes.ts';

type TreeTable = Extract<TreeItem, { readonly kind: 'table' }>;

/** What a level is made of. */
interface LevelSum {
  readonly level: number;
  runCount: number;
  tableCount: number;
  sizeBytes: number;
}

/** The sums over a tree that is told item by item. */
class TreeSums {
  readonly levels: LevelSum[] = [];
  readonly damagedPages: { readonly segment: number; readonly offset: number }[] = [];
  keyCount: number | undefined;
  tableCount = 0;

  add(item: TreeItem): void {
    if (item.kind === 'counters') this.keyCount = item.keyCount;
    else if (item.kind === 'damaged') {
      const { segment, offset } = item;
      this.damagedPages.push({ segment, offset });
    } else {
      const { level: number, run, table } = item;
      let level = this.levels.find((one) => one.level === number);
      if (level === undefined) {
        level = { level: number, runCount: 0, tableCount: 0, sizeBytes: 0 };
        this.levels.push(level);
      }
      level.runCount = Math.max(level.runCount, run + 1);
      level.tableCount++;
      level.sizeBytes += table.sizeBytes;
      this.tableCount++;
    }
  }
}

/** Lines for people, as the items come. @param tablesMax so many tables have lines of their own. */
export async function* treeLines(
  items: AsyncIterable<TreeItem>,
  tablesMax: number,
): AsyncGenerator<string> {
  const sums = new TreeSums();
  let before: TreeTable | undefined;
  for await (const item of items) {
    sums.add(item);
    if (item.kind === 'damaged') {
      yield `  DAMAGED at ${item.offset} of segment ${item.segment}: ${item.reason}, or it has moved on`;
    }
    if (item.kind !== 'table' || sums.tableCount > tablesMax) continue;
    const isSameRun = before?.level === item.level && before.run === item.run;
    if (!isSameRun) yield `  level ${item.level}, run ${item.run}`;
    before = item;
    for (const line of tableLines(item)) yield `    ${line}`;
  }
  const left = sums.tableCount - tablesMax;
  if (left > 0) yield `  and ${left} more ${plural('table', left)}; --tables N lists so many`;
  for (const { level, runCount, tableCount, sizeBytes } of sums.levels) {
    const runs = `${runCount} ${plural('run', runCount)}`;
    yield `  level ${level}: ${runs}, ${tableCount} ${plural('table', tableCount)}, ${formatSize(sizeBytes)}`;
  }
  if (sums.tableCount === 0) yield '  no tables';
  if (sums.keyCount !== undefined) yield `  ${sums.keyCount} keys in tables`;
}

/** A table of the tree: where it is on the device, what it holds, and its first key and its end. */
export function tableLines({ table, deviceOffset }: TreeTable): readonly string[] {
  const { number, segment, offset, sizeBytes, smallest, end } = table;
  const place = `segment ${segment} at ${offset}, bytes ${deviceOffset} to ${deviceOffset + sizeBytes} of the device`;
  return [
    `table ${number}: ${place}`,
    `  ${contentText(table)}`,
    `  from ${boundText(smallest)} to ${boundText(end)}`,
  ];
}

/** How much a table holds. */
export function contentText({
  sizeBytes,
  entryCount,
  deleteCount,
  pointerCount,
  rangeCount,
  lsnMax,
}: Omit<TreeTable['table'], 'segment' | 'ordinal' | 'offset'>): string {
  return (
    `${formatSize(sizeBytes)}, ${entryCount} entries (${deleteCount} deletes, ${pointerCount} pointers), ` +
    `${rangeCount} range deletes, up to LSN ${lsnMax}`
  );
}

/** Bytes of a bound that are shown. */
const BOUND_BYTES_SHOWN = 64;

/** A bound of a table, which the engine keeps as a string of bytes; of a long one its first bytes. */
export function boundText(bound: string): string {
  if (bound.length <= BOUND_BYTES_SHOWN) return printableKey(bytesOfBinaryString(bound));
  const first = printableKey(bytesOfBinaryString(bound.slice(0, BOUND_BYTES_SHOWN)));
  return `${first}... (${bound.length} bytes)`;
}

/** The tree as JSON holds it. */
export async function treeJson(items: AsyncIterable<TreeItem>, tablesMax: number): Promise<object> {
  const sums = new TreeSums();
  const tables: object[] = [];
  for await (const item of items) {
    sums.add(item);
    if (item.kind === 'table' && tables.length < tablesMax) tables.push(tableJson(item));
  }
  const { levels, damagedPages, keyCount, tableCount } = sums;
  return { keyCount, levels, damagedPages, tables, tablesLeftOut: tableCount - tables.length };
}

/** A table of the tree as JSON holds it. */
export function tableJson({ level, run, table, deviceOffset }: TreeTable): object {
  const { smallest, end, ...rest } = table;
  const bounds = { smallest: boundText(smallest), end: boundText(end) };
  return { level, run, deviceOffset, ...rest, ...bounds };
}
