/**
 * Golden file of the table format: a table with two data blocks, byte for byte, and then its meta as
 * a checkpoint has it. See golden.test.ts for what a difference means and how the file is written anew.
 */
import { ByteWriter, concatBytes, crc32c } from '@dozo/base';
import { test } from 'vitest';
import { TableBuilder, placeTable } from '../src/table/table-builder.ts';
import { tableSeedOf } from '../src/table/table-format.ts';
import { encodeTableMeta } from '../src/table/table-meta.ts';
import { RangeSet } from '../src/tree/range-set.ts';
import { TreeEntry } from '../src/tree/tree-entry.ts';
import { expectGolden } from './golden-file.ts';
import { bytes } from './simulated-engine.ts';

const nonce = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index);

function table(): Uint8Array {
  const number = 300;
  const seed = tableSeedOf(crc32c(nonce), number);
  const builder = new TableBuilder({ number, seed, targetBytes: 1 << 20 });
  builder.add('bucket', TreeEntry.inline(2 ** 40, bytes('a value')));
  for (let part = 0; part < 16; part++) {
    const name = `bucket/part ${String(part).padStart(2, '0')}`;
    builder.add(name, TreeEntry.pointer(100 + part, 1_048_576, 41, 4096 * part));
  }
  builder.add('deleted', TreeEntry.delete(127));
  builder.add('zeros of a second block', TreeEntry.inline(128, new Uint8Array(4000)));
  const ranges = RangeSet.of([
    { from: 'a', to: 'b' },
    { from: 'bucket/upload/', to: 'bucket/upload0' },
  ]);
  const { bytes: whole, content } = builder.finish(ranges);
  const meta = new ByteWriter();
  encodeTableMeta(meta, placeTable(content, { segment: 7, ordinal: 42, offset: 1_048_576 }));
  return concatBytes([whole, meta.finish()]);
}

test('the table is byte for byte what its golden file says', () => {
  expectGolden('table', table());
});
