/**
 * Opening: superblock, claim, recovery, fence, and only then service.
 *
 * 1. The kernel's lock was taken when the device was opened.
 * 2. The claim is written to the ring and flushed, and only then is the log read. That flush also
 *    makes durable whatever a process that died had left unflushed, before anything is built on it.
 * 3. The claim reserves free segments, and its first group is the *fence*: a manifest that says how
 *    far each open segment of the predecessors is valid.
 * 4. The slot points at the fence, in both of its blocks; from here on it is the one to recover from.
 */
import { hexOfBytes } from '@dozo/base';
import type { Clock, Device, Random } from '@dozo/base';
import { readRing, takeClaim } from '@dozo/claim';
import type { Claim, Holder, Ring, RingPlace, Slot } from '@dozo/claim';
import { Committer } from './committer.ts';
import { newCounters } from './counters.ts';
import type { Engine, VerifyProgress, VerifyReport } from './engine-types.ts';
import { EngineError } from './errors.ts';
import { limitsOf } from './geometry.ts';
import { Life, LogEngine } from './log-engine.ts';
import { LogSource } from './log-walk.ts';
import { LogWriter } from './log-writer.ts';
import { Maintenance } from './maintenance.ts';
import { readSuperblock } from './read-superblock.ts';
import { Reading } from './reading.ts';
import { recover } from './recovery.ts';
import type { Recovered } from './recovery.ts';
import type { Superblock } from './superblock.ts';
import type { TestSwitches } from './test-switches.ts';
import { verifyDevice } from './verify.ts';

export interface OpenOptions {
  /** Stays the caller's: closing the engine does not close it. */
  readonly device: Device;
  readonly clock: Clock;
  readonly random: Random;
  /** Who opens it: what a refused second opener is told. */
  readonly holder: Holder;
  /** Progress of the verify that a failed flush of the last holder demands. */
  readonly onVerifyProgress?: (progress: VerifyProgress) => void;
  readonly testSwitches?: TestSwitches;
}

/** What reading the ring of a device gives. */
export interface OpenedRing {
  readonly place: RingPlace;
  readonly ring: Ring;
}

/**
 * Opens a formatted device for reading and writing.
 *
 * Rejects with `DEVICE_NOT_DOZO`, `DEVICE_VERSION_UNKNOWN`, `DEVICE_CUT_SHORT`, `SUPERBLOCK_DAMAGED`,
 * `CLAIM_RING_DAMAGED`, `DEVICE_CORRUPT`, `DEVICE_NEEDS_REPAIR` (all: nothing but a claim was
 * written), `DEVICE_FULL` (no free segment is left to go on in) and the device's errors.
 */
export async function openEngine(options: OpenOptions): Promise<Engine> {
  const { device, clock, random, holder } = options;
  const switches = options.testSwitches ?? {};
  // What a dead process has written and not flushed is read here like everything else, and what is
  // built on it is made durable; so it has to be durable first.
  if (switches.skipOpeningFlush !== true) await device.flush();
  const superblock = await readSuperblock(device);
  const { place, ring } = await openRing(device, superblock);
  const { beatIntervalMs } = superblock;
  const claim = await takeClaim({ device, place, ring, clock, random, holder, beatIntervalMs });
  const recovered = await recover(device, superblock, ring, switches);
  const source = new LogSource(device, superblock.geometry);
  if (sawFailedFlush(ring)) {
    await refuseDamage({ options, superblock, source, recovered });
  }
  const counters = newCounters();
  const { catalog } = recovered;
  const log = new LogWriter({ device, superblock, claim, clock, recovered, counters, switches });
  await log.updateSlot();
  if (!log.hasReservedSegment) throw noSegment(device);
  log.beginSegment();
  await log.commit();
  // Twice, so that either block of the slot leads to the fence.
  await log.updateSlot('held');
  await log.updateSlot('held');
  const life = new Life(device.path);
  const { geometry } = superblock;
  const maintenance = new Maintenance({ log, catalog, source, counters, geometry });
  const committer = new Committer({
    path: device.path,
    geometry,
    limits: limitsOf(geometry),
    log,
    catalog,
    maintenance,
    counters,
    switches,
    onFailure: (error) => {
      life.end('failed', noteFailure(claim, log, clock, error));
    },
  });
  const reading = new Reading({
    catalog,
    source,
    counters,
    switches,
    assertServing: () => {
      life.assertServing();
    },
  });
  // Whatever is overdue (a long log to be replayed, little space) begins at once.
  committer.start();
  return new LogEngine({
    superblock,
    claim,
    catalog,
    source,
    log,
    maintenance,
    committer,
    reading,
    counters,
    life,
  });
}

/** Reads the ring of a device whose superblock is known. */
export async function openRing(device: Device, superblock: Superblock): Promise<OpenedRing> {
  const { ringOffset: offset, ringSlotCount: slotCount } = superblock.geometry;
  const place = { offset, slotCount, deviceId: superblock.deviceId };
  return { place, ring: await readRing(device, place) };
}

/** Whether the last holder that served, or anyone since, saw a write or flush fail. */
function sawFailedFlush(ring: Ring): boolean {
  const since = ring.newestWithCheckpoint?.identity.incarnation ?? 0;
  const isConcerned = (slot: Slot | undefined): boolean =>
    slot?.failedFlush !== undefined && slot.identity.incarnation >= since;
  return ring.slots.some(({ slot }) => isConcerned(slot));
}

async function refuseDamage(parts: {
  readonly options: OpenOptions;
  readonly superblock: Superblock;
  readonly source: LogSource;
  readonly recovered: Recovered;
}): Promise<void> {
  const { options, superblock, source, recovered } = parts;
  const { catalog, parts: logParts, pages, snapshot } = recovered;
  const report: VerifyReport = await verifyDevice({
    superblock,
    source,
    catalog,
    parts: logParts,
    pages,
    snapshot,
    onProgress: options.onVerifyProgress,
    signal: undefined,
  });
  const first = report.damages[0];
  if (first === undefined) return;
  const { path } = options.device;
  const key = first.key === undefined ? '' : ` (key ${hexOfBytes(first.key)})`;
  throw new EngineError(
    `Opening ${path}: its last holder saw a write fail, and the verify which that demands found ` +
      `${report.damages.length} damaged places; the first at byte ${first.offset}${key}: ` +
      `${first.reason}. Recover this device from its replicas or a backup.`,
    {
      code: 'DEVICE_NEEDS_REPAIR',
      path,
      damageCount: report.damages.length,
      firstReason: first.reason,
    },
  );
}

/**
 * Notes in the slot that a write failed and how far the log was durable, so that the next start takes
 * no more than that and verifies it. The note may fail as well; nothing more can be done then.
 */
async function noteFailure(
  claim: Claim,
  log: LogWriter,
  clock: Clock,
  error: unknown,
): Promise<void> {
  const cause = error instanceof Error ? error.message : String(error);
  const logEnd = log.durableEnd;
  const note = { failedFlush: { wallMs: clock.wallMs(), cause } };
  try {
    await claim.update(logEnd === undefined ? note : { ...note, logEnd });
  } catch {
    // The device takes nothing any more; the reason has been told to everybody who waits.
  }
}

function noSegment(device: Device): EngineError {
  return new EngineError(
    `Opening ${device.path}: no free segment is left for the log to go on in. Starts that were cut ` +
      'off again and again before their first checkpoint have used up the reserve. The data is ' +
      'intact: read it with `dozo device verify`, and move it to a larger device.',
    { code: 'DEVICE_FULL', path: device.path, neededBytes: 1, availableBytes: 0 },
  );
}
