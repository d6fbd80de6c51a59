/** Reading a device without taking a claim: nothing is written, not even to the ring. */
import type { Device } from '@dozo/base';
import { newCounters } from './counters.ts';
import type { Engine, VerifyReport } from './engine-types.ts';
import { Life } from './log-engine.ts';
import { LogSource } from './log-walk.ts';
import { openRing } from './open-engine.ts';
import { readSuperblock } from './read-superblock.ts';
import { Reading } from './reading.ts';
import { recover } from './recovery.ts';
import { verifyDevice } from './verify.ts';

/** The part of an engine that does not write. */
export type ReadOnlyEngine = Pick<
  Engine,
  'get' | 'stat' | 'scan' | 'snapshot' | 'verify' | 'close'
> & {
  readonly keyCount: number;
  readonly liveBytes: number;
  readonly lastLsn: number;
};

/**
 * Recovers a device in memory, for an offline `verify` or to rescue what can be read.
 *
 * The device should not be in use: a holder that goes on writing makes what this sees out of date,
 * and segments that it uses again read as damaged. Rejects as `openEngine` does, but for
 * `CLAIM_RING_DAMAGED` and `DEVICE_NEEDS_REPAIR`: a damaged ring is for verify to report.
 */
export async function openReadOnly(device: Device): Promise<ReadOnlyEngine> {
  const superblock = await readSuperblock(device);
  const { ring } = await openRing(device, superblock);
  const recovered = await recover(device, superblock, ring);
  const { catalog, parts, pages, snapshot } = recovered;
  const source = new LogSource(device, superblock.geometry);
  const life = new Life(device.path);
  const reading = new Reading({
    catalog,
    source,
    counters: newCounters(),
    switches: {},
    assertServing: () => {
      life.assertServing();
    },
  });
  const lastLsn = recovered.nextLsn - 1;
  return {
    keyCount: catalog.index.size,
    liveBytes: catalog.segments.totalLiveBytes,
    lastLsn,
    get: (key, range) => reading.get(key, range),
    // eslint-disable-next-line @typescript-eslint/require-await -- a merge tree will have to wait here.
    stat: async (key) => reading.stat(key),
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
        snapshot,
        onProgress,
        signal,
      });
    },
    close: () => {
      life.end('closed');
      return Promise.resolve();
    },
  };
}
