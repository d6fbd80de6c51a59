/**
 * The claim of a volume: a claim file inside it, locked by the kernel (L1), with a ring of slots (L2).
 *
 * The claim lives on the file, not on its name: whoever deletes the file or mounts something over it
 * makes room for a second one. So a holder looks at each beat whether the name still leads to its file.
 */
import { fstatSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

import { hasCode, sleep } from '@dozo/base';
import type { Clock, Random, Timer } from '@dozo/base';
import { acquireClaim, describeClaim, refuseIntervals } from '@dozo/claim';
import type { Claim, ClaimProgress, Holder } from '@dozo/claim';
import { openClaimFile } from '@dozo/platform';
import type { OpenClaimFile } from '@dozo/platform';

import { CommandError, causeName } from '../errors.ts';
import { holdersOfFile, lockersInWords } from './descriptor-holders.ts';
import { formatDuration } from './durations.ts';
import type { LeaseTerm } from './lease-deadlines.ts';
import {
  BEAT_MS_DEFAULT,
  LEASE_MS_DEFAULT,
  PATH_CHECK_MS_MIN,
  UNPROVEN_KEPT_MAX,
} from './limits.ts';
import { claimFilePath, lookAtVolume, requireDirectory } from './volume-look.ts';
import { WaitReport } from './wait-report.ts';

/** What is asked for. */
export interface VolumeTask {
  readonly volume: string;
  readonly wait: boolean;
  readonly beatMs?: number;
  readonly leaseMs?: number;
}

/** What it is done with. */
export interface VolumeWorld {
  readonly holder: Holder;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** Why the claim is over while the program may still run. */
export interface ClaimEnd {
  /** `lost`: nobody can have taken it over before the lease is over. The others: at once. */
  readonly kind: 'fenced' | 'lost' | 'gone';
  readonly message: string;
}

/**
 * Takes the kernel's lock on a volume's claim file, which is made where there is none.
 *
 * Rejects with `VOLUME_UNUSABLE`, `DEVICE_HELD`, what `openClaimFile` rejects with, and the signal's
 * reason.
 */
export async function lockVolume(task: VolumeTask, world: VolumeWorld): Promise<LockedVolume> {
  const report = new WaitReport({ nowMs: () => world.clock.monotonicMs(), say: world.say });
  await requireDirectory(task.volume);
  for (;;) {
    world.signal.throwIfAborted();
    try {
      return new LockedVolume(await openFile(task, world), task, world, report);
    } catch (error) {
      if (!hasCode(error, 'DEVICE_BUSY')) throw error;
      const look = await lookAtVolume(task.volume).catch(() => undefined);
      const newest = look?.ring.newest;
      const holder =
        newest === undefined ? 'a process that has said nothing yet' : describeClaim(newest);
      if (!task.wait) throw heldByAnother(task.volume, holder);
      const subject = `lock ${newest?.holder.host ?? ''} ${newest?.sinceWallMs ?? ''}`;
      report.tell(subject, () => `waiting for ${task.volume}: it is held by ${holder}`);
      const beatMs = look?.settings.beatIntervalMs ?? BEAT_MS_DEFAULT;
      await sleep(world.clock, beatMs, world.signal);
    }
  }
}

async function openFile(task: VolumeTask, { random, say }: VolumeWorld): Promise<OpenClaimFile> {
  const beatIntervalMs = task.beatMs ?? BEAT_MS_DEFAULT;
  const leaseMs = task.leaseMs ?? Math.max(LEASE_MS_DEFAULT, 5 * beatIntervalMs);
  const wanted = { beatIntervalMs, leaseMs, isLocal: false };
  const refused = refuseIntervals(beatIntervalMs, leaseMs);
  if (refused !== undefined) {
    throw new CommandError(`${refused}. Change --beat or --lease.`, { code: 'USAGE_INVALID' });
  }
  const file = await openClaimFile({
    directory: task.volume,
    mode: 'exclusive',
    settings: wanted,
    random,
  });
  const { settings } = file;
  const differs =
    (task.beatMs !== undefined && task.beatMs !== settings.beatIntervalMs) ||
    (task.leaseMs !== undefined && task.leaseMs !== settings.leaseMs);
  if (differs) {
    say(
      `the claim file says a beat each ${formatDuration(settings.beatIntervalMs)} and a lease of ` +
        `${formatDuration(settings.leaseMs)}, and that counts for all who come here. To change it, stop ` +
        `all guards of the volume, delete ${claimFilePath(task.volume)}, and start again`,
    );
  }
  return file;
}

/** A volume whose claim file is locked. */
export class LockedVolume {
  readonly #file: OpenClaimFile;
  readonly #task: VolumeTask;
  readonly #world: VolumeWorld;
  readonly #report: WaitReport;

  /** For {@link lockVolume}. */
  constructor(file: OpenClaimFile, task: VolumeTask, world: VolumeWorld, report: WaitReport) {
    this.#file = file;
    this.#task = task;
    this.#world = world;
    this.#report = report;
  }

  /** The descriptor that holds the lock: heirs of it hold the volume. */
  get lockedDescriptor(): number {
    return this.#file.device.descriptor;
  }

  /** Takes the claim. Rejects with `CLAIM_HELD` and what `acquireClaim` rejects with. */
  async acquire(): Promise<VolumeClaim> {
    const { device, place, settings } = this.#file;
    const { clock, random, holder, signal } = this.#world;
    const claim = await acquireClaim({
      device,
      place,
      settings,
      clock,
      random,
      holder,
      wait: this.#task.wait,
      signal,
      onProgress: (progress) => this.#tell(progress),
    });
    // A claim file keeps nothing of its holders that would have to be kept apart. The newest ones stay
    // accounted for all the same: one that is only stopped may still write its slot.
    for (const { identity } of claim.quarantined.slice(UNPROVEN_KEPT_MAX)) {
      claim.forgive(identity, 'lease');
    }
    await claim.update({ state: 'held' });
    return new VolumeClaim(claim, this.lockedDescriptor, this.#task.volume, clock);
  }

  async close(): Promise<void> {
    await this.#file.device.close();
  }

  #tell(progress: ClaimProgress): void {
    const { volume } = this.#task;
    const who = describeClaim(progress.holder);
    const { sinceWallMs, holder } = progress.holder;
    const subject = `${progress.kind} ${sinceWallMs} ${holder.host}`;
    this.#report.tell(subject, () => {
      if (progress.kind === 'held') return `waiting for ${volume}: it is held by ${who}`;
      const forMs = progress.kind === 'watching' ? progress.watchMs : progress.waitMs;
      const patience = formatDuration(Math.ceil(forMs / 100) * 100);
      return `${volume} was held by ${who}; watching for ${patience} whether that one still lives`;
    });
  }
}

/** The claim of a volume. */
export class VolumeClaim {
  readonly #claim: Claim;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #identity: BigIntStats;
  #timer: Timer | undefined;
  #end: ClaimEnd | undefined;
  #tellEnd: ((end: ClaimEnd) => void) | undefined;
  #isOver = false;

  constructor(claim: Claim, descriptor: number, directory: string, clock: Clock) {
    this.#claim = claim;
    this.#directory = directory;
    this.#clock = clock;
    this.#identity = fstatSync(descriptor, { bigint: true });
    claim.onEnd((error) => {
      const kind = error.code === 'CLAIM_FENCED' ? 'fenced' : 'lost';
      this.#endWith({ kind, message: error.message });
    });
    this.#lookAtPathLater();
  }

  /** The lease as it was last renewed. */
  get term(): LeaseTerm | undefined {
    const begun = this.#claim.tenure.confirmed?.begun;
    if (begun === undefined) return undefined;
    const { leaseMs } = this.#claim.settings;
    return { sinceMonotonicMs: begun.monotonicMs, sinceWallMs: begun.wallMs, leaseMs };
  }

  /** How it ended, if it did. */
  get end(): ClaimEnd | undefined {
    return this.#end;
  }

  /** Called once, when the claim is over although nobody gave it back. */
  onEnd(tell: (end: ClaimEnd) => void): void {
    if (this.#end === undefined) this.#tellEnd = tell;
    else tell(this.#end);
  }

  /**
   * No process of the program lives: says so in the slot. When somebody else still has the descriptor
   * (it was handed to a process that is none of ours), nothing is said.
   *
   * @returns those, for a message.
   */
  async giveBack(): Promise<readonly string[]> {
    this.#isOver = true;
    this.#timer?.cancel();
    const holders = holdersOfFile(this.#identity);
    if (this.#end !== undefined || holders.length > 0) {
      this.#claim.abandon();
      return holders;
    }
    try {
      await this.#claim.release();
    } catch {
      // The slot stays as after a crash: the next one waits for the lease, or has the kernel's word.
      this.#claim.abandon();
    }
    return [];
  }

  #lookAtPathLater(): void {
    const { beatIntervalMs } = this.#claim.settings;
    this.#timer = this.#clock.startTimer(Math.max(PATH_CHECK_MS_MIN, beatIntervalMs), () => {
      void this.#lookAtPath().then(() => {
        if (!this.#isOver && this.#end === undefined) this.#lookAtPathLater();
      });
    });
  }

  async #lookAtPath(): Promise<void> {
    const path = claimFilePath(this.#directory);
    let what: string;
    try {
      const { dev, ino } = await stat(path, { bigint: true });
      if (dev === this.#identity.dev && ino === this.#identity.ino) return;
      what = 'another file is there now';
    } catch (error) {
      const cause = causeName(error);
      // Everything else says nothing about the file; the beats will.
      if (cause !== 'ENOENT' && cause !== 'ENOTDIR') return;
      what = 'it is not there any more';
    }
    this.#endWith({
      kind: 'gone',
      message:
        `Holding the claim of ${this.#directory}: ${path} was deleted, moved or covered (${what}), so a ` +
        'second guard could begin beside this one. The program is killed. Leave the claim file where it ' +
        'is while a guard runs; then start again.',
    });
  }

  #endWith(end: ClaimEnd): void {
    if (this.#end !== undefined || this.#isOver) return;
    this.#end = end;
    this.#tellEnd?.(end);
  }
}

function heldByAnother(directory: string, holder: string): CommandError {
  return new CommandError(
    `Guarding ${directory}: it is held by ${holder}.${lockersInWords(claimFilePath(directory))} ` +
      'Nothing was started. Use that one, stop it, or wait for its end with --wait.',
    { code: 'DEVICE_HELD', path: directory },
  );
}
