/**
 * Finds out what a repair has to do, and what it costs: what is gone, and what shows instead.
 *
 * Everything is read and checked, as verify does. From then on the tree is seen as it will be: without the
 * damaged blocks of tables, and with what the log still holds. A value that cannot be read any more is
 * dropped, with its key. Where a block of a table is gone, an older version of a key may show: whatever
 * comes from older tables there, and is not certainly the newest, is listed with what it shows.
 */
import { assert, bytesOfBinaryString } from '@dozo/base';
import type { Device } from '@dozo/base';
import { newCounters } from './counters.ts';
import type { Damage, KeyBounds, VerifyProgress, VerifyReport } from './engine-types.ts';
import { corrupt } from './errors.ts';
import type { EngineError } from './errors.ts';
import { LenientTables } from './lenient-tables.ts';
import { CACHE_BYTES_DEFAULT, REPAIR_KEYS_MAX } from './limits.ts';
import { LogSource } from './log-walk.ts';
import { recordBytesOf } from './record.ts';
import { RecordReader } from './record-reader.ts';
import type { Recovered } from './recovery.ts';
import type { LogLoss, LogRefusal } from './log-losses.ts';
import type { Superblock } from './superblock.ts';
import { mayContain, hashOfKey } from './table/bloom.ts';
import { keyBoundsOf } from './table/verify-table.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TableSalvage } from './table/table-salvage.ts';
import { TreeAccess } from './tree-access.ts';
import type { KeyInterval } from './tree/range-set.ts';
import { ENTRY_POINTER } from './tree/tree-entry.ts';
import type { TreeEntry } from './tree/tree-entry.ts';
import { TreeView } from './tree/tree-view.ts';
import { Version } from './tree/version.ts';
import { verifyDevice } from './verify.ts';

/** A key whose value cannot be read any more. */
export interface DroppedKey {
  readonly key: Uint8Array;
  /** The batch that wrote the value. */
  readonly lsn: number;
  /** What its record took. */
  readonly sizeBytes: number;
  readonly reason: string;
}

/** A key that may show an older version than it had: a newer one, or a delete, may be among what is gone. */
export interface ResurfacedKey {
  readonly key: Uint8Array;
  /** The batch that wrote what it shows. */
  readonly lsn: number;
  readonly sizeBytes: number;
}

/** What a table said of these keys is gone. */
export interface LostKeys extends KeyBounds {
  /** False: its range deletes alone are. */
  readonly hasEntries: boolean;
  /** The highest number of a batch in that table. */
  readonly lsnMax: number;
}

/** What a repair does, and what it costs. Nothing that is not in it is lost. */
export interface RepairPlan {
  /** Everything that verify lists. */
  readonly report: VerifyReport;
  readonly dropped: readonly DroppedKey[];
  readonly resurfaced: readonly ResurfacedKey[];
  readonly lostKeys: readonly LostKeys[];
  /** Places of the log that are damaged. */
  readonly logLosses: readonly LogLoss[];
  /** Tables that are written anew without what is damaged in them, or to replace an index or a filter. */
  readonly tableCount: number;
  /** The newest manifest or its checkpoint is damaged: an older one and the log since then take its place. */
  readonly isOlderCheckpoint: boolean;
  /** Why opening the device is refused as it is; absent when it is not. */
  readonly refusal?: LogRefusal;
  /** More keys than one run can hold are to be dropped: another run is needed. */
  readonly isPartial: boolean;
}

export interface PlanOptions {
  readonly device: Device;
  readonly superblock: Superblock;
  readonly recovered: Recovered;
  readonly logLosses: readonly LogLoss[];
  readonly isOlderCheckpoint: boolean;
  readonly refusal?: LogRefusal | undefined;
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is known when the plan is made, for carrying it out. */
export interface Examination {
  readonly plan: RepairPlan;
  readonly salvages: ReadonlyMap<number, TableSalvage>;
  /** Reads the tree as it will be. */
  readonly lenient: LenientTables;
  /** Bytes of records that the tables, without what is damaged, point to, by ordinal. */
  readonly liveBytes: ReadonlyMap<number, number>;
  /** Keys that the tables, without what is damaged, show. */
  readonly keyCount: number;
}

/**
 * Makes the plan. Writes nothing. Rejects with `DEVICE_CORRUPT` where more would show an older value than can
 * be listed, with the device's read errors and the signal's reason.
 */
export function examine(options: PlanOptions): Promise<Examination> {
  return new Examining(options).run();
}

class Examining {
  readonly #options: PlanOptions;
  readonly #tree: TreeAccess;
  readonly #source: LogSource;
  readonly #salvages = new Map<number, TableSalvage>();
  readonly #lenient: LenientTables;
  readonly #dropped: DroppedKey[] = [];
  readonly #resurfaced = new Map<string, ResurfacedKey>();
  readonly #lostKeys: LostKeys[] = [];
  #isPartial = false;

  constructor(options: PlanOptions) {
    this.#options = options;
    const { device, superblock, recovered } = options;
    this.#source = new LogSource(device, superblock.geometry);
    this.#tree = new TreeAccess({
      catalog: recovered.catalog,
      source: this.#source,
      cacheBytes: CACHE_BYTES_DEFAULT,
      counters: newCounters(),
      switches: {},
      breathe: () => Promise.resolve(),
    });
    this.#lenient = new LenientTables(this.#tree.tables, this.#salvages);
  }

  async run(): Promise<Examination> {
    const { recovered, logLosses, isOlderCheckpoint, refusal } = this.#options;
    const report = await this.#verify();
    const { version } = recovered.catalog;
    for (const [level, { runs }] of version.levels.entries()) {
      for (const [run, tables] of runs.entries()) {
        for (const table of tables) await this.#findResurfaced(table, level, run);
      }
    }
    const { liveBytes, keyCount } = await this.#account();
    const plan = {
      report,
      dropped: this.#dropped,
      resurfaced: [...this.#resurfaced.values()],
      lostKeys: this.#lostKeys,
      logLosses,
      tableCount: this.#salvages.size,
      isOlderCheckpoint,
      isPartial: this.#isPartial,
      ...(refusal === undefined ? {} : { refusal }),
    };
    return { plan, salvages: this.#salvages, lenient: this.#lenient, liveBytes, keyCount };
  }

  #verify(): Promise<VerifyReport> {
    const { superblock, recovered, onProgress, signal } = this.#options;
    const { catalog, parts, pages, checkpoint: checkpointNumber } = recovered;
    const { segments } = catalog;
    const records = new RecordReader({
      source: this.#source,
      segments,
      counters: newCounters(),
      switches: {},
    });
    return verifyDevice({
      superblock,
      source: this.#source,
      catalog,
      parts,
      pages,
      checkpointNumber,
      tree: this.#tree,
      records,
      onProgress,
      signal,
      onDamage: (damage) => {
        this.#drop(damage);
      },
      onSalvage: ({ number }, salvage) => {
        this.#salvages.set(number, salvage);
      },
    });
  }

  #drop({ key, lsn, sizeBytes, reason }: Damage): void {
    if (key === undefined) return;
    if (this.#dropped.length >= REPAIR_KEYS_MAX) this.#isPartial = true;
    else this.#dropped.push({ key, lsn: lsn ?? 0, sizeBytes, reason });
  }

  /** Once the block that hid them is gone no later run could list them. */
  #tooMany(): EngineError {
    const { device } = this.#options;
    const reason = `more than ${REPAIR_KEYS_MAX} keys would show an older value, too many to list`;
    return corrupt(device.path, 0, reason);
  }

  /** Lists what shows where a damaged table said something that is gone. */
  async #findResurfaced(table: TableMeta, level: number, run: number): Promise<void> {
    const salvage = this.#salvages.get(table.number);
    if (salvage === undefined) return;
    const { lsnMax } = table;
    for (const keys of salvage.lost) {
      this.#lostKeys.push({ ...keyBoundsOf(keys), hasEntries: true, lsnMax });
    }
    const whole = { from: table.smallest, to: table.end };
    if (salvage.areRangesLost) {
      this.#lostKeys.push({ ...keyBoundsOf(whole), hasEntries: false, lsnMax });
    }
    const newer = this.#viewDownTo(level, run);
    const intervals = salvage.areRangesLost ? [whole] : salvage.lost;
    for (const keys of intervals) await this.#findIn(keys, newer, salvage);
  }

  async #findIn(keys: KeyInterval, newer: TreeView, salvage: TableSalvage): Promise<void> {
    const view = this.#tree.frozen(this.#lenient);
    for await (const rows of view.entries({ ...keys, reverse: false })) {
      this.#options.signal?.throwIfAborted();
      for (const { key: name, entry } of rows) {
        const key = bytesOfBinaryString(name);
        if (!isInDoubt(key, salvage) || (await newer.get(name)) !== undefined) continue;
        this.#resurfaced.set(name, resurfacedOf(key, entry));
        if (this.#resurfaced.size > REPAIR_KEYS_MAX) throw this.#tooMany();
      }
    }
  }

  /** What sources down to a run say, its own tables included. */
  #viewDownTo(level: number, run: number): TreeView {
    const { catalog } = this.#options.recovered;
    const levels = catalog.version.levels
      .slice(0, level + 1)
      .map(({ runs }, number) => (number === level ? runs.slice(0, run + 1) : runs));
    return new TreeView({
      memtables: [catalog.active.memtable],
      version: Version.of(0, levels),
      lookup: this.#lenient,
      breathe: () => Promise.resolve(),
    });
  }

  /** What the tables alone come to, as a checkpoint says it. */
  async #account(): Promise<{ liveBytes: Map<number, number>; keyCount: number }> {
    const { catalog } = this.#options.recovered;
    assert(catalog.flushing === undefined, 'nothing is flushed while a device is looked at');
    const { version } = catalog;
    const breathe = (): Promise<void> => Promise.resolve();
    const view = new TreeView({ memtables: [], version, lookup: this.#lenient, breathe });
    const liveBytes = new Map<number, number>();
    let keyCount = 0;
    for await (const rows of view.entries({ from: '', reverse: false })) {
      this.#options.signal?.throwIfAborted();
      keyCount += rows.length;
      for (const { key, entry } of rows) {
        if (entry.kind !== ENTRY_POINTER || catalog.segments.segmentOf(entry.ordinal) === undefined)
          continue;
        const bytes = recordBytesOf(key.length, entry.valueBytes);
        liveBytes.set(entry.ordinal, (liveBytes.get(entry.ordinal) ?? 0) + bytes);
      }
    }
    return { liveBytes, keyCount };
  }
}

/** Whether the table may have said something of a key that is gone. */
function isInDoubt(key: Uint8Array, { filter, areRangesLost }: TableSalvage): boolean {
  // A filter never denies a key of its table.
  return areRangesLost || filter === undefined || mayContain(filter, hashOfKey(key));
}

function resurfacedOf(key: Uint8Array, { lsn, valueBytes }: TreeEntry): ResurfacedKey {
  return { key, lsn, sizeBytes: valueBytes };
}
