import { AssertionError, DeviceError, binaryStringOf } from '@dozo/base';
import { expect, test } from 'vitest';
import { Catalog } from './catalog.ts';
import { newCounters } from './counters.ts';
import { EngineError } from './errors.ts';
import { BLOCK_BYTES } from './limits.ts';
import type { LogSource } from './log-walk.ts';
import type { MaybePromise } from './maybe-promise.ts';
import { UNPACED } from './pacer.ts';
import { Reclaimer } from './reclaimer.ts';
import type { Move } from './reclaimer.ts';
import { TreeEntry } from './tree/tree-entry.ts';

const SEGMENT = 1;
const ORDINAL = 7;

interface Reclaiming {
  readonly read?: () => Promise<Uint8Array>;
  readonly lookUp?: (name: string) => MaybePromise<TreeEntry | undefined>;
}

/** A reclaimer of a segment that counts live bytes, over what the device is said to answer. */
function newReclaimer({ read, lookUp }: Reclaiming) {
  const catalog = new Catalog(4);
  catalog.restoreRow({
    segment: SEGMENT,
    ordinal: ORDINAL,
    seed: 1,
    end: 8 * 4096,
    liveBytes: 500,
  });
  catalog.segments.finishRecovery(new Set(), new Set());
  const counters = newCounters();
  const reads = { read: read ?? (() => Promise.resolve(new Uint8Array(BLOCK_BYTES).fill(1))) };
  // A segment in which nothing is a group: the walk ends where it begins.
  const walk = () => Promise.resolve({ offset: BLOCK_BYTES, groupIndex: 0 });
  const source = { ...reads, walk, uncached: { ...reads, walk } } as unknown as LogSource;
  const options = { source, catalog, counters, pacer: UNPACED, seed: 2 };
  const reclaimer = new Reclaimer({ ...options, lookUp: lookUp ?? (() => undefined) }, SEGMENT);
  const isDamaged = () => catalog.segments.isDamaged(SEGMENT);
  return { reclaimer, counters, isDamaged };
}

const unreadable = () =>
  new DeviceError('Reading failed.', {
    code: 'DEVICE_READ_FAILED',
    path: 'disk',
    offset: 0,
    cause: 'EIO',
  });

test('a segment that the device cannot read is marked as damaged, and so is one without its groups', async () => {
  const broken = newReclaimer({ read: () => Promise.reject(unreadable()) });
  expect(await broken.reclaimer.next()).toBeUndefined();
  expect(broken.isDamaged()).toBe(true);
  const lost = newReclaimer({});
  expect(await lost.reclaimer.next()).toBeUndefined();
  expect(lost.isDamaged()).toBe(true);
  expect(lost.counters.checksumErrorCount).toBe(1);
});

test('a segment that was discarded before a crash is not damaged', async () => {
  const read = () => Promise.resolve(new Uint8Array(BLOCK_BYTES));
  const { reclaimer, counters, isDamaged } = newReclaimer({ read });
  expect(await reclaimer.next()).toBeUndefined();
  expect(isDamaged()).toBe(false);
  expect(counters.checksumErrorCount).toBe(0);
});

test('a bug of ours is not taken for damage', async () => {
  const bug = new AssertionError('a bug');
  const reading = newReclaimer({ read: () => Promise.reject(bug) });
  await expect(reading.reclaimer.next()).rejects.toBe(bug);
  const looking = newReclaimer({ lookUp: () => Promise.reject(bug) });
  await expect(looking.reclaimer.recheck([moveOf('a', 4096)])).rejects.toBe(bug);
});

test('a damaged table keeps the records back of which it would tell, and marks nothing', async () => {
  const damaged = new EngineError('A block of a table is damaged.', {
    code: 'INDEX_DAMAGED',
    path: 'disk',
    segment: 0,
    offset: 0,
    sizeBytes: BLOCK_BYTES,
    reason: 'rot',
  });
  for (const error of [damaged, unreadable()]) {
    const told = moveOf('told', 4096);
    const { reclaimer, isDamaged } = newReclaimer({
      lookUp: (name) => {
        if (name === 'at once') throw error;
        return name === 'later' ? Promise.reject(error) : told.entry;
      },
    });
    const moves = [moveOf('at once', 5000), moveOf('later', 6000), told];
    expect((await reclaimer.recheck(moves)).moves).toEqual([told]);
    expect(isDamaged()).toBe(false);
  }
});

function moveOf(name: string, offset: number): Move {
  const key = Uint8Array.from(name, (character) => character.charCodeAt(0));
  const entry = TreeEntry.pointer(1, 600, ORDINAL, offset);
  return { name: binaryStringOf(key), entry, key, value: new Uint8Array(600), checksums: [] };
}
