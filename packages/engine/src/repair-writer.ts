/**
 * Writes what a repair has come to: the damaged tables anew, the rest as a table of level 0, and a
 * checkpoint of all of it. Nobody else uses the log meanwhile, so it goes step by step.
 */
import { assert } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import type { Claim } from '@dozo/claim';
import {
  CheckpointWriter,
  addPages,
  checkpointPageBytesOf,
  pagesBytesOf,
} from './checkpoint-writer.ts';
import { newCounters } from './counters.ts';
import { flushMemtable } from './flush-job.ts';
import type { TableJobOptions } from './flush-job.ts';
import { CACHE_BYTES_DEFAULT } from './limits.ts';
import { LogSource } from './log-walk.ts';
import { LogWriter } from './log-writer.ts';
import { noSegment } from './open-engine.ts';
import { UNPACED } from './pacer.ts';
import { recordBytesOf } from './record.ts';
import type { Recovered } from './recovery.ts';
import { repairedStart } from './repair-catalog.ts';
import type { Examination } from './repair-plan.ts';
import { Settler } from './settler.ts';
import { neededSegments } from './space.ts';
import type { Superblock } from './superblock.ts';
import { TableSpace } from './table-space.ts';
import { TableBuilder } from './table/table-builder.ts';
import { tableSeedOf } from './table/table-format.ts';
import type { TableMeta } from './table/table-meta.ts';
import type { TableSalvage } from './table/table-salvage.ts';
import { TreeAccess } from './tree-access.ts';
import { treeSettingsOf } from './tree-settings.ts';
import { TreeView } from './tree/tree-view.ts';
import type { FinishedCheckpoint } from './written-log.ts';

export interface RepairWriterOptions {
  readonly device: Device;
  readonly clock: Clock;
  readonly superblock: Superblock;
  readonly claim: Claim;
  readonly recovered: Recovered;
  readonly examination: Examination;
}

/** See the file comment. */
export class RepairWriter {
  /** The log, for the fence, which comes first. */
  readonly log: LogWriter;
  readonly #options: RepairWriterOptions;
  readonly #recovered: Recovered;
  readonly #space: TableSpace;
  readonly #counters = newCounters();
  /** Why no table can be written any more. */
  #failure: unknown;

  constructor(options: RepairWriterOptions) {
    this.#options = options;
    const { device, clock, superblock, claim, recovered, examination } = options;
    const switches = {};
    const counters = this.#counters;
    this.#recovered = repairedStart(recovered, examination);
    const { catalog } = this.#recovered;
    this.log = new LogWriter({
      ...{ device, superblock, claim, clock, counters, switches },
      recovered: this.#recovered,
    });
    this.#space = new TableSpace({
      ...{ device, superblock, claim, catalog, log: this.log, counters, switches },
      onWait: () => {
        void this.#findSegment();
      },
      assertServing: () => {
        if (this.#failure !== undefined) throw this.#failure as Error;
      },
      onFailure: (error) => {
        this.#failure ??= error;
      },
    });
  }

  /**
   * Looks up what the replayed log has replaced: segments in which nothing else lives are free for the
   * repair then. Before the fence; the damaged tables are seen as they will be.
   */
  async settle(): Promise<void> {
    const { catalog } = this.#recovered;
    const { lenient: lookup } = this.#options.examination;
    const breathe = (): Promise<void> => this.#options.clock.turn();
    const tree = {
      below: () => new TreeView({ memtables: [], version: catalog.version, lookup, breathe }),
    };
    await new Settler({ catalog, tree, pacer: UNPACED }).settle(catalog.active);
  }

  /** Does everything behind the fence, and gives the claim back. */
  async run(): Promise<void> {
    await this.#rewriteTables();
    await this.#flush();
    await this.#writeCheckpoint();
    await this.log.release();
  }

  async #rewriteTables(): Promise<void> {
    const { catalog } = this.#recovered;
    const { salvages } = this.#options.examination;
    const dead: TableMeta[] = [];
    const gone: number[] = [];
    const written = new Map<number, TableMeta>();
    for (const table of catalog.version.tables()) {
      const salvage = salvages.get(table.number);
      if (salvage === undefined) continue;
      dead.push(table);
      const rewritten = await this.#rewriteTable(table, salvage);
      if (rewritten === undefined) gone.push(table.number);
      else written.set(table.number, rewritten);
    }
    if (dead.length === 0) return;
    const version = catalog.version.withChange({ add: [], remove: gone }).withPlaces(written);
    catalog.installChange(version, dead);
  }

  /** Writes a table with what is left of one; undefined when that is nothing. */
  async #rewriteTable(table: TableMeta, { ranges }: TableSalvage): Promise<TableMeta | undefined> {
    const { lenient } = this.#options.examination;
    const number = this.#recovered.catalog.takeTableNumber();
    const seed = tableSeedOf(this.log.seed, number);
    const builder = new TableBuilder({ number, seed, targetBytes: table.sizeBytes });
    const cursor = lenient.cursor(table, { from: '', reverse: false, readAhead: false });
    for (;;) {
      const step = cursor.next();
      const isThere = typeof step === 'boolean' ? step : await step;
      if (!isThere) break;
      builder.add(cursor.key, cursor.entry);
    }
    if (builder.isEmpty && ranges.isEmpty) return undefined;
    const { bytes, content } = builder.finish(ranges);
    return this.#space.write(bytes, content, neededSegments('checkpoint'), true);
  }

  /** The log that was replayed, and what is dropped. */
  async #flush(): Promise<void> {
    const { device, superblock, clock } = this.#options;
    const { geometry } = superblock;
    const { catalog } = this.#recovered;
    const tree = new TreeAccess({
      catalog,
      source: new LogSource(device, geometry),
      cacheBytes: CACHE_BYTES_DEFAULT,
      counters: this.#counters,
      switches: {},
      breathe: () => clock.turn(),
    });
    const settler = new Settler({ catalog, tree, pacer: UNPACED });
    const { tableBytes, compaction: settings } = treeSettingsOf(geometry);
    const { seed } = this.log;
    const job: TableJobOptions = {
      ...{ catalog, space: this.#space, pacer: UNPACED, reader: tree.tables },
      ...{ seed, tableBytes, settings },
    };
    const onEntries = (): void => undefined;
    await flushMemtable({ ...job, settler, onEntries }, catalog.rotate(this.log.position));
  }

  async #writeCheckpoint(): Promise<void> {
    const { log } = this;
    const { catalog } = this.#recovered;
    const pageBytes = checkpointPageBytesOf(this.#options.superblock.geometry);
    const number = log.nextCheckpointNumber();
    const checkpoint = new CheckpointWriter(catalog, number, pageBytes, log.position);
    for (;;) {
      const pages = checkpoint.nextPages();
      if (pages.length === 0) break;
      await this.#begin(pagesBytesOf(pages));
      const places = addPages(log, number, pages);
      await log.commit();
      log.advance();
      checkpoint.addPlaces(places);
    }
    const finished = checkpoint.finish();
    await this.#begin(recordBytesOf(0, log.manifestBytes(finished.pages.length)), finished);
    await log.commit();
    log.advance();
    // Both blocks: neither leads to what is damaged any more.
    await log.updateSlot('held');
    await log.updateSlot('held');
  }

  /** Begins a group with room for so much. */
  async #begin(bytes: number, publishing?: FinishedCheckpoint): Promise<void> {
    const { log } = this;
    if (log.isSlotDue) await log.updateSlot();
    await log.checkLease();
    if (bytes <= log.roomBytes) {
      log.beginGroup();
      if (publishing !== undefined) log.publish(publishing);
      return;
    }
    if (!log.hasReservedSegment) await this.#reserve();
    assert(bytes <= log.freshRoomBytes || publishing !== undefined, 'too long for a segment');
    log.beginSegment(publishing);
  }

  async #reserve(): Promise<void> {
    const { log } = this;
    await log.updateSlot();
    await log.confirmed();
    if (!log.hasReservedSegment) throw noSegment(this.#options.device);
  }

  /** A table waits for a segment: there is one now, or never. */
  async #findSegment(): Promise<void> {
    try {
      await this.#reserve();
      const { segments } = this.#recovered.catalog;
      const isEnough = segments.availableCount > neededSegments('checkpoint');
      if (!isEnough) this.#failure = noSegment(this.#options.device);
    } catch (error) {
      this.#failure = error;
    }
    this.#space.look();
  }
}
