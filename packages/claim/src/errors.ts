/** The errors of the claim. Their messages name the other holder and the next step. */
import { DozoError } from '@dozo/base';
import { describeClaim } from './holder.ts';
import type { DeathProof, Slot } from './slot.ts';

/**
 * - `CLAIM_HELD`: somebody else holds the device, or has just claimed it.
 * - `CLAIM_FENCED`: we held it, and a higher claim stands on the ring now. Nothing may be written.
 * - `CLAIM_LOST`: we held it and cannot show any more that we live: the slot cannot be written, or the
 *   ring not read. Nothing may be written.
 * - `CLAIM_RELEASED`: used after it was given back.
 * - `CLAIM_RING_DAMAGED`: both blocks of a slot are unreadable, so that what the newest claim says
 *   of the device is not known.
 * - `CLAIM_RING_FULL`: every slot belongs to a claim that is not proved dead.
 * - `CLAIM_QUARANTINE_FULL`: more predecessors are not proved dead than an account can name.
 * - `CLAIM_SETTINGS_INVALID`: the intervals of the device cannot be used.
 */
export type ClaimErrorDetail =
  | { readonly code: 'CLAIM_HELD'; readonly path: string; readonly holder: Slot }
  | { readonly code: 'CLAIM_FENCED'; readonly path: string; readonly by: Slot | undefined }
  | { readonly code: 'CLAIM_LOST'; readonly path: string; readonly reason: string }
  | { readonly code: 'CLAIM_RELEASED'; readonly path: string }
  | {
      readonly code: 'CLAIM_RING_DAMAGED';
      readonly path: string;
      readonly damagedSlots: readonly number[];
    }
  | { readonly code: 'CLAIM_RING_FULL'; readonly path: string; readonly slotCount: number }
  | {
      readonly code: 'CLAIM_QUARANTINE_FULL';
      readonly path: string;
      readonly quarantinedCount: number;
    }
  | { readonly code: 'CLAIM_SETTINGS_INVALID'; readonly reason: string };

/** Why a claim could not be read, taken or kept. */
export class ClaimError extends DozoError<ClaimErrorDetail> {}

/** Somebody else is the holder. */
export function claimHeld(path: string, holder: Slot): ClaimError {
  return new ClaimError(
    `Taking the claim of ${path}: it is held by ${describeClaim(holder)}. Nothing was written but the ` +
      'wish. Use that holder, stop it, or wait for it to end; a holder that does not beat any more ' +
      'is passed over when its lease is over.',
    { code: 'CLAIM_HELD', path, holder },
  );
}

/** A higher claim stands on the ring, or somebody has written our slot. */
export function claimFenced(path: string, by: Slot | undefined): ClaimError {
  const whom = by === undefined ? 'somebody who left the slot unreadable' : describeClaim(by);
  return new ClaimError(
    `Holding the claim of ${path}: it was taken over by ${whom}. This process was silent for longer ` +
      'than its lease (stopped, suspended, or cut off from the disk) or the device was opened a second ' +
      'time. It writes nothing more. Find out which of the two should run, and stop the other; ' +
      '`dozo forensics` shows what each of them wrote.',
    { code: 'CLAIM_FENCED', path, by },
  );
}

/** We cannot show any more that we live. */
export function claimLost(path: string, reason: string, cause?: unknown): ClaimError {
  return new ClaimError(
    `Holding the claim of ${path}: it could not be renewed: ${reason} Others may take the device over ` +
      'now, so nothing more is written. Look at the disk and the path to it (dmesg), then start again.',
    { code: 'CLAIM_LOST', path, reason },
    { cause },
  );
}

/** Every other refusal of a claimant. */
export function claimReleased(path: string): ClaimError {
  return new ClaimError(`Using the claim of ${path}: it has been given back.`, {
    code: 'CLAIM_RELEASED',
    path,
  });
}

/** A slot that might hold the newest claim cannot be read. */
export function ringDamaged(path: string, damagedSlots: readonly number[]): ClaimError {
  return new ClaimError(
    `Taking the claim of ${path}: both blocks of slot ${damagedSlots.join(', ')} of the ` +
      'claim ring are damaged, so that the newest claim is not known and data could be overlooked. ' +
      'Look at it with `dozo device show`, and recover this device from its replicas or a backup.',
    { code: 'CLAIM_RING_DAMAGED', path, damagedSlots },
  );
}

/** No slot may be written. */
export function ringFull(path: string, slotCount: number): ClaimError {
  return new ClaimError(
    `Taking the claim of ${path}: none of its ${slotCount} slots may be written, because their claims ` +
      'are not proved dead. Make sure that none of those processes runs any more (`dozo device show` ' +
      'lists them), then say so with `dozo device release-quarantine`.',
    { code: 'CLAIM_RING_FULL', path, slotCount },
  );
}

/** Too many predecessors may still live. */
export function quarantineFull(path: string, quarantinedCount: number): ClaimError {
  return new ClaimError(
    `Taking the claim of ${path}: ${quarantinedCount} earlier holders were taken over and are not ` +
      'proved dead, which is more than can be kept apart. Make sure that none of those processes ' +
      'runs any more (`dozo device show` lists them), then say so with ' +
      '`dozo device release-quarantine`.',
    { code: 'CLAIM_QUARANTINE_FULL', path, quarantinedCount },
  );
}

/** How a death is known, in words. */
export function describeProof(proof: DeathProof): string {
  return {
    released: 'it released the device itself',
    stopped: 'it noticed that it was fenced and stopped',
    kernel: "the kernel's lock on the same path was free",
    rebooted: 'this machine has been started again since',
    operator: 'an operator said so',
    lease: 'its lease was over',
  }[proof];
}
