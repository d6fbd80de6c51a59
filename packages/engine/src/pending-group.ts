/**
 * The group that is under construction or on its way to the device: the batches and the step that are in
 * it, and what becomes of the catalog when it is durable.
 *
 * Moves of reclaim come before the batches, which therefore win.
 */
import type { Catalog } from './catalog.ts';
import { addPages, pagesBytesOf } from './checkpoint-writer.ts';
import type { QueuedBatch } from './commit-queue.ts';
import type { Counters } from './counters.ts';
import type { Lsn } from './engine-types.ts';
import { RECLAIM_STEP_BYTES } from './limits.ts';
import type { LogWriter } from './log-writer.ts';
import type { Maintenance, Step } from './maintenance.ts';
import type { Move } from './reclaimer.ts';
import { RECORD_DELETE, RECORD_DELETE_RANGE, RECORD_PUT } from './record.ts';
import { recordBytesOf } from './record.ts';
import { ENTRY_DELETE, TreeEntry } from './tree/tree-entry.ts';

/** What changes in the tree when the group is durable. */
interface Change {
  /** The key, or where a range delete begins. */
  readonly name: string;
  /** Absent for a range delete. */
  readonly entry: TreeEntry | undefined;
  /** What a move takes the place of. */
  readonly from: TreeEntry | undefined;
  /** Where a range delete ends. */
  readonly rangeEnd: string;
}

export interface PendingGroupOptions {
  readonly log: LogWriter;
  readonly catalog: Catalog;
  readonly maintenance: Maintenance;
  readonly counters: Counters;
}

/** See the file comment. One for each group that is formed. */
export class PendingGroup {
  readonly batches: { readonly batch: QueuedBatch; readonly lsn: Lsn }[] = [];
  readonly #options: PendingGroupOptions;
  readonly #changes: Change[] = [];
  /** What the step wants to be told. */
  #onDurable: (() => void) | undefined;
  #hasStep = false;

  constructor(options: PendingGroupOptions) {
    this.#options = options;
  }

  /** The step that maintenance has ready, or as much of its moves as there is room for. */
  addStep(step: Step): void {
    const { log, maintenance } = this.#options;
    this.#hasStep = true;
    if (step.kind === 'moves') {
      maintenance.take(this.#addMoves(step.moves));
      return;
    }
    if (step.kind === 'pages') {
      const places = addPages(log, step.number, step.pages);
      this.#onDurable = () => {
        step.onDurable(places);
      };
    }
    maintenance.take([]);
  }

  /** A batch for which there is room. */
  addBatch(batch: QueuedBatch): void {
    const { log } = this.#options;
    const lsn = log.nextLsn as Lsn;
    log.nextLsn++;
    const ordinal = log.groupOrdinal;
    for (const { type, key, name, value, checksums, inline } of batch.operations) {
      const offset = log.add({ type, key, value, checksums, lsn });
      if (type === RECORD_DELETE_RANGE) {
        const rangeEnd = inline ?? '';
        this.#changes.push({ name, entry: undefined, from: undefined, rangeEnd });
        continue;
      }
      const entry =
        type === RECORD_DELETE
          ? TreeEntry.delete(lsn)
          : inline === undefined
            ? TreeEntry.pointer(lsn, value.length, ordinal, offset)
            : TreeEntry.held(lsn, inline);
      this.#changes.push({ name, entry, from: undefined, rangeEnd: '' });
    }
    this.batches.push({ batch, lsn });
  }

  /** The group is durable: changes the catalog, and tells maintenance of its step. */
  apply(): void {
    const { catalog, counters, maintenance } = this.#options;
    for (const { name, entry, from, rangeEnd } of this.#changes) {
      if (entry === undefined) {
        counters.deleteRangeCount++;
        catalog.deleteRange(name, rangeEnd);
      } else if (from !== undefined) {
        catalog.move(name, entry, from);
      } else {
        if (entry.kind === ENTRY_DELETE) counters.deleteCount++;
        else counters.putCount++;
        catalog.set(name, entry);
      }
    }
    this.#onDurable?.();
    if (this.#hasStep) maintenance.committed();
  }

  #addMoves(moves: readonly Move[]): readonly Move[] {
    const { log, counters } = this.#options;
    const ordinal = log.groupOrdinal;
    let movedBytes = 0;
    for (let index = 0; index < moves.length; index++) {
      const move = moves[index] as Move;
      const bytes = moveBytes(move);
      if (bytes > log.groupRoomBytes || movedBytes > RECLAIM_STEP_BYTES) return moves.slice(index);
      const { lsn, valueBytes } = move.entry;
      const offset =
        move.encoded === undefined
          ? log.add({ ...move, type: RECORD_PUT, lsn })
          : log.addEncoded(move.encoded, lsn);
      const entry = TreeEntry.pointer(lsn, valueBytes, ordinal, offset);
      this.#changes.push({ name: move.name, entry, from: move.entry, rangeEnd: '' });
      movedBytes += bytes;
      counters.bytesMoved += bytes;
    }
    return [];
  }
}

/** Bytes that a group must have room for to take a step; of moves, the first one. */
export function stepBytesOf(step: Step, log: LogWriter): number {
  if (step.kind === 'pages') return pagesBytesOf(step.pages);
  if (step.kind === 'moves') return moveBytes(step.moves[0]);
  const { pages } = step.kind === 'publish' ? step.finish() : log;
  return recordBytesOf(0, log.manifestBytes(pages.length));
}

function moveBytes(move: Move | undefined): number {
  return move === undefined ? 0 : recordBytesOf(move.key.length, move.value.length);
}
