/**
 * What the device is doing when a crash comes: told from the bytes that are being written, so that it can
 * be shown that crashes hit every kind of work.
 *
 * Formats: `docs/formats/device.md`. A flush belongs to the write before it.
 */
import { binaryStringOf } from '@dozo/base';
import type { OperationEvent } from '@dozo/simulator';
import { HAS_TREE } from './engine-features.ts';

/**
 * - `slot`: the claim's slot. `switch`: the first group of a segment. `publish`: a manifest in the middle
 *   of a segment. `page`: a page of a checkpoint. `moves`: records that reclaim moves. `commit`: batches.
 * - `table`: everything in a segment that is no group: the tables of flushes and compactions.
 * - `discard`: of a free segment.
 */
export type Phase =
  'slot' | 'switch' | 'publish' | 'page' | 'moves' | 'commit' | 'table' | 'discard';

export type PhaseCounts = Record<Phase, number>;

/** Phases that every workload must have been crashed in. */
export const PHASES_EXPECTED: readonly Phase[] = HAS_TREE
  ? ['slot', 'switch', 'publish', 'page', 'moves', 'commit', 'table']
  : ['slot', 'switch', 'publish', 'page', 'moves', 'commit'];

const BLOCK_BYTES = 4096;
const GROUP_HEAD_BYTES = 64;
const RECORD_HEAD_BYTES = 20;
const CHECKED_BYTES = 64 * 1024;
const TYPE_PUT = 1;
const TYPE_MANIFEST = 3;
const TYPE_PAGE = 4;

export function noPhases(): PhaseCounts {
  return { slot: 0, switch: 0, publish: 0, page: 0, moves: 0, commit: 0, table: 0, discard: 0 };
}

/** Follows the operations of one handle. */
export class PhaseWatch {
  readonly #areaOffset: number;
  /** By their index; a write and its flush are two operations. */
  #current: readonly Phase[] = [];
  #lsnMax = 0;

  /** @param areaOffset where the segments begin. */
  constructor(areaOffset: number) {
    this.#areaOffset = areaOffset;
  }

  /** The phases of an operation that begins or ends; writes and their flushes alternate. */
  of(event: OperationEvent): readonly Phase[] {
    if (event.kind === 'discard') return ['discard'];
    if (event.kind === 'write' && event.phase === 'begin') this.#current = this.#phasesOf(event);
    return this.#current;
  }

  #phasesOf({ offset, bytes = new Uint8Array(0) }: OperationEvent): readonly Phase[] {
    if (offset < this.#areaOffset) return ['slot'];
    const isFirst = binaryStringOf(bytes.subarray(0, 8)) === 'DOZOSEG1';
    const group = isFirst ? bytes.subarray(BLOCK_BYTES) : bytes;
    if (binaryStringOf(group.subarray(0, 4)) !== 'DZGR') return ['table'];
    const phases = this.#phasesOfGroup(group);
    return isFirst ? ['switch', ...phases.filter((phase) => phase !== 'publish')] : phases;
  }

  #phasesOfGroup(group: Uint8Array): readonly Phase[] {
    const view = new DataView(group.buffer, group.byteOffset, group.byteLength);
    const phases = new Set<Phase>();
    const lsnMaxBefore = this.#lsnMax;
    let at = GROUP_HEAD_BYTES;
    for (let left = view.getUint32(20, true); left > 0; left--) {
      const type = view.getUint8(at + 4);
      const keyBytes = view.getUint16(at + 6, true);
      const valueBytes = view.getUint32(at + 8, true);
      if (type === TYPE_MANIFEST) phases.add('publish');
      else if (type === TYPE_PAGE) phases.add('page');
      else {
        // What reclaim moves keeps its number; a new batch has a higher one than all before.
        const lsn = Number(view.getBigUint64(at + 12, true));
        phases.add(type === TYPE_PUT && lsn <= lsnMaxBefore ? 'moves' : 'commit');
        this.#lsnMax = Math.max(this.#lsnMax, lsn);
      }
      at += RECORD_HEAD_BYTES + keyBytes + 4 * Math.ceil(valueBytes / CHECKED_BYTES) + valueBytes;
    }
    return [...phases];
  }
}
