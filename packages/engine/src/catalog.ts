/**
 * What the engine knows: the memtables, the version of the tree, and the table of segments, changed
 * together. Recovery and commits go through the same methods, in the order of the log.
 *
 *     active memtable -> flushing memtable -> version (tables of level 0, 1, 2, ...)
 *
 * Accounting. A segment's live bytes are those of the records that *visible* pointers point to. A
 * pointer dies once: at once if its successor meets it in the active memtable, else when that successor
 * is *settled*, which means that somebody has looked up what it hides in the sources below. All entries
 * of a memtable are settled at the latest when it is flushed. A range delete is settled then, as a whole;
 * entries that it covers have nothing to hide but what it hides itself.
 *
 * A checkpoint tells the live bytes as of its tables alone, because the log is replayed on top of them.
 * So each memtable keeps what it has added and taken per use of a segment, its *delta*; a checkpoint's
 * figures are the ones of now without the deltas of both memtables.
 */
import { assert } from '@dozo/base';
import type { CheckpointCounters, PlacedTable, SegmentRow } from './checkpoint-page.ts';
import { MEMTABLE_BYTES_MAX } from './limits.ts';
import type { LogPosition } from './log-position.ts';
import { recordBytesOf } from './record.ts';
import { SegmentTable } from './segment-table.ts';
import { tableBytesOf } from './space.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TestSwitches } from './test-switches.ts';
import { ChunkPool, NO_ENTRY } from './tree/entry-arena.ts';
import { MemTable } from './tree/memtable.ts';
import type { Replaced } from './tree/memtable.ts';
import {
  ENTRY_DELETE,
  ENTRY_INLINE,
  ENTRY_POINTER,
  SHADOW_INLINE,
  SHADOW_NONE,
  SHADOW_UNKNOWN,
} from './tree/tree-entry.ts';
import type { EntryKind, TreeEntry } from './tree/tree-entry.ts';
import { Version, problemInLevels } from './tree/version.ts';

/** A memtable, and what belongs to it. */
export interface Generation {
  readonly memtable: MemTable;
  /** The log from here on is replayed into it. Moves on while there is nothing in it. */
  start: LogPosition;
  /** By how much it has changed the live bytes of uses of segments, by ordinal. */
  readonly delta: Map<number, number>;
  /** By how much it changes the count of keys, as far as that is known. */
  keyCount: number;
}

/** What a checkpoint is made of. */
export interface CheckpointContent {
  readonly start: LogPosition;
  readonly tables: readonly PlacedTable[];
  readonly rows: readonly SegmentRow[];
  readonly counters: CheckpointCounters;
}

/** What a flush found that the range deletes of its memtable hide. */
export interface RangeShadows {
  readonly keyCount: number;
  /** Bytes of records, by ordinal. */
  readonly pointers: ReadonlyMap<number, number>;
}

/** Where nothing has been written yet. */
const ORIGIN: LogPosition = { ordinal: 0, offset: 0, groupIndex: 0 };

/** See the file comment. */
export class Catalog {
  readonly segments: SegmentTable;
  readonly #switches: TestSwitches;
  /** What memtables that are in tables leave to the next ones. */
  readonly #pool = new ChunkPool(MEMTABLE_BYTES_MAX);
  #active = newGeneration(ORIGIN, this.#pool);
  #flushing: Generation | undefined;
  #version = Version.empty();
  #keyCount = 0;
  #nextTableNumber = 1;
  #diedBytes = 0;
  #generation = 0;
  /** Between {@link beginGroup} and {@link endGroup}. */
  #isInGroup = false;
  /** Tables that no version of now has, but the newest checkpoint may. */
  #dying: TableMeta[] = [];
  /** Tables that live until the checkpoint with that number is durable. */
  #dyingBytes = 0;
  readonly #dyingAt: { readonly checkpoint: number; readonly tables: readonly TableMeta[] }[] = [];

  constructor(segmentCount: number, switches: TestSwitches = {}) {
    this.segments = new SegmentTable(segmentCount, switches);
    this.#switches = switches;
  }

  get active(): Generation {
    return this.#active;
  }

  get flushing(): Generation | undefined {
    return this.#flushing;
  }

  get version(): Version {
    return this.#version;
  }

  /** The memtables, newest first. */
  get memtables(): readonly MemTable[] {
    return this.#flushing === undefined
      ? [this.#active.memtable]
      : [this.#active.memtable, this.#flushing.memtable];
  }

  /** Grows whenever entries move from one source to another. */
  get generation(): number {
    return this.#generation;
  }

  /** Keys there are; exact as far as entries are settled, at most a few too many or too few else. */
  get keyCount(): number {
    const pending = this.#active.keyCount + (this.#flushing?.keyCount ?? 0);
    return Math.max(0, this.#keyCount + pending);
  }

  /** Bytes of records that were overwritten or deleted since the start. */
  get diedBytes(): number {
    return this.#diedBytes;
  }

  /** Bytes of records in the log whose pointers are visible, as far as entries are settled. */
  get liveLogBytes(): number {
    return this.segments.totalLiveBytes - this.segments.tableBytes;
  }

  /** What records and tables take, and what the memtables will take as tables. */
  get usedBytes(): number {
    let bytes = this.segments.totalLiveBytes - this.dyingTableBytes;
    for (const { entryCount, dataBytes } of this.memtables) {
      bytes += tableBytesOf(entryCount, dataBytes);
    }
    return bytes;
  }

  /** Bytes of tables that wait for a checkpoint to be let go. */
  get dyingTableBytes(): number {
    return this.#dyingBytes;
  }

  /** What the newest source in memory says of a name. */
  inMemory(name: string): TreeEntry | undefined {
    return this.#active.memtable.get(name) ?? this.#flushing?.memtable.get(name);
  }

  /**
   * A group is durable, and the log goes on behind it. Until {@link endGroup} its changes come, in one turn. All of
   * them belong into one memtable: one that was begun in between would be replayed from behind the group.
   */
  beginGroup(): void {
    this.#isInGroup = true;
  }

  endGroup(): void {
    this.#isInGroup = false;
  }

  /** A put or delete of a name is durable. */
  set(name: string, entry: TreeEntry): void {
    const { memtable, delta } = this.#active;
    if (entry.kind === ENTRY_POINTER) {
      const bytes = recordBytesOf(name.length, entry.valueBytes);
      this.segments.addPointer(entry.ordinal, bytes);
      addTo(delta, entry.ordinal, bytes);
    }
    const before = memtable.set(name, entry);
    if (before === undefined) {
      this.#active.keyCount += contributionOf(entry.kind, SHADOW_UNKNOWN);
      return;
    }
    let { shadowOrdinal } = before;
    this.#active.keyCount -= contributionOf(before.kind, shadowOrdinal);
    if (this.#switches.settleTwice === true) {
      shadowOrdinal = SHADOW_UNKNOWN;
      memtable.setShadow(memtable.numberOf(name), shadowOrdinal, 0);
    }
    this.#active.keyCount += contributionOf(entry.kind, shadowOrdinal);
    this.#dropOwn(name.length, before);
  }

  /** A live record lies elsewhere now; what it hides is known. */
  move(name: string, entry: TreeEntry, from: TreeEntry): void {
    const isFirst = this.#active.memtable.get(name) === undefined;
    const diedBytes = this.#diedBytes;
    this.set(name, entry);
    if (isFirst) this.settle(this.#active, name, from);
    // It has moved, and not died.
    this.#diedBytes = diedBytes;
  }

  /** A range delete is durable. */
  deleteRange(from: string, to: string): void {
    const generation = this.#active;
    const { memtable } = generation;
    memtable.deleteRange(from, to, (number) => {
      const entry = memtable.look(number);
      const { shadowOrdinal, shadowBytes } = entry;
      generation.keyCount -= contributionOf(entry.kind, shadowOrdinal);
      this.#dropOwn(memtable.arena.keyBytesOf(number), entry);
      // The flush settles the range as a whole, this name included.
      if (shadowOrdinal <= 0 || !this.segments.isCounted(shadowOrdinal)) return;
      this.segments.addPointer(shadowOrdinal, shadowBytes);
      addTo(generation.delta, shadowOrdinal, shadowBytes);
    });
  }

  /**
   * What a generation says of a name hides this entry of an older source (absent: none). A pointer that it
   * hides dies.
   *
   * Nothing happens when that is settled already, when the name has no entry there any more, and when the
   * generation has been flushed.
   */
  settle(generation: Generation, name: string, hidden: TreeEntry | undefined): void {
    if (generation !== this.#active && generation !== this.#flushing) return;
    const number = generation.memtable.numberOf(name);
    if (number !== NO_ENTRY) this.#settleIn(generation, number, hidden);
  }

  /** The same for an entry of the memtable that is being flushed, which does not change any more. */
  settleFlushing(number: number, hidden: TreeEntry | undefined): void {
    const generation = this.#flushing;
    assert(generation !== undefined, 'no memtable is being flushed');
    this.#settleIn(generation, number, hidden);
  }

  #settleIn(generation: Generation, number: number, hidden: TreeEntry | undefined): void {
    const { memtable } = generation;
    if (!memtable.isUnsettled(number)) return;
    let shadowOrdinal = SHADOW_NONE;
    let shadowBytes = 0;
    if (hidden?.kind === ENTRY_INLINE) {
      shadowOrdinal = SHADOW_INLINE;
    } else if (hidden?.kind === ENTRY_POINTER) {
      shadowOrdinal = hidden.ordinal;
      shadowBytes = recordBytesOf(memtable.arena.keyBytesOf(number), hidden.valueBytes);
    }
    memtable.setShadow(number, shadowOrdinal, shadowBytes);
    if (shadowOrdinal > 0) this.#drop(generation, shadowOrdinal, shadowBytes);
    const kind = memtable.arena.kindOf(number);
    generation.keyCount +=
      contributionOf(kind, shadowOrdinal) - contributionOf(kind, SHADOW_UNKNOWN);
  }

  /** The active memtable is flushed from now on; the log goes on at `position` with a new one. */
  rotate(position: LogPosition): Generation {
    assert(this.#flushing === undefined, 'one memtable is flushed at a time');
    assert(!this.#isInGroup, 'a memtable is rotated away in the middle of a group');
    const rotated = this.#active;
    this.#flushing = rotated;
    this.#active = newGeneration(position, this.#pool);
    this.#generation++;
    return rotated;
  }

  /** The flushing memtable, settled, is in these tables. */
  installFlush(tables: readonly TableMeta[], ranges: RangeShadows): void {
    const generation = this.#flushing;
    assert(generation !== undefined, 'no memtable is being flushed');
    for (const [ordinal, bytes] of ranges.pointers) this.#drop(generation, ordinal, bytes);
    this.#flushing = undefined;
    generation.memtable.release();
    this.#keyCount += generation.keyCount - ranges.keyCount;
    if (tables.length > 0) {
      this.#version = this.#version.withChange({ add: [{ level: 0, tables }], remove: [] });
    }
    this.#generation++;
  }

  /** That version stands for the one of now, without those tables. */
  installChange(version: Version, dead: readonly TableMeta[]): void {
    this.#version = version;
    this.#dying.push(...dead);
    for (const { sizeBytes } of dead) this.#dyingBytes += sizeBytes;
    this.#generation++;
    if (this.#switches.freeTablesBeforeSlot === true) this.#letGo(this.#dying.splice(0));
  }

  /** A number for a new table. */
  takeTableNumber(): number {
    const number = this.#nextTableNumber;
    this.#nextTableNumber++;
    return number;
  }

  /**
   * What a checkpoint that is begun now says. When it is durable, {@link checkpointIsDurable}.
   *
   * @param position where the log stands. With nothing in memory it is replayed from there on.
   */
  beginCheckpoint(checkpoint: number, position: LogPosition): CheckpointContent {
    assert(!this.#isInGroup, 'a checkpoint is begun in the middle of a group');
    if (this.#flushing === undefined && this.#active.memtable.isEmpty) {
      this.#active.start = position;
    }
    this.#dyingAt.push({ checkpoint, tables: this.#dying });
    this.#dying = [];
    const flushing = this.#switches.cutLogBeforeFlush === true ? undefined : this.#flushing;
    const deltas = [this.#active.delta, this.#flushing?.delta];
    const rows = this.segments.rows().map((row) => {
      const delta = deltas.reduce((sum, map) => sum + (map?.get(row.ordinal) ?? 0), 0);
      assert(row.liveBytes >= delta, 'a memtable has added more than there is');
      return { ...row, liveBytes: row.liveBytes - delta };
    });
    return {
      start: (flushing ?? this.#active).start,
      tables: placedTablesOf(this.#version),
      rows,
      counters: {
        keyCount: Math.max(0, this.#keyCount),
        nextTableNumber: this.#nextTableNumber,
      },
    };
  }

  /** Recovery would start from that checkpoint or a later one: what only earlier ones name is let go. */
  checkpointIsDurable(checkpoint: number): void {
    for (;;) {
      const next = this.#dyingAt[0];
      if (next === undefined || next.checkpoint > checkpoint) return;
      this.#dyingAt.shift();
      this.#letGo(next.tables);
    }
  }

  /** No version that counts now or after a crash has these tables. */
  #letGo(tables: readonly TableMeta[]): void {
    for (const { segment, sizeBytes } of tables) {
      this.#dyingBytes -= sizeBytes;
      this.segments.removeTable(segment, sizeBytes);
    }
  }

  /**
   * During recovery: the tables that the checkpoint names.
   *
   * @returns what is wrong with them, if anything is; then nothing has changed.
   */
  restoreTables(tables: readonly PlacedTable[]): string | undefined {
    const levels: ((TableMeta[] | undefined)[] | undefined)[] = [];
    for (const { level, run, meta } of tables) {
      const runs = (levels[level] ??= []);
      (runs[run] ??= []).push(meta);
    }
    const dense = Array.from(levels, (runs) => Array.from(runs ?? [], (run) => run ?? []));
    const problem = problemInLevels(dense);
    if (problem !== undefined) return problem;
    this.#version = Version.of(0, dense);
    for (const { meta } of tables) this.segments.restoreTable(meta);
    return undefined;
  }

  restoreRow(row: SegmentRow): void {
    this.segments.restore(row);
    this.segments.addLive(row.segment, row.liveBytes);
  }

  restoreCounters({ keyCount, nextTableNumber }: CheckpointCounters): void {
    this.#keyCount = keyCount;
    this.#nextTableNumber = nextTableNumber;
  }

  /** An entry of the active memtable is gone, whatever it hides. */
  #dropOwn(keyBytes: number, { kind, ordinal, valueBytes }: Replaced): void {
    if (kind !== ENTRY_POINTER) return;
    this.#drop(this.#active, ordinal, recordBytesOf(keyBytes, valueBytes));
  }

  #drop(generation: Generation, ordinal: number, bytes: number): void {
    if (!this.segments.isCounted(ordinal)) return;
    // Before the segment may be retired: its delta says what a checkpoint still counts.
    addTo(generation.delta, ordinal, -bytes);
    this.#diedBytes += bytes;
    this.segments.removePointer(ordinal, bytes);
  }
}

/** By how much an entry of a memtable changes the count of keys. */
function contributionOf(kind: EntryKind, shadowOrdinal: number): number {
  const hidesKey = shadowOrdinal > 0 || shadowOrdinal === SHADOW_INLINE;
  if (kind === ENTRY_DELETE) return hidesKey ? -1 : 0;
  return hidesKey ? 0 : 1;
}

function placedTablesOf(version: Version): PlacedTable[] {
  return version.levels.flatMap(({ runs }, level) =>
    runs.flatMap((tables, run) => tables.map((meta) => ({ level, run, meta }))),
  );
}

function newGeneration(start: LogPosition, pool: ChunkPool): Generation {
  return { memtable: new MemTable(pool), start, delta: new Map(), keyCount: 0 };
}

function addTo(delta: Map<number, number>, ordinal: number, bytes: number): void {
  delta.set(ordinal, (delta.get(ordinal) ?? 0) + bytes);
}
