/**
 * Finds what many keys have in the sources below a memtable: what their entries there hide.
 *
 * The keys come sorted, and each run is asked once for all of them that no newer one has answered: the
 * filter, the index and the places in data blocks of a table are looked up for its keys together, and
 * the blocks that are wanted are read in stretches, past the block cache unless they are in it. So a key
 * costs about a microsecond where neighbours share blocks, and what reads want to have cached stays.
 *
 * Of an inline value only that it is there is told. Where a table is damaged nothing is known to be
 * hidden.
 */
import { bytesOfBinaryString, hasCode, writeBinaryString } from '@dozo/base';
import { KEY_BYTES_MAX } from './limits.ts';
import type { MaybePromise } from './maybe-promise.ts';
import { isPromise } from './maybe-promise.ts';
import type { Pace } from './pacer.ts';
import { hashKeyInto, mayContainHash } from './table/bloom.ts';
import { tailInBlock, tailStartOf } from './table/block.ts';
import { entryOfTail } from './table/entry-reader.ts';
import { findInIndex } from './table/index-block.ts';
import { LENGTH_END } from './table/table-format.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TableReader } from './table/table-reader.ts';
import type { MemTableView } from './tree/memtable.ts';
import { ENTRY_DELETE, ENTRY_INLINE, TreeEntry } from './tree/tree-entry.ts';
import type { Run, Version } from './tree/version.ts';
import { firstEndingPast } from './tree/version.ts';

/** What is asked, newest first. */
export interface HiddenSources {
  readonly memtables: readonly MemTableView[];
  readonly version: Version;
  readonly reader: TableReader;
}

/** Stands for any inline value and any delete that is found. */
const INLINE = TreeEntry.held(0, '');
const DELETE = TreeEntry.delete(0);

/** Keys are written here to be hashed. */
const scratch = new Uint8Array(KEY_BYTES_MAX);

/** What is known so far of some names in ascending order. */
class Search {
  readonly names: readonly string[];
  readonly found: (TreeEntry | undefined)[];
  readonly isDecided: Uint8Array;
  undecidedCount: number;
  /** Both halves of the hash of each key. */
  readonly hashes: Int32Array;

  constructor(names: readonly string[]) {
    this.names = names;
    this.undecidedCount = names.length;
    this.found = new Array<TreeEntry | undefined>(names.length).fill(undefined);
    this.isDecided = new Uint8Array(names.length);
    this.hashes = new Int32Array(2 * names.length);
  }

  hashAll(): void {
    const { names, hashes } = this;
    for (let at = 0; at < names.length; at++) {
      const name = names[at] as string;
      writeBinaryString(name, scratch, 0);
      hashKeyInto(scratch, name.length, hashes, 2 * at);
    }
  }

  decide(at: number, entry: TreeEntry | undefined): void {
    if (this.isDecided[at] === 1) return;
    this.isDecided[at] = 1;
    this.found[at] = entry;
    this.undecidedCount--;
  }
}

/**
 * Resolves with what each name has, a delete too; undefined where it has nothing. Rejects with the
 * device's read errors.
 *
 * @param names ascending.
 * @param pacer is told what was waited for.
 */
export async function findHidden(
  { memtables, version, reader }: HiddenSources,
  names: readonly string[],
  pacer: Pace,
): Promise<readonly (TreeEntry | undefined)[]> {
  const search = new Search(names);
  for (const memtable of memtables) {
    for (const [at, name] of names.entries()) {
      const entry = memtable.get(name);
      if (entry !== undefined) search.decide(at, entry);
    }
  }
  if (version.runs.length > 0) search.hashAll();
  for (const run of version.runs) {
    if (search.undecidedCount === 0) break;
    await searchRun(search, run, reader, pacer);
  }
  return search.found;
}

async function searchRun(
  search: Search,
  run: Run,
  reader: TableReader,
  pacer: Pace,
): Promise<void> {
  const { names } = search;
  let at = 0;
  for (
    let tableAt = firstEndingPast(run, names[0] as string);
    tableAt < run.length && at < names.length;
    tableAt++
  ) {
    const table = run[tableAt] as TableMeta;
    while (at < names.length && (names[at] as string) < table.smallest) at++;
    const from = at;
    while (at < names.length && (names[at] as string) < table.end) at++;
    if (at === from) continue;
    try {
      await searchTable(search, table, { from, to: at }, reader, pacer);
    } catch (error) {
      if (!hasCode(error, 'INDEX_DAMAGED')) throw error;
      for (let name = from; name < at; name++) search.decide(name, undefined);
    }
  }
}

/** Names by their positions, `[from, to)`. */
interface Part {
  readonly from: number;
  readonly to: number;
}

async function searchTable(
  search: Search,
  table: TableMeta,
  part: Part,
  reader: TableReader,
  pacer: Pace,
): Promise<void> {
  const filter = await now(reader.filter(table), pacer);
  const positions: number[] = [];
  for (let at = part.from; at < part.to; at++) {
    if (search.isDecided[at] === 1) continue;
    const low = search.hashes[2 * at] as number;
    if (mayContainHash(filter, low, search.hashes[2 * at + 1] as number)) positions.push(at);
  }
  if (positions.length > 0) await searchBlocks(search, table, positions, reader, pacer);
  if (table.rangeCount === 0) return;
  const ranges = await now(reader.ranges(table), pacer);
  for (let at = part.from; at < part.to; at++) {
    if (search.isDecided[at] === 0 && ranges.covers(search.names[at] as string)) {
      search.decide(at, undefined);
    }
  }
}

/** Looks for the names at these positions in the data blocks of a table. */
async function searchBlocks(
  search: Search,
  table: TableMeta,
  positions: readonly number[],
  reader: TableReader,
  pacer: Pace,
): Promise<void> {
  const index = await now(reader.index(table), pacer);
  const keys = positions.map((at) => bytesOfBinaryString(search.names[at] as string));
  const numbers = keys.map((key) => findInIndex(index, key));
  const wanted = numbers.filter((number, at) => number >= 0 && number !== numbers[at - 1]);
  const blocks = await now(reader.blocksAt(table, index, wanted), pacer);
  let blockAt = -1;
  for (const [at, number] of numbers.entries()) {
    if (number < 0) continue;
    if (number !== numbers[at - 1]) blockAt++;
    const position = positions[at] as number;
    const block = blocks[blockAt];
    if (block === undefined) search.decide(position, undefined);
    else lookIn(search, position, block, keys[at] as Uint8Array);
  }
}

function lookIn(search: Search, position: number, block: Uint8Array, key: Uint8Array): void {
  const tail = tailInBlock(block, key);
  if (tail < 0) return;
  const start = tailStartOf(tail);
  const kind = block[start];
  if (kind === ENTRY_INLINE) search.decide(position, INLINE);
  else if (kind === ENTRY_DELETE) search.decide(position, DELETE);
  else search.decide(position, entryOfTail(block, start, start + (tail % LENGTH_END)));
}

/** Waits only where there is something to wait for. */
async function now<Result>(result: MaybePromise<Result>, pacer: Pace): Promise<Result> {
  return isPromise(result) ? await pacer.wait(result) : result;
}
