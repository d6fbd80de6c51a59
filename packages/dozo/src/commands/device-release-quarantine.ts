/**
 * `dozo device release-quarantine`: a person's word that earlier holders are certainly dead, so that what
 * is kept apart for them can be used again.
 *
 * The word is the last resort: `stopped`, `released`, the kernel's lock and a restart of the machine prove
 * a death without it. It is checked as far as it can be: who still writes to its slot is not dead. What
 * the holder wrote past its fence is noted on the device before its segments are used again.
 */
import { hasCode, hexOfBytes, sleep } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import { assessRing, describeClaim, isSameClaim } from '@dozo/claim';
import type { RingPlace, Slot } from '@dozo/claim';
import { inspectDevice, openEngine } from '@dozo/engine';
import type { DeviceInspection, Engine } from '@dozo/engine';

import type { CommandContext } from '../command-context.ts';
import { claimHolder } from '../composition/claim-holder.ts';
import { readQuarantine } from '../composition/device-report.ts';
import { openDeviceAlone } from '../composition/open-device.ts';
import { watchForLife } from '../composition/signs-of-life.ts';
import { CommandError } from '../errors.ts';
import { EXIT_DONE } from '../exit-codes.ts';
import { isoTime, plural, whoIs } from '../forensics/wording.ts';
import { RELEASE_MS_MAX, RELEASE_STEP_MS } from '../limits.ts';
import { formatSize } from '../sizes.ts';

export interface ReleaseQuarantineOptions {
  /** Incarnations; empty for all. */
  readonly claim: readonly number[];
  readonly yes: boolean;
}

/** Lists, asks, and releases. With nothing to release it changes nothing. */
export async function runReleaseQuarantine(
  context: CommandContext,
  path: string,
  options: ReleaseQuarantineOptions,
): Promise<number> {
  const clock = await context.openClock();
  const device = await openAlone(path);
  try {
    const inspection = await inspectDevice(device);
    const holder = claimHolder(context.environment);
    const claims = choose(unproven(device, inspection, holder), options.claim, path);
    if (claims.length === 0) {
      context.output.write(
        `${path}: no earlier holder is in doubt; nothing is kept apart, and nothing was changed\n`,
      );
      return EXIT_DONE;
    }
    const { segmentsOf } = await readQuarantine(device, inspection);
    const { segmentStrideBytes } = inspection.superblock.geometry;
    const bytesOf = (of: readonly Slot[]): number =>
      new Set(of.flatMap(segmentsOf)).size * segmentStrideBytes;
    context.errorOutput.write(listing(path, claims, bytesOf));
    await refuseLiving(device, clock, inspection, claims);
    await confirm(context, path, options.yes);
    await release(context, { device, clock, claims });
    const count = claims.length;
    context.output.write(
      `${path}: ${count} ${plural('claim', count)} released, ${formatSize(bytesOf(claims))} can be used again; what was found there: dozo forensics ${path}\n`,
    );
    return EXIT_DONE;
  } finally {
    await device.close();
  }
}

async function openAlone(path: string): Promise<Device> {
  try {
    return await openDeviceAlone(path, 'release the quarantine of');
  } catch (error) {
    if (!hasCode(error, 'DEVICE_HELD')) throw error;
    throw new CommandError(
      `${(error as Error).message}; then give this command again. A running daemon releases by itself whatever is proved dead`,
      { code: 'DEVICE_HELD', path },
      { cause: error },
    );
  }
}

/** Claims whose death nothing proves to us, who hold the kernel's lock now; newest first. */
function unproven(
  device: Device,
  { ring, superblock }: DeviceInspection,
  { bootId, machineId }: ReturnType<typeof claimHolder>,
): readonly Slot[] {
  const { ringSlotCount } = superblock.geometry;
  const assessment = assessRing(ring, ringSlotCount, {
    bootId,
    ...(machineId === undefined ? {} : { machineId }),
    lockIdentity: device.lockIdentity,
    isLocal: superblock.isLocal,
  });
  return assessment.unproven.map(({ slot }) => slot);
}

function choose(
  claims: readonly Slot[],
  incarnations: readonly number[],
  path: string,
): readonly Slot[] {
  if (incarnations.length === 0) return claims;
  const known = claims.map(({ identity }) => identity.incarnation);
  const unknown = incarnations.filter((incarnation) => !known.includes(incarnation));
  if (unknown.length > 0) {
    const there = known.length === 0 ? 'there is none' : `there are ${known.join(', ')}`;
    throw new CommandError(
      `cannot release claim ${unknown.join(', ')} of ${path}: it is not among those that are in doubt; ${there}. Nothing was changed`,
      { code: 'USAGE_INVALID' },
    );
  }
  return claims.filter(({ identity }) => incarnations.includes(identity.incarnation));
}

function listing(
  path: string,
  claims: readonly Slot[],
  bytesOf: (of: readonly Slot[]) => number,
): string {
  const lines = [`${path}: these earlier holders are not proved dead:`];
  for (const slot of claims) {
    const { identity, holder, sinceWallMs, lastWallMs } = slot;
    lines.push(
      `  claim ${identity.incarnation} (nonce ${hexOfBytes(identity.nonce).slice(0, 8)}): ${whoIs(holder)}`,
      `    since ${isoTime(sinceWallMs)}, last beat ${isoTime(lastWallMs)}`,
      `    ${formatSize(bytesOf([slot]))} kept apart for it`,
    );
  }
  lines.push(
    'Go on only if each of these processes is certainly dead: its machine is off or was started again,',
    'or you have seen on that machine that the process is gone. Not when it is only silent, stopped or',
    'unreachable: one that wakes up would write where new data is, and DESTROY it.',
  );
  return `${lines.join('\n')}\n`;
}

async function refuseLiving(
  device: Device,
  clock: Clock,
  { superblock }: DeviceInspection,
  claims: readonly Slot[],
): Promise<void> {
  const { geometry, deviceId, beatIntervalMs, leaseMs, isLocal } = superblock;
  const place: RingPlace = {
    offset: geometry.ringOffset,
    slotCount: geometry.ringSlotCount,
    deviceId,
  };
  const settings = { beatIntervalMs, leaseMs, isLocal };
  const living = await watchForLife({ device, clock, place, settings, claims });
  if (living === undefined) return;
  throw new CommandError(
    `cannot release the quarantine of ${device.path}: a holder lives, it has just written its slot: ${describeClaim(living)}. Stop it first; nothing was changed`,
    { code: 'DEVICE_HELD', path: device.path },
  );
}

async function confirm({ ask }: CommandContext, path: string, isConfirmed: boolean): Promise<void> {
  if (isConfirmed) return;
  if (ask === undefined) {
    throw unconfirmed(path, 'there is no terminal to ask on; add --yes if they are certainly dead');
  }
  const answer = await ask('Type "dead" if all of them are certainly dead: ');
  if (answer.trim() !== 'dead') throw unconfirmed(path, 'the answer was not "dead"');
}

function unconfirmed(path: string, reason: string): CommandError {
  return new CommandError(`the quarantine of ${path} was not released: ${reason}`, {
    code: 'CONFIRMATION_MISSING',
    path,
  });
}

async function release(
  { environment, random }: CommandContext,
  of: { readonly device: Device; readonly clock: Clock; readonly claims: readonly Slot[] },
): Promise<void> {
  const { device, clock, claims } = of;
  const isChosen = (slot: Pick<Slot, 'identity'>): boolean =>
    claims.some(({ identity }) => isSameClaim(identity, slot.identity));
  const holder = claimHolder(environment);
  const engine = await openEngine({ device, clock, random, holder, deadByWord: isChosen });
  try {
    await untilNoted(engine, clock, device.path, isChosen);
  } finally {
    await engine.close();
  }
}

/** What they wrote is looked at beside the log; closing makes the notes and the release durable. */
async function untilNoted(
  engine: Engine,
  clock: Clock,
  path: string,
  isChosen: (slot: Pick<Slot, 'identity'>) => boolean,
): Promise<void> {
  const endMs = clock.monotonicMs() + RELEASE_MS_MAX;
  while (clock.monotonicMs() < endMs) {
    const { state, quarantinedClaims } = engine.stats();
    if (!quarantinedClaims.some(isChosen)) return;
    if (state !== 'open') {
      const end = await engine.ended;
      if (end.kind !== 'closed') throw end.error;
    }
    await sleep(clock, RELEASE_STEP_MS);
  }
  throw new CommandError(
    `the quarantine of ${path} was not released: what was written past the fences could not be looked at; look at the disk (dmesg), then try again`,
    { code: 'DEVICE_FAILED', path },
  );
}
