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
import { hasCode, hexOfBytes } from '@dozo/base';
import type { Clock, Device, Random } from '@dozo/base';
import { acquireClaim, isSameClaim, readRing } from '@dozo/claim';
import type { AcquireOptions, Claim, Holder, Ring, RingPlace, Slot } from '@dozo/claim';
import type { Fence, ZombieNote } from './claim-history.ts';
import { Committer } from './committer.ts';
import { newCounters } from './counters.ts';
import type { Counters } from './counters.ts';
import type { Engine, VerifyProgress, VerifyReport } from './engine-types.ts';
import { EngineError } from './errors.ts';
import { deviceFaultOf, finish, giveBack } from './farewell.ts';
import { fencesOf } from './fences.ts';
import { limitsOf } from './geometry.ts';
import { Life } from './life.ts';
import { LogEngine } from './log-engine.ts';
import { LogSource } from './log-walk.ts';
import { LogWriter } from './log-writer.ts';
import { Maintenance } from './maintenance.ts';
import { QuarantineRelease, noteDead } from './quarantine-release.ts';
import { readSuperblock } from './read-superblock.ts';
import { Reading } from './reading.ts';
import { recover } from './recovery.ts';
import type { Recovered } from './recovery.ts';
import type { Superblock } from './superblock.ts';
import type { TestSwitches } from './test-switches.ts';
import { verifyDevice } from './verify.ts';

/** How to open; waiting, progress, signal and an operator's word are those of the claim. */
export interface OpenOptions extends Pick<
  AcquireOptions,
  'wait' | 'onProgress' | 'signal' | 'deadByWord'
> {
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

/** A claim that is dead, and how that is known. */
type Death = Pick<ZombieNote, 'identity' | 'proof'>;

/** An engine on its way, from the claim on. */
interface Opening {
  readonly options: OpenOptions;
  readonly superblock: Superblock;
  readonly claim: Claim;
  readonly switches: TestSwitches;
  /** From the first group on, the log may hold what nobody knows of. */
  hasWritten: boolean;
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
  const superblock = await readSuperblock(device);
  const claim = await acquire(options, superblock);
  const opening: Opening = { options, superblock, claim, switches, hasWritten: false };
  try {
    return await openClaimed(opening);
  } catch (error) {
    await giveBack(claim, opening.hasWritten);
    throw error;
  }
}

function acquire(options: OpenOptions, superblock: Superblock): Promise<Claim> {
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
  if (sawFailedFlush(claim.ring, claim.recoverFrom)) {
    await refuseDamage({ options, superblock, source, recovered });
  }
  const counters = newCounters();
  const log = new LogWriter({ device, superblock, claim, clock, recovered, counters, switches });
  await writeFence(opening, log);
  return serve({ opening, recovered, source, log, counters, notices });
}

/** Puts the engine together. From here on there is somebody to tell whatever happens. */
function serve(parts: {
  readonly opening: Opening;
  readonly recovered: Recovered;
  readonly source: LogSource;
  readonly log: LogWriter;
  readonly counters: Counters;
  readonly notices: DeathNotices;
}): Engine {
  const { opening, source, log, counters } = parts;
  const { superblock, claim, switches } = opening;
  const { device, clock } = opening.options;
  const { geometry } = superblock;
  const { catalog } = parts.recovered;
  const life = new Life(device.path);
  const maintenance = new Maintenance({ log, catalog, source, counters, geometry });
  const end = (error: unknown): void => {
    // It has just been given back: whoever does that says so himself.
    if (hasCode(error, 'CLAIM_RELEASED')) return;
    const cause = deviceFaultOf(error) ?? error;
    life.fail(cause, () => finish({ claim, device, clock, log, committer, release, cause }));
  };
  const committer = new Committer({
    path: device.path,
    geometry,
    limits: limitsOf(geometry),
    log,
    catalog,
    maintenance,
    counters,
    switches,
    onFailure: end,
  });
  const release = new QuarantineRelease({
    device,
    superblock,
    clock,
    log,
    isServing: () => life.state === 'open',
    onNote: () => {
      maintenance.requestManifest();
      committer.start();
    },
  });
  const reading = new Reading({
    catalog,
    source,
    counters,
    switches,
    enter: () => {
      life.assertServing();
      return claim.checkLease()?.catch((error: unknown) => {
        end(error);
        life.assertServing();
        throw error;
      });
    },
  });
  claim.onEnd(end);
  for (const { identity, proof } of knownDeaths(claim, log.history.fences)) {
    release.release(identity, proof);
  }
  parts.notices.tellTo(({ identity, proof }) => {
    release.release(identity, proof);
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
    release,
  });
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

/** Reserves, writes the fence, and makes the slot lead to it. */
async function writeFence(opening: Opening, log: LogWriter): Promise<void> {
  const { claim, options } = opening;
  await log.updateSlot();
  await log.confirmed();
  if (!log.hasReservedSegment) await makeRoom(opening, log);
  if (!log.hasReservedSegment) throw noSegment(options.device);
  await claim.checkLease();
  log.beginSegment();
  opening.hasWritten = true;
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

/** Deaths that the claim notices, kept until there is somebody to tell. */
class DeathNotices {
  readonly #kept: Death[] = [];
  #tell: (death: Death) => void = (death) => {
    this.#kept.push(death);
  };

  constructor(claim: Claim) {
    claim.onDeath(({ identity }, proof) => {
      this.#tell({ identity, proof });
    });
  }

  tellTo(tell: (death: Death) => void): void {
    this.#tell = tell;
    for (const death of this.#kept.splice(0)) tell(death);
  }
}

/** Dead claims whose writes nobody has looked at yet: a start before this one had no time to. */
function knownDeaths(claim: Claim, fences: readonly Fence[]): Death[] {
  const accounts = claim.ring.slots.flatMap(({ slot }) => slot?.account?.deaths ?? []);
  const deaths = [...claim.deaths, ...accounts];
  return fences.flatMap(({ identity }) => {
    if (claim.quarantined.some((slot) => isSameClaim(slot.identity, identity))) return [];
    const known = deaths.find((death) => isSameClaim(death.identity, identity));
    return [{ identity, proof: known?.proof ?? ('unknown' as const) }];
  });
}

/** Reads the ring of a device whose superblock is known. */
export async function openRing(device: Device, superblock: Superblock): Promise<OpenedRing> {
  const place = ringPlaceOf(superblock);
  return { place, ring: await readRing(device, place) };
}

function ringPlaceOf({ geometry, deviceId }: Superblock): RingPlace {
  return { offset: geometry.ringOffset, slotCount: geometry.ringSlotCount, deviceId };
}

/** Whether the last holder that served, or anyone since, saw a write or flush fail. */
function sawFailedFlush(ring: Ring, recoverFrom: Slot | undefined): boolean {
  const since = recoverFrom?.identity.incarnation ?? 0;
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

function noSegment(device: Device): EngineError {
  return new EngineError(
    `Opening ${device.path}: no free segment is left for the log to go on in. Either earlier holders ` +
      'that are not proved dead have reserved the last ones (`dozo device show` lists them; once it is ' +
      'sure that they are dead, `dozo device release-quarantine` gives the space back), or starts that ' +
      'were cut off again and again have used up the reserve. The data is intact: `dozo device ' +
      'verify` reads it.',
    { code: 'DEVICE_FULL', path: device.path, neededBytes: 1, availableBytes: 0 },
  );
}
