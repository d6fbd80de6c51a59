/** Reading a device without taking a claim: nothing is written, not even to the ring. */
import { hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import type { Ring, Slot } from '@dozo/claim';
import type { ClaimHistory } from './claim-history.ts';
import { newCounters } from './counters.ts';
import type { Engine, VerifyReport } from './engine-types.ts';
import { Life } from './life.ts';
import type { Catalog } from './catalog.ts';
import { CACHE_BYTES_DEFAULT } from './limits.ts';
import { LogSource } from './log-walk.ts';
import { UNPACED } from './pacer.ts';
import { Settler } from './settler.ts';
import { TreeAccess } from './tree-access.ts';
import { openRing } from './open-engine.ts';
import { readSuperblock } from './read-superblock.ts';
import { Reading } from './reading.ts';
import { recover } from './recovery.ts';
import type { Recovered } from './recovery.ts';
import type { Superblock } from './superblock.ts';
import { verifyDevice } from './verify.ts';

/** The part of an engine that does not write, and what the device remembers of its holders. */
export type ReadOnlyEngine = Pick<
  Engine,
  'get' | 'stat' | 'scan' | 'snapshot' | 'verify' | 'close'
> & {
  readonly keyCount: number;
  readonly liveBytes: number;
  readonly lastLsn: number;
  /** As it was read before the log was. */
  readonly ring: Ring;
  /** The claim whose manifest was read; absent on a device without one. */
  readonly recoveredFrom: Slot | undefined;
  /** The fences and notes of that manifest. */
  readonly history: ClaimHistory;
};

/** How often a recovery is begun anew because the holder has gone on meanwhile. */
const TRIES_MAX = 5;

/**
 * Recovers a device in memory, for an offline `verify`, for forensics, or to rescue what can be read.
 *
 * Also while somebody holds it: then it shows a moment of the log, past every cache, and is out of date
 * soon; segments that the holder uses again meanwhile read as damaged. Rejects as `openEngine` does, but
 * for the errors of the claim and `DEVICE_NEEDS_REPAIR`: a damaged ring is for verify to report.
 */
export async function openReadOnly(device: Device): Promise<ReadOnlyEngine> {
  const superblock = await readSuperblock(device);
  const { ring, recovered } = await recoverInUse(device, superblock);
  await device.dropCache();
  const { catalog, parts, pages, checkpoint: checkpointNumber } = recovered;
  const source = new LogSource(device, superblock.geometry);
  const life = new Life(device.path);
  const counters = newCounters();
  const switches = {};
  const tree = new TreeAccess({
    catalog,
    source,
    cacheBytes: CACHE_BYTES_DEFAULT,
    counters,
    switches,
    breathe: () => Promise.resolve(),
  });
  await settleAll(catalog, tree);
  const reading = new Reading({
    catalog,
    source,
    tree,
    counters,
    switches,
    enter: () => {
      life.assertServing();
      return undefined;
    },
  });
  const lastLsn = recovered.nextLsn - 1;
  return {
    keyCount: catalog.keyCount,
    liveBytes: catalog.segments.totalLiveBytes,
    lastLsn,
    ring,
    recoveredFrom: ring.newestWithCheckpoint,
    history: recovered.history,
    get: (key, range) => reading.get(key, range),
    stat: (key) => reading.stat(key),
    scan: (range, options) => reading.scan(range, options),
    snapshot: () => reading.snapshot(lastLsn),
    verify: (options = {}): Promise<VerifyReport> => {
      life.assertServing();
      const { onProgress, signal } = options;
      return verifyDevice({
        superblock,
        source,
        catalog,
        parts,
        pages,
        checkpointNumber,
        tree,
        records: reading.records,
        onProgress,
        signal,
      });
    },
    close: () => {
      life.close();
      return Promise.resolve();
    },
  };
}

/** Finds out what the replayed log hides, so that the counts are right. Damage is for verify to report. */
async function settleAll(catalog: Catalog, tree: TreeAccess): Promise<void> {
  const settler = new Settler({ catalog, tree, pacer: UNPACED });
  await settler.settle(catalog.active);
}

/**
 * Recovers from the newest claim. A holder that publishes a manifest meanwhile may use segments again
 * that the one before needed; then what looks like damage is none, and the ring says so.
 */
async function recoverInUse(
  device: Device,
  superblock: Superblock,
): Promise<{ readonly ring: Ring; readonly recovered: Recovered }> {
  for (let tries = 1; ; tries++) {
    const { ring } = await openRing(device, superblock);
    const from = ring.newestWithCheckpoint;
    try {
      return { ring, recovered: await recover(device, superblock, { from }) };
    } catch (error) {
      if (!hasCode(error, 'DEVICE_CORRUPT') || tries === TRIES_MAX) throw error;
      const after = (await openRing(device, superblock)).ring.newestWithCheckpoint;
      const isSame = after?.checkpoint?.groupOffset === from?.checkpoint?.groupOffset;
      if (isSame && after?.identity.incarnation === from?.identity.incarnation) throw error;
    }
  }
}
