/**
 * `dozo device dump`: what lies on a device, structure by structure, for debugging. Takes no lock and changes
 * nothing, so it may be used while a daemon writes; then it shows a moment of a moving thing.
 *
 * Values are never shown, keys are. A segment is written out as it is read: its list can be long.
 */
import { hexOfBytes } from '@dozo/base';
import type { Device } from '@dozo/base';
import { describeClaim } from '@dozo/claim';
import { dumpDevice, dumpSegment, dumpSegments, dumpTree } from '@dozo/engine';
import type { DeviceDump, DumpedRecord, SegmentItem, SegmentSummary } from '@dozo/engine';

import type { CommandContext } from '../command-context.ts';
import { openDeviceToLook } from '../composition/open-device.ts';
import { CommandError } from '../errors.ts';
import { EXIT_DONE } from '../exit-codes.ts';
import { isoTime, printableKey } from '../forensics/wording.ts';
import { DUMPED_SEGMENTS_MAX, DUMPED_TABLES_MAX } from '../limits.ts';
import { boundText, contentText, tableJson, tableLines } from './device-dump-tree.ts';
import { treeJson, treeLines } from './device-dump-tree.ts';

export interface DumpOptions {
  readonly segment?: number;
  /** So many tables of the tree are told one by one. */
  readonly tables?: number;
  readonly json: boolean;
}

const RECORD_TYPES: Readonly<Record<number, string>> = {
  1: 'put',
  2: 'delete',
  3: 'manifest',
  4: 'page',
  5: 'delete-range',
};

/** Dumps a device, or one of its segments. */
export async function runDeviceDump(
  context: CommandContext,
  path: string,
  options: DumpOptions,
): Promise<number> {
  const device = await openDeviceToLook(path);
  try {
    if (options.segment === undefined) await dumpAll(context, device, options);
    else await dumpOne(context, device, options.segment, options.json);
  } finally {
    await device.close();
  }
  return EXIT_DONE;
}

async function dumpAll(
  { output }: CommandContext,
  device: Device,
  { json: isJson, tables: tablesMax = DUMPED_TABLES_MAX }: DumpOptions,
): Promise<void> {
  const dump = await dumpDevice(device);
  const { segmentCount } = dump.inspection.superblock.geometry;
  const range = { from: 0, to: Math.min(segmentCount, DUMPED_SEGMENTS_MAX) };
  const segments = dumpSegments(device, dump.inspection, range);
  if (isJson) {
    const rows: unknown[] = [];
    for await (const summary of segments) rows.push(plain(summary));
    const tree = await treeJson(dumpTree(device, dump), tablesMax);
    const report = { path: device.path, ...deviceJson(dump), tree, segments: rows };
    output.write(`${JSON.stringify(report, undefined, 2)}\n`);
    return;
  }
  output.write(deviceText(device.path, dump));
  if (dump.manifest !== undefined) {
    output.write(`tree of checkpoint ${dump.manifest.checkpoint}\n`);
    for await (const line of treeLines(dumpTree(device, dump), tablesMax)) {
      output.write(`${line}\n`);
    }
  }
  output.write(`segments: ${segmentCount}\n`);
  for await (const line of segmentLines(segments)) output.write(`${line}\n`);
  const left = segmentCount - range.to;
  if (left > 0) output.write(`  and ${left} more; --segment N shows each\n`);
}

function deviceJson({ superblocks, inspection, recoverFrom, manifest }: DeviceDump): object {
  const { claims, lostSlots } = inspection;
  return {
    superblocks: plain(superblocks),
    ring: { claims: plain(claims), lostSlots },
    recoverFrom: recoverFrom?.identity.incarnation,
    checkpoint: plain(recoverFrom?.checkpoint),
    manifest: plain(manifest),
  };
}

function deviceText(path: string, dump: DeviceDump): string {
  const { superblocks, inspection, recoverFrom, manifest } = dump;
  const { claims, lostSlots, superblock } = inspection;
  const lines = [path, 'superblocks'];
  for (const { offset, reading } of superblocks) {
    const said = reading.kind === 'valid' ? reading.superblock : reading;
    lines.push(`  byte ${offset}: ${reading.kind}`, ...indented(said));
  }
  const { ringSlotCount, ringOffset } = superblock.geometry;
  lines.push(
    `claim ring: ${ringSlotCount} slots at byte ${ringOffset}, ${claims.length} with a claim`,
  );
  for (const claim of claims) {
    const { identity, state, reservation } = claim;
    lines.push(
      `  claim ${identity.incarnation}, nonce ${hexOfBytes(identity.nonce)}: ${state}, ${describeClaim(claim)}`,
      `    reserved ${reservation.join(', ') || 'nothing'}`,
    );
  }
  if (lostSlots.length > 0) lines.push(`  DAMAGED slots ${lostSlots.join(', ')}`);
  if (recoverFrom === undefined) {
    lines.push('no checkpoint: never used');
  } else {
    lines.push(`checkpoint of claim ${recoverFrom.identity.incarnation}`);
    lines.push(...indented(recoverFrom.checkpoint));
    if (manifest === undefined) lines.push('  its manifest cannot be read, or has moved on');
    else lines.push('manifest', ...indented(manifest));
  }
  return `${lines.join('\n')}\n`;
}

/** A line for each segment; a row of segments that hold nothing is one. */
async function* segmentLines(segments: AsyncIterable<SegmentSummary>): AsyncGenerator<string> {
  let zeros: number[] = [];
  const ofZeros = (): string => {
    const [first, last] = [zeros[0], zeros.at(-1)];
    return `  ${first === last ? '' : `${String(first)} to `}${String(last)}: zeros`;
  };
  for await (const summary of segments) {
    if (summary.content === 'zeros') {
      zeros.push(summary.segment);
      continue;
    }
    if (zeros.length > 0) yield ofZeros();
    zeros = [];
    yield `  ${summaryText(summary)}`;
  }
  if (zeros.length > 0) yield ofZeros();
}

function summaryText({ segment, content, header, magic }: SegmentSummary): string {
  if (header === undefined) {
    return `${segment}: ${content}${magic === undefined ? '' : `, begins ${printableKey(magic)}`}`;
  }
  const { ordinal, identity, previous } = header;
  if (content === 'tables') {
    return `${segment}: tables, opened for table ${ordinal}, claim ${identity.incarnation}`;
  }
  const before =
    previous === undefined
      ? 'first of its claim'
      : `after ${previous.segment} (to ${previous.end})`;
  return `${segment}: log, ordinal ${ordinal}, claim ${identity.incarnation}, ${before}`;
}

async function dumpOne(
  { output }: CommandContext,
  device: Device,
  segment: number,
  isJson: boolean,
): Promise<void> {
  const dump = await dumpDevice(device);
  const { inspection } = dump;
  const { segmentCount } = inspection.superblock.geometry;
  if (segment >= segmentCount) {
    throw new CommandError(
      `${device.path} has no segment ${segment}; it has ${segmentCount}, from 0 on`,
      { code: 'USAGE_INVALID' },
    );
  }
  for await (const summary of dumpSegments(device, inspection, {
    from: segment,
    to: segment + 1,
  })) {
    const line = JSON.stringify({ kind: 'segment', ...(plain(summary) as object) });
    output.write(isJson ? `${line}\n` : `${device.path}, segment ${summaryText(summary)}\n`);
  }
  for await (const item of dumpTree(device, dump)) {
    if (item.kind !== 'table' || item.table.segment !== segment) continue;
    const { level, run } = item;
    if (isJson) output.write(`${JSON.stringify({ kind: 'tree-table', ...tableJson(item) })}\n`);
    else output.write(`in the tree, level ${level}, run ${run}: ${tableLines(item).join('\n')}\n`);
  }
  for await (const item of dumpSegment(device, inspection, segment)) {
    output.write(isJson ? `${JSON.stringify(itemJson(item))}\n` : itemText(item));
  }
}

function itemJson(item: SegmentItem): object {
  if (item.kind === 'table') {
    const { content, ...rest } = item;
    const { smallest, end } = content;
    const bounds = { smallest: boundText(smallest), end: boundText(end) };
    return { ...rest, content: { ...(plain(content) as object), ...bounds } };
  }
  const records = item.records?.map(({ key, type, ...record }) => ({
    ...record,
    type: RECORD_TYPES[type] ?? type,
    key: printableKey(key),
    keyHex: hexOfBytes(key),
  }));
  return { ...(plain(item) as object), records };
}

function itemText(item: SegmentItem): string {
  if (item.kind === 'table') {
    const { number, smallest, end } = item.content;
    return [
      `${item.offset}  table ${number}: ${contentText(item.content)}`,
      `  from ${boundText(smallest)} to ${boundText(end)}\n`,
    ].join('\n');
  }
  const { offset, header, identity, isInSequence, records } = item;
  const { index, segmentOrdinal, recordCount, sizeBytes, firstLsn, lastLsn, wallMs } = header;
  const left = isInSequence
    ? ''
    : `, LEFT of ordinal ${segmentOrdinal}, claim ${identity.incarnation}`;
  const lines = [
    `${offset}  group ${index}: ${recordCount} records, ${sizeBytes} bytes, LSN ${firstLsn} to ${lastLsn}, ${isoTime(wallMs)}${left}`,
  ];
  if (records === undefined) lines.push('  DAMAGED: its records cannot be told apart');
  for (const record of records ?? []) lines.push(recordText(record));
  return `${lines.join('\n')}\n`;
}

function recordText({ offset, type, key, lsn, valueBytes, isValueIntact }: DumpedRecord): string {
  const name = RECORD_TYPES[type] ?? `type ${type}`;
  const of = key.length === 0 ? '' : ` ${printableKey(key)}`;
  return `  ${offset}  ${name}${of}, LSN ${lsn}, ${valueBytes} bytes${isValueIntact ? '' : ', VALUE DAMAGED'}`;
}

function indented(value: unknown): readonly string[] {
  const text = JSON.stringify(plain(value), undefined, 2);
  return text.split('\n').map((line) => `    ${line}`);
}

/** Any structure as JSON can hold it: bytes as hex. New fields of a structure show up by themselves. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hexOfBytes(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}
