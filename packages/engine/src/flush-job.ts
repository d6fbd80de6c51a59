/**
 * Makes tables of a memtable: a run of level 0.
 *
 * First it is settled, then its entries are written in key order. Tables are cut by size and at the keys
 * that the compaction picker wants; range deletes are clipped at the cuts.
 */
import { bytesOfBinaryString } from '@dozo/base';
import type { Catalog, Generation } from './catalog.ts';
import { KEY_BYTES_MAX, SCAN_PAGE_ROWS } from './limits.ts';
import { inSteps } from './pacer.ts';
import type { Pace } from './pacer.ts';
import type { Settler } from './settler.ts';
import { neededSegments } from './space.ts';
import type { TableSpace } from './table-space.ts';
import { TableBuilder } from './table/table-builder.ts';
import type { BuiltTable } from './table/table-builder.ts';
import { tableSeedOf } from './table/table-format.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TableReader } from './table/table-reader.ts';
import { flushCuts } from './tree/compaction-cuts.ts';
import type { CompactionSettings } from './tree/compaction-picker.ts';
import { keyStartOf } from './tree/entry-arena.ts';
import type { EntryArena } from './tree/entry-arena.ts';
import type { MemTable } from './tree/memtable.ts';
import type { RangeSet } from './tree/range-set.ts';

export interface TableJobOptions {
  readonly catalog: Catalog;
  readonly space: TableSpace;
  readonly pacer: Pace;
  /** The seed of the claim. */
  readonly seed: number;
  readonly tableBytes: number;
  readonly settings: CompactionSettings;
  readonly reader: TableReader;
}

export interface FlushJobOptions extends TableJobOptions {
  readonly settler: Settler;
  /** Told now and then how far it is: each entry counts once when it is settled and once when it is in a table. */
  readonly onEntries: (doneCount: number) => void;
}

/** A builder for the next table. */
function newTableBuilder(options: TableJobOptions): {
  readonly builder: TableBuilder;
  readonly seed: number;
} {
  const number = options.catalog.takeTableNumber();
  const seed = tableSeedOf(options.seed, number);
  const { tableBytes: targetBytes } = options;
  return { builder: new TableBuilder({ number, seed, targetBytes }), seed };
}

/**
 * Flushes the generation that the catalog has rotated away, and resolves with the tables. Rejects with
 * the device's errors and the claim's.
 */
export async function flushMemtable(
  options: FlushJobOptions,
  generation: Generation,
): Promise<readonly TableMeta[]> {
  const { catalog, settler, onEntries } = options;
  const { entryCount } = generation.memtable;
  await settler.settle(generation, () => {
    onEntries(entryCount - generation.memtable.unsettledCount);
    return true;
  });
  const shadows = await settler.rangeShadows(generation);
  const tables = await writeTables(options, generation);
  catalog.installFlush(tables, shadows);
  return tables;
}

async function writeTables(
  options: FlushJobOptions,
  { memtable }: Generation,
): Promise<TableMeta[]> {
  const { catalog, settings } = options;
  const cuts = flushCuts(catalog.version, settings);
  const tables: TableMeta[] = [];
  const writer = new RunWriter(options, memtable.ranges, 'flush', tables);
  try {
    await writeRows(options, memtable, cuts, writer);
    await writer.finish();
  } finally {
    await writer.settled();
  }
  return tables;
}

async function writeRows(
  { pacer, onEntries }: FlushJobOptions,
  memtable: MemTable,
  cuts: string[],
  writer: RunWriter,
): Promise<void> {
  const { arena } = memtable;
  const key = new Uint8Array(KEY_BYTES_MAX);
  let from = '';
  let doneCount = memtable.entryCount;
  let cut = cuts.shift();
  let cutBytes = cut === undefined ? undefined : bytesOfBinaryString(cut);
  pacer.begin();
  for (;;) {
    const numbers = memtable.numbers({ from, reverse: false }, SCAN_PAGE_ROWS);
    for (const number of numbers) {
      let passed: string | undefined;
      while (
        cutBytes !== undefined &&
        arena.compareKey(number, 0, cutBytes, 0, cutBytes.length) >= 0
      ) {
        passed = cut;
        cut = cuts.shift();
        cutBytes = cut === undefined ? undefined : bytesOfBinaryString(cut);
      }
      if (passed !== undefined) await writer.cutAt(passed);
      if (writer.isFull) await writer.cutAt(arena.nameOf(number));
      addEntry(writer.builder, arena, number, key);
    }
    const last = numbers.at(-1);
    if (last === undefined || numbers.length < SCAN_PAGE_ROWS) return;
    from = `${arena.nameOf(last)}\0`;
    doneCount += numbers.length;
    onEntries(doneCount);
    await pacer.pause();
  }
}

/** Copies an entry as it lies in a memtable into a table; `key` is room for its key. */
function addEntry(builder: TableBuilder, arena: EntryArena, number: number, key: Uint8Array): void {
  const bytes = arena.bytesOf(number);
  const keyBytes = arena.keyBytesOf(number);
  const start = keyStartOf(number);
  for (let at = 0; at < keyBytes; at++) key[at] = bytes[start + at] as number;
  const tailStart = start + keyBytes;
  builder.addTail(key, keyBytes, bytes, tailStart, tailStart + arena.tailBytesOf(number));
}

/**
 * Writes tables of one run, each with its part of the range deletes. A table is written while the next one
 * is built; it fails whoever ends the next.
 */
export class RunWriter {
  readonly #options: TableJobOptions;
  readonly #ranges: RangeSet;
  readonly #spaceClass: 'flush' | 'compaction';
  readonly #tables: TableMeta[];
  #current: { readonly builder: TableBuilder; readonly seed: number } | undefined;
  /** Where the bounds of the current table may begin. */
  #from = '';
  /** The write of the table before. */
  #writing: Promise<void> = Promise.resolve();

  /** @param tables gets the tables as they are written. */
  constructor(
    options: TableJobOptions,
    ranges: RangeSet,
    spaceClass: 'flush' | 'compaction',
    tables: TableMeta[],
  ) {
    this.#tables = tables;
    this.#options = options;
    this.#ranges = ranges;
    this.#spaceClass = spaceClass;
  }

  get builder(): TableBuilder {
    this.#current ??= newTableBuilder(this.#options);
    return this.#current.builder;
  }

  /** The seed of the table that is being built. */
  get seed(): number {
    this.#current ??= newTableBuilder(this.#options);
    return this.#current.seed;
  }

  get isFull(): boolean {
    return this.#current?.builder.isFull ?? false;
  }

  /** Ends the current table below `key`, from which on the next one begins. */
  async cutAt(key: string): Promise<void> {
    await this.#finishTable(key);
    this.#from = key;
  }

  /** Ends the run: all of its tables are durable. */
  async finish(): Promise<void> {
    await this.#finishTable(undefined);
    await this.#writing;
  }

  /** Resolves when nothing is being written any more, with or without success. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => undefined);
  }

  async #finishTable(to: string | undefined): Promise<void> {
    const ranges = this.#ranges.clip(this.#from, to);
    if (this.builder.isEmpty && ranges.isEmpty) return;
    const { pacer } = this.#options;
    const built = await inSteps(this.builder.finishInSteps(ranges), pacer);
    this.#current = undefined;
    await this.#writing;
    this.#writing = this.#write(built);
    // Whoever waits for it next is told.
    this.#writing.catch(() => undefined);
    pacer.begin();
  }

  async #write({ bytes, content }: BuiltTable): Promise<void> {
    const { space, reader, pacer } = this.#options;
    const spareCount = neededSegments(this.#spaceClass) - 1;
    const isPatient = this.#spaceClass === 'flush';
    const table = await space.write(bytes, content, spareCount, isPatient);
    this.#tables.push(table);
    // Another pacer: the next table is built at the same time.
    await inSteps(reader.keepWritten(table, bytes), pacer.another());
  }
}
