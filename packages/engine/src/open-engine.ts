/**
 * Opening: superblock, claim, recovery, fence, and only then service.
 *
 * 1. The kernel's lock was taken when the device was opened, or not at all.
 * 2. The claim stands on the ring, and the ring was read after that: only now is the log looked at. All
 *    of it is read past the page cache, and flushed before anything is built on it: what a process
 *    that died had written and not flushed may have been read too.
 * 3. The segments that predecessors have reserved whose processes may still live are quarantined. The
 *    claim reserves others, and makes sure after that write that it is still the highest.
 * 4. Its first group is the *fence*: a manifest that says how far each open segment of the predecessors
 *    is valid. Whatever they write from now on lies past it, in segments that we do not touch.
 * 5. The slot points at the fence, in both of its blocks; from here on it is the one to recover from.
 */
import { hasCode } from '@dozo/base';
import type { Device } from '@dozo/base';
import { acquireClaim, readRing } from '@dozo/claim';
import type { Claim, Ring, RingPlace } from '@dozo/claim';
import { newCounters } from './counters.ts';
import { DeathNotices, knownDeaths } from './death-notices.ts';
import type { Engine } from './engine-types.ts';
import { EngineError } from './errors.ts';
import { refuseDamage, sawFailedFlush } from './failed-flush.ts';
import { giveBack } from './farewell.ts';
import { fencesOf } from './fences.ts';
import { CACHE_BYTES_DEFAULT } from './limits.ts';
import { LogSource } from './log-walk.ts';
import { LogWriter } from './log-writer.ts';
import type { OpenOptions, Opening } from './opening.ts';
import { Pacer } from './pacer.ts';
import { noteDead } from './quarantine-release.ts';
import { readSuperblock } from './read-superblock.ts';
import { recover } from './recovery.ts';
import type { Recovered } from './recovery.ts';
import { serve } from './serve-engine.ts';
import { Settler } from './settler.ts';
import type { Superblock } from './superblock.ts';
import { TreeAccess } from './tree-access.ts';

/** What reading the ring of a device gives. */
export interface OpenedRing {
  readonly place: RingPlace;
  readonly ring: Ring;
}

/**
 * Opens a formatted device for reading and writing.
 *
 * Rejects with `DEVICE_NOT_DOZO`, `DEVICE_VERSION_UNKNOWN`, `DEVICE_CUT_SHORT`, `SUPERBLOCK_DAMAGED`
 * (nothing was written), those of `acquireClaim`, `CLAIM_FENCED` and `CLAIM_LOST`, `DEVICE_CORRUPT`,
 * `DEVICE_NEEDS_REPAIR` (nothing but a claim was written), `DEVICE_FULL` (no free segment is left to go
 * on in) and the device's errors. The claim is given back where that is safe.
 */
export async function openEngine(options: OpenOptions): Promise<Engine> {
  const { device, testSwitches: switches = {} } = options;
  const claim = await acquire(options, await readSuperblock(device));
  let hasWritten = false;
  try {
    // Again: the device may have been grown and used while the claim was waited for.
    const superblock = await readSuperblock(device);
    const onWrite = (): void => {
      hasWritten = true;
    };
    return await openClaimed({ options, superblock, claim, switches, onWrite });
  } catch (error) {
    const reason = (await fencedMeanwhile(claim, error)) ?? error;
    await giveBack(claim, hasWritten);
    throw reason;
  }
}

/**
 * Whoever reads what a successor is already writing over takes it for damage. So before damage is
 * reported the claim is asked for: `CLAIM_FENCED` if there is a successor.
 */
async function fencedMeanwhile(claim: Claim, error: unknown): Promise<unknown> {
  if (!hasCode(error, 'DEVICE_CORRUPT', 'DEVICE_NEEDS_REPAIR', 'INDEX_DAMAGED')) return undefined;
  try {
    await claim.update({});
    await claim.confirm();
    return undefined;
  } catch (claimError) {
    return hasCode(claimError, 'CLAIM_FENCED') ? claimError : undefined;
  }
}

/** Takes the claim of a device. Rejects as `acquireClaim` does. */
export function acquire(options: OpenOptions, superblock: Superblock): Promise<Claim> {
  const { device, clock, random, holder, wait, onProgress, signal, deadByWord } = options;
  const switches = options.testSwitches?.claimSwitches;
  const { beatIntervalMs, leaseMs, isLocal } = superblock;
  return acquireClaim({
    device,
    place: ringPlaceOf(superblock),
    settings: { beatIntervalMs, leaseMs, isLocal },
    clock,
    random,
    holder,
    ...(wait === undefined ? {} : { wait }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
    ...(deadByWord === undefined ? {} : { deadByWord }),
    ...(switches === undefined ? {} : { switches }),
  });
}

async function openClaimed(opening: Opening): Promise<Engine> {
  const { options, superblock, claim, switches } = opening;
  const { device, clock } = options;
  const notices = new DeathNotices(claim);
  const recovered = await recoverClaimed(opening);
  const source = new LogSource(device, superblock.geometry);
  const counters = newCounters();
  const { catalog } = recovered;
  const { cacheBytes = CACHE_BYTES_DEFAULT } = options;
  const breathe = (): Promise<void> => clock.turn();
  const tree = new TreeAccess({ catalog, source, cacheBytes, counters, switches, breathe });
  if (sawFailedFlush(claim.ring, claim.recoverFrom)) {
    await refuseDamage({ options, superblock, source, tree, recovered });
  }
  const log = new LogWriter({ device, superblock, claim, clock, recovered, counters, switches });
  const settler = new Settler({ catalog, tree, pacer: new Pacer(clock, counters) });
  await writeFence(opening, log, () => settler.settle(catalog.active));
  return serve({ opening, recovered, source, tree, log, counters, notices });
}

/** Recovers, past the page cache, and makes durable what was read. */
async function recoverClaimed({
  options,
  superblock,
  claim,
  switches,
}: Opening): Promise<Recovered> {
  const { device, clock } = options;
  const { recoverFrom, quarantined, identity } = claim;
  const recovered = await recover(device, superblock, {
    from: recoverFrom,
    switches,
    setFences: (history, recoveredEnd) =>
      fencesOf({
        history,
        quarantined,
        recoverFrom,
        recoveredEnd,
        by: identity,
        wallMs: clock.wallMs(),
      }),
  });
  if (switches.skipRecoveryFlush !== true) await device.flush();
  // Reads from here on may use the page cache: no process writes what lies before the fence.
  await device.dropCache();
  return recovered;
}

/**
 * Reserves, writes the fence, and makes the slot lead to it.
 *
 * @param settle asked for only when no segment is free: finds out what the replayed entries have replaced.
 *   What range deletes hide stays charged until the flush takes it off as a whole: too much, never too
 *   little. Segments that only a range delete has emptied are thus no help here; for the fence alone one
 *   is kept.
 */
export async function writeFence(
  opening: Opening,
  log: LogWriter,
  settle: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const { claim, options } = opening;
  await log.updateSlot();
  await log.confirmed();
  if (!log.hasReservedSegment) {
    // The holder before knew of more dead bytes than its checkpoint says, and counted on their space.
    await settle();
    await log.updateSlot();
    await log.confirmed();
  }
  if (!log.hasReservedSegment) await makeRoom(opening, log);
  if (!log.hasReservedSegment) throw noSegment(options.device);
  await claim.checkLease();
  log.beginSegment();
  opening.onWrite();
  await log.commit();
  log.advance();
  // Twice, so that either block of the slot leads to the fence.
  await log.updateSlot('held');
  await log.updateSlot('held');
}

/**
 * Starts that were cut off before they had looked at what dead ones had reserved may have left nothing
 * else to go on in. Then that is looked at now, and noted in the fence.
 */
async function makeRoom({ options, superblock, claim }: Opening, log: LogWriter): Promise<void> {
  const { device, clock } = options;
  for (const { identity, proof } of knownDeaths(claim, log.history.fences)) {
    await noteDead({ device, superblock, clock, log, isOver: () => false }, identity, proof);
  }
  log.freeNoted();
  await log.updateSlot();
  await log.confirmed();
}

/** Reads the ring of a device whose superblock is known. */
export async function openRing(device: Device, superblock: Superblock): Promise<OpenedRing> {
  const place = ringPlaceOf(superblock);
  return { place, ring: await readRing(device, place) };
}

/** Where the claim ring of a device lies. */
export function ringPlaceOf({ geometry, deviceId }: Superblock): RingPlace {
  return { offset: geometry.ringOffset, slotCount: geometry.ringSlotCount, deviceId };
}

/** No segment is free to go on in. */
export function noSegment(device: Device): EngineError {
  return new EngineError(
    `Opening ${device.path}: no free segment is left for the log to go on in. Either earlier holders ` +
      'that are not proved dead have reserved the last ones (`dozo device show` lists them; once it is ' +
      'sure that they are dead, `dozo device release-quarantine` gives the space back), or starts that ' +
      'were cut off again and again have used up the reserve. The data is intact: `dozo device ' +
      'verify` reads it.',
    { code: 'DEVICE_FULL', path: device.path, neededBytes: 1, availableBytes: 0 },
  );
}
