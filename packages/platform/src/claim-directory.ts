/**
 * A directory, claimed: the claim file opened alone, the claim on it taken and held. For programs that
 * guard a directory of their own.
 *
 * Two things keep others out, and either may be the one that does: the kernel's lock on the claim file
 * (one machine) and the claim on its ring (several). Whichever it is, the refusal names the holder.
 *
 * Both blocks of the own slot are written before this resolves, so that beats need no room any more.
 */
import { hasCode, sleep } from '@dozo/base';
import type { Clock } from '@dozo/base';
import { acquireClaim, claimHeld, readRing } from '@dozo/claim';
import type { AcquireOptions, Claim, ClaimProgress, ClaimSettings, Slot } from '@dozo/claim';

import { readHostIdentity } from './host-identity.ts';
import { BEAT_INTERVAL_MS_DEFAULT, LEASE_MS_DEFAULT, UNPROVEN_CLAIMS_KEPT_MAX } from './limits.ts';
import { openClaimFile } from './open-claim-file.ts';
import type { OpenClaimFile, OpenClaimFileOptions } from './open-claim-file.ts';
import { openSystemClock } from './system-clock.ts';
import { SystemRandom } from './system-random.ts';

export interface ClaimDirectoryOptions {
  /** A directory that is there, and that all who share it reach under whatever path. */
  readonly directory: string;
  /** What others are told about this holder: the program's name. */
  readonly name: string;
  /** ... and its version. */
  readonly softwareVersion: string;
  /** For a claim file that is made; one that is there has its own. Default: beat 1 s, lease 5 s. */
  readonly settings?: ClaimSettings;
  /** Wait until the claim is free instead of refusing. Default false. */
  readonly wait?: boolean;
  /** Told whom is waited for; while another process has the kernel's lock, once for each beat. */
  readonly onProgress?: (progress: ClaimProgress) => void;
  /** Ends the waiting: rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** A directory that is ours as long as `claim` says so. */
export interface ClaimedDirectory {
  /**
   * To be asked before each write (`checkLease`), and listened to (`onEnd`): the claim may be fenced or
   * lost at any time.
   */
  readonly claim: Claim;
  /** The claim file. */
  readonly path: string;
  /**
   * Says that everything was written, and lets the next one in. Rejects with `CLAIM_FENCED` or
   * `CLAIM_LOST`; the kernel's lock is given back in any case.
   */
  giveBack(): Promise<void>;
}

/**
 * Claims a directory.
 *
 * Rejects with `CLAIM_HELD`, naming the holder; with `DEVICE_BUSY` where a process has the lock that has
 * said nothing of itself; and as `openClaimFile` and `acquireClaim` do.
 */
export async function claimDirectory(options: ClaimDirectoryOptions): Promise<ClaimedDirectory> {
  // The clock's timers keep no process alive, and while it watches a program may have nothing else.
  const keepAlive = setInterval(() => undefined, KEEP_ALIVE_INTERVAL_MS);
  try {
    return await claim(options);
  } finally {
    clearInterval(keepAlive);
  }
}

/** It does nothing; what counts is that it is there. */
const KEEP_ALIVE_INTERVAL_MS = 60_000;

async function claim(options: ClaimDirectoryOptions): Promise<ClaimedDirectory> {
  const clock = await openSystemClock();
  const { path, device, place, settings } = await openAlone(options, clock);
  try {
    const taken = await acquireClaim({
      ...{ device, place, settings, clock, random: new SystemRandom() },
      holder: holderOf(options),
      ...(options.wait === undefined ? {} : { wait: options.wait }),
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    // A claim file keeps nothing of its holders that would have to be kept apart. The newest ones stay
    // accounted for all the same: one that is only stopped may still write its slot.
    for (const { identity } of taken.quarantined.slice(UNPROVEN_CLAIMS_KEPT_MAX)) {
      taken.forgive(identity, 'lease');
    }
    await taken.update({ state: 'held' });
    const giveBack = (): Promise<void> => taken.release().finally(() => device.close());
    return { claim: taken, path, giveBack };
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** The claim file with the kernel's lock on it, at once or when it is free. */
async function openAlone(options: ClaimDirectoryOptions, clock: Clock): Promise<OpenClaimFile> {
  const { wait = false, signal, onProgress } = options;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await openClaimFile(fileOptions(options, 'exclusive'));
    } catch (error) {
      if (!hasCode(error, 'DEVICE_BUSY')) throw error;
      const holder = await newestClaim(options);
      if (!wait) throw holder === undefined ? error : claimHeld(holder.path, holder.slot);
      if (holder !== undefined) onProgress?.({ kind: 'held', holder: holder.slot });
      await sleep(clock, holder?.slot.beatIntervalMs ?? BEAT_INTERVAL_MS_DEFAULT, signal);
    }
  }
}

/** Who has the lock has the newest claim, unless it has just begun. */
async function newestClaim(
  options: ClaimDirectoryOptions,
): Promise<{ readonly path: string; readonly slot: Slot } | undefined> {
  const { path, device, place } = await openClaimFile(fileOptions(options, 'read-only'));
  try {
    const { newest } = await readRing(device, place);
    const hasEnded = newest?.state === 'released' || newest?.state === 'stopped';
    return newest === undefined || hasEnded ? undefined : { path, slot: newest };
  } finally {
    await device.close();
  }
}

function fileOptions(
  { directory, settings }: ClaimDirectoryOptions,
  mode: OpenClaimFileOptions['mode'],
): OpenClaimFileOptions {
  const beatIntervalMs = BEAT_INTERVAL_MS_DEFAULT;
  const byDefault = { beatIntervalMs, leaseMs: LEASE_MS_DEFAULT, isLocal: false };
  return { directory, mode, settings: settings ?? byDefault, random: new SystemRandom() };
}

function holderOf({ name, softwareVersion }: ClaimDirectoryOptions): AcquireOptions['holder'] {
  const { pid, ...identity } = readHostIdentity();
  return { ...identity, processId: pid, name, softwareVersion };
}
