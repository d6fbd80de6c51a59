/** Entries, tables and range deletes for tests of tables, and reading a whole table back. */
import { binaryStringOf, bytesOfBinaryString } from '@dozo/base';
import fc from 'fast-check';
import { BlockCursor } from '../src/table/block.ts';
import { blockCountOf, blockPlaceAt } from '../src/table/index-block.ts';
import { TableBuilder } from '../src/table/table-builder.ts';
import type { BuiltTable } from '../src/table/table-builder.ts';
import { tableSeedOf } from '../src/table/table-format.ts';
import type { BlockPlace } from '../src/table/table-meta.ts';
import { RangeSet } from '../src/tree/range-set.ts';
import { TreeEntry } from '../src/tree/tree-entry.ts';

export type Row = readonly [key: string, entry: TreeEntry];

export const CLAIM_SEED = 0x1234_5678;

/** Keys that share prefixes, are prefixes of each other, and are long now and then. */
export const keyArbitrary: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: textOf(['a', 'b', '\0', '\xff'], 1, 6) },
  {
    weight: 3,
    arbitrary: textOf(['0', '1', '2', '3'], 1, 8).map((rest) => `bucket/objects/${rest}`),
  },
  { weight: 1, arbitrary: textOf(['x', 'y'], 1, 3).map((text) => text + 'k'.repeat(1533)) },
);

const wholeNumber = fc.oneof(fc.nat(300), fc.maxSafeNat());

const entryArbitrary: fc.Arbitrary<TreeEntry> = fc.oneof(
  wholeNumber.map((lsn) => TreeEntry.delete(lsn)),
  fc
    .tuple(wholeNumber, fc.oneof(fc.nat(40), fc.constantFrom(127, 128, 512, 4096)), fc.nat(255))
    .map(([lsn, sizeBytes, fill]) => TreeEntry.inline(lsn, new Uint8Array(sizeBytes).fill(fill))),
  fc
    .tuple(wholeNumber, wholeNumber, wholeNumber, wholeNumber)
    .map(([lsn, valueBytes, ordinal, offset]) =>
      TreeEntry.pointer(lsn, valueBytes, ordinal, offset),
    ),
);

/** Rows in key order, each key once. */
export function rowsArbitrary(countMax: number, keys = keyArbitrary): fc.Arbitrary<Row[]> {
  return fc
    .uniqueArray(fc.tuple(keys, entryArbitrary), {
      selector: ([key]) => key,
      maxLength: countMax,
      size: 'max',
    })
    .map((rows) => rows.toSorted(byKey));
}

/** A few range deletes. */
export function rangesArbitrary(keys = keyArbitrary): fc.Arbitrary<RangeSet> {
  return fc
    .array(fc.tuple(keys, keys), { maxLength: 3 })
    .map((pairs) => RangeSet.of(pairs.map(([from, to]) => ({ from, to }))));
}

export function byKey(left: Row, right: Row): number {
  return left[0] < right[0] ? -1 : left[0] > right[0] ? 1 : 0;
}

/** A table of these rows. */
export function tableOf(rows: readonly Row[], ranges = RangeSet.EMPTY, number = 7): BuiltTable {
  const seed = tableSeedOf(CLAIM_SEED, number);
  const builder = new TableBuilder({ number, seed, targetBytes: 64 * 1024 });
  for (const [key, entry] of rows) builder.add(key, entry);
  return builder.finish(ranges);
}

export function partOf(table: BuiltTable, place: BlockPlace): Uint8Array {
  return table.bytes.subarray(place.offset, place.offset + place.sizeBytes);
}

/** The data blocks of a table. */
export function blocksOf(table: BuiltTable): Uint8Array[] {
  const index = partOf(table, table.content.index);
  return Array.from({ length: blockCountOf(index) }, (_, number) =>
    partOf(table, blockPlaceAt(index, number)),
  );
}

export function rowsOfBlock(block: Uint8Array): Row[] {
  const rows: Row[] = [];
  const cursor = new BlockCursor(block);
  for (let isOn = cursor.seekToFirst(); isOn; isOn = cursor.next()) {
    rows.push([cursor.key, cursor.entry]);
  }
  return rows;
}

export function rowsOfTable(table: BuiltTable): Row[] {
  return blocksOf(table).flatMap(rowsOfBlock);
}

/** Keys between those of the rows too, for questions whose answer is no. */
export function keysAround(rows: readonly Row[]): Uint8Array[] {
  const keys = rows.flatMap(([key]) => [key, `${key}\0`, key.slice(0, -1), `${key.slice(0, -1)}~`]);
  return ['\0', '\xff\xff\xff\xff\xff\xff\xff', ...keys]
    .filter((key) => key !== '' && key.length <= 1536)
    .map(bytesOfBinaryString);
}

export function textOfKey(key: Uint8Array): string {
  return binaryStringOf(key);
}

function textOf(characters: string[], lengthMin: number, lengthMax: number): fc.Arbitrary<string> {
  const character = fc.constantFrom(...characters);
  return fc
    .array(character, { minLength: lengthMin, maxLength: lengthMax })
    .map((all) => all.join(''));
}
