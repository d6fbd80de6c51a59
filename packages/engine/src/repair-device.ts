/**
 * Repair: makes a damaged device one that opens and is sound, and drops nothing but what is gone.
 *
 * Nothing that is there is changed before a checkpoint that says all of it anew is durable:
 *
 * 1. The claim. The log is recovered as far as it goes, the tree and every value are read: the plan.
 * 2. Whoever asked agrees to it, or nothing but the claim was written.
 * 3. The fence, which names the same damaged checkpoint and log as before: a crash from here on leaves a
 *    device that is as damaged as it was, and to be repaired again.
 * 4. Damaged tables are written anew from what is left of them, in segments that are free. The log and the
 *    keys to be dropped become a table.
 * 5. A checkpoint of that, and both blocks of the slot lead to it: the repair has happened, all of it.
 */
import { hasCode } from '@dozo/base';
import type { Clock, Device, Random } from '@dozo/base';
import type { AcquireOptions, Claim, Holder, Ring } from '@dozo/claim';
import type { VerifyProgress } from './engine-types.ts';
import { EngineError } from './errors.ts';
import { giveBack } from './farewell.ts';
import { fencesOf } from './fences.ts';
import { acquire, openRing, writeFence } from './open-engine.ts';
import type { OpenOptions } from './opening.ts';
import {
  isGrowUnfinished,
  isSameSuperblock,
  readBothSuperblocks,
  readSuperblock,
  rescueSuperblock,
} from './read-superblock.ts';
import type { LogRefusal } from './log-losses.ts';
import { recover } from './recovery.ts';
import type { RecoverOptions, Recovered } from './recovery.ts';
import { recoverDamaged } from './repair-log.ts';
import type { RepairedLog } from './repair-log.ts';
import { examine } from './repair-plan.ts';
import type { Examination, PlanOptions, RepairPlan } from './repair-plan.ts';
import { RepairWriter } from './repair-writer.ts';
import { encodeSuperblock } from './superblock.ts';
import type { Superblock } from './superblock.ts';
import type { TestSwitches } from './test-switches.ts';

export interface RepairOptions extends Pick<AcquireOptions, 'onProgress' | 'signal'> {
  /** Opened alone. Stays the caller's. */
  readonly device: Device;
  readonly clock: Clock;
  readonly random: Random;
  readonly holder: Holder;
  /** Whether the plan shall be carried out. Asked only if there is anything to do. */
  readonly agree: (plan: RepairPlan) => Promise<boolean>;
  readonly onVerifyProgress?: (progress: VerifyProgress) => void;
  readonly testSwitches?: TestSwitches;
}

/** What a repair has done. */
export interface Repair {
  readonly plan: RepairPlan;
  /** False: there was nothing to do, or it was not agreed to; nothing but a claim was written. */
  readonly isDone: boolean;
}

/**
 * What a repair would do. Writes nothing. Rejects with `DEVICE_CORRUPT` where no checkpoint is whole (then
 * nothing can be repaired), as `readSuperblock` does (a first superblock that is damaged stands in its
 * copy), and with the device's errors.
 */
export async function planRepair(
  device: Device,
  options: {
    readonly onProgress?: (progress: VerifyProgress) => void;
    readonly signal?: AbortSignal;
  } = {},
): Promise<RepairPlan> {
  const superblock = await superblockOf(device);
  const { ring } = await openRing(device, superblock);
  const log = await recoverLog(device, superblock, { from: ring.newestWithCheckpoint, ring });
  await device.dropCache();
  const { onProgress, signal } = options;
  return (await examine({ ...planOf(device, superblock, log), onProgress, signal })).plan;
}

/** Whether a plan has anything to do. */
export function isRepairNeeded({ report, refusal }: RepairPlan): boolean {
  return report.damages.length > 0 || refusal !== undefined;
}

/**
 * Repairs a device that nobody holds: see the file comment. Durable when it resolves; may be repeated at
 * any time. Rejects as {@link planRepair} and `acquireClaim` do, with `CLAIM_FENCED`, `CLAIM_LOST`,
 * `DEVICE_FULL` (no segment is free to write to) and the device's errors: then the device is as damaged
 * as it was.
 */
export async function repairDevice(options: RepairOptions): Promise<Repair> {
  const { device } = options;
  const claim = await acquire(openOptionsOf(options), await superblockOf(device));
  const written = { isLog: false };
  try {
    // Again: the device may have been grown while the claim was waited for.
    const superblock = await superblockOf(device);
    const log = await recoverClaimed(options, superblock, claim);
    const { onVerifyProgress: onProgress, signal } = options;
    const examination = await examine({
      ...planOf(device, superblock, log),
      onProgress,
      signal,
    });
    const { plan } = examination;
    const isDone = isRepairNeeded(plan) && (await options.agree(plan));
    if (isDone) {
      await writeSuperblocks(device, superblock, claim);
      if (isTreeDamaged(plan)) {
        const onWrite = (): void => {
          written.isLog = true;
        };
        await rewrite(options, {
          superblock,
          claim,
          recovered: log.recovered,
          examination,
          onWrite,
        });
        return { plan, isDone };
      }
    }
    await claim.release();
    return { plan, isDone };
  } catch (error) {
    // After a write that failed nobody knows what is still on its way: then the slot says nothing.
    const isInDoubt = written.isLog || hasCode(error, 'DEVICE_WRITE_FAILED', 'DEVICE_FLUSH_FAILED');
    await giveBack(claim, isInDoubt);
    throw error;
  } finally {
    claim.abandon();
  }
}

/** Superblocks alone are written in their place; a lost slot of the ring is written by a later claim. */
function isTreeDamaged(plan: RepairPlan): boolean {
  const { report, dropped, refusal } = plan;
  const isInSegment = report.damages.some(({ segment }) => segment >= 0);
  return isInSegment || dropped.length > 0 || refusal !== undefined;
}

async function rewrite(
  { device, clock, testSwitches: switches = {}, ...rest }: RepairOptions,
  parts: {
    readonly superblock: Superblock;
    readonly claim: Claim;
    readonly recovered: Recovered;
    readonly examination: Examination;
    readonly onWrite: () => void;
  },
): Promise<void> {
  const { superblock, claim, recovered, examination, onWrite } = parts;
  const writer = new RepairWriter({ device, clock, superblock, claim, recovered, examination });
  const options = openOptionsOf({ device, clock, ...rest });
  await writer.settle();
  const opening = { options, superblock, claim, switches, onWrite };
  await writeFence(opening, writer.log, () => Promise.resolve());
  await writer.run();
}

/** Recovers, past the page cache, and makes durable what was read. */
async function recoverClaimed(
  { device, clock }: RepairOptions,
  superblock: Superblock,
  claim: Claim,
): Promise<RepairedLog> {
  const { recoverFrom, quarantined, identity, ring } = claim;
  const log = await recoverLog(device, superblock, {
    from: recoverFrom,
    ring,
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
  await device.flush();
  await device.dropCache();
  return log;
}

async function recoverLog(
  device: Device,
  superblock: Superblock,
  options: RecoverOptions & { readonly ring: Ring },
): Promise<RepairedLog> {
  try {
    const recovered = await recover(device, superblock, options);
    return { recovered, losses: [], isOlderCheckpoint: false };
  } catch (error) {
    if (!hasCode(error, 'DEVICE_CORRUPT', 'DEVICE_READ_FAILED')) throw error;
    const log = await recoverDamaged(device, superblock, options);
    return { ...log, refusal: refusalOf(error) };
  }
}

function refusalOf(error: unknown): LogRefusal {
  if (error instanceof EngineError && error.detail.code === 'DEVICE_CORRUPT') {
    const { offset, reason } = error.detail;
    return { offset, reason };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return { offset: 0, reason };
}

function planOf(device: Device, superblock: Superblock, log: RepairedLog): PlanOptions {
  const { recovered, losses: logLosses, isOlderCheckpoint, refusal } = log;
  return { device, superblock, recovered, logLosses, isOlderCheckpoint, refusal };
}

async function superblockOf(device: Device): Promise<Superblock> {
  try {
    return await readSuperblock(device);
  } catch (error) {
    if (!hasCode(error, 'SUPERBLOCK_DAMAGED')) throw error;
    return (await rescueSuperblock(device)).superblock;
  }
}

async function writeSuperblocks(
  device: Device,
  superblock: Superblock,
  claim: Claim,
): Promise<void> {
  for (const { offset, reading } of await readBothSuperblocks(device, superblock)) {
    const isRight =
      reading.kind === 'valid' &&
      (isSameSuperblock(superblock, reading.superblock) ||
        isGrowUnfinished(superblock, reading.superblock));
    if (isRight) continue;
    await claim.checkLease();
    await device.writeUncached(offset, [encodeSuperblock(superblock)]);
  }
}

function openOptionsOf(options: Omit<RepairOptions, 'agree'>): OpenOptions {
  const { device, clock, random, holder, onProgress, signal } = options;
  return {
    ...{ device, clock, random, holder },
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  };
}
