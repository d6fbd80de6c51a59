/**
 * How `dozo` ends. One table for scripts, unit files and people; docs/operations/exit-codes.md says
 * the same in words. A status is API: it is never given another meaning.
 */
import { DozoError } from '@dozo/base';

export const EXIT_DONE = 0;
/** Failed in a way that has no status of its own. */
export const EXIT_FAILED = 1;
/** The command line or the environment variables are wrong. */
export const EXIT_USAGE = 2;
/** Another process holds the device. */
export const EXIT_DEVICE_HELD = 3;
/** The device is not one that can be used as it is: not ours, damaged, not empty. */
export const EXIT_DEVICE_REFUSED = 4;
/** `device check` has found damage. */
export const EXIT_DAMAGE_FOUND = 5;
/** The machine does not allow it: nothing at a path, no permission, no room, an address in use. */
export const EXIT_MACHINE_REFUSED = 6;
/** The device failed under the running daemon. */
export const EXIT_DEVICE_FAILED = 7;
/** `status`: no daemon runs. */
export const EXIT_NOT_RUNNING = 8;
/** The claim was taken over by a higher one while it was held. */
export const EXIT_CLAIM_FENCED = 9;
/** The claim could not be renewed: the process slept through its lease, or the disk did not answer. */
export const EXIT_CLAIM_LOST = 10;
/** `forensics`: two processes ran on the device or volume at one time. */
export const EXIT_OVERLAP_FOUND = 11;
/** A bug of ours (`EX_SOFTWARE` of sysexits.h). */
export const EXIT_BUG = 70;
/** A second signal ended the process at once: 128 and the signal's number, as shells say it. */
export const EXIT_SIGNAL_BASE = 128;

const STATUS_BY_CODE: ReadonlyMap<string, number> = new Map([
  ['USAGE_INVALID', EXIT_USAGE],
  ['NOT_YET', EXIT_USAGE],
  ['CREDENTIALS_INVALID', EXIT_USAGE],
  ['CONFIRMATION_MISSING', EXIT_USAGE],
  ['DEVICE_BUSY', EXIT_DEVICE_HELD],
  ['DEVICE_HELD', EXIT_DEVICE_HELD],
  ['CLAIM_HELD', EXIT_DEVICE_HELD],
  ['CLAIM_FENCED', EXIT_CLAIM_FENCED],
  ['CLAIM_LOST', EXIT_CLAIM_LOST],
  ['ENGINE_FENCED', EXIT_CLAIM_FENCED],
  ['ENGINE_CLAIM_LOST', EXIT_CLAIM_LOST],
  ['INTERVALS_REFUSED', EXIT_USAGE],
  ['CLAIM_RING_FULL', EXIT_DEVICE_REFUSED],
  ['CLAIM_QUARANTINE_FULL', EXIT_DEVICE_REFUSED],
  ['CLAIM_SETTINGS_INVALID', EXIT_DEVICE_REFUSED],
  ['CLAIM_FILE_INVALID', EXIT_DEVICE_REFUSED],
  ['DEVICE_NOT_EMPTY', EXIT_DEVICE_REFUSED],
  ['FILE_EXISTS', EXIT_DEVICE_REFUSED],
  ['DEVICE_NOT_DOZO', EXIT_DEVICE_REFUSED],
  ['DEVICE_VERSION_UNKNOWN', EXIT_DEVICE_REFUSED],
  ['DEVICE_CUT_SHORT', EXIT_DEVICE_REFUSED],
  ['DEVICE_TOO_SMALL', EXIT_DEVICE_REFUSED],
  ['SUPERBLOCK_DAMAGED', EXIT_DEVICE_REFUSED],
  ['DEVICE_CORRUPT', EXIT_DEVICE_REFUSED],
  ['HOLDERS_IN_DOUBT', EXIT_DEVICE_REFUSED],
  ['DEVICE_NEEDS_REPAIR', EXIT_DEVICE_REFUSED],
  ['CLAIM_RING_DAMAGED', EXIT_DEVICE_REFUSED],
  ['DEVICE_NOT_FOUND', EXIT_MACHINE_REFUSED],
  ['DEVICE_ACCESS_DENIED', EXIT_MACHINE_REFUSED],
  ['DEVICE_NOT_USABLE', EXIT_MACHINE_REFUSED],
  ['DATA_DIRECTORY_UNUSABLE', EXIT_MACHINE_REFUSED],
  ['VOLUME_UNUSABLE', EXIT_MACHINE_REFUSED],
  ['DISK_TOO_SMALL', EXIT_MACHINE_REFUSED],
  ['ADDRESS_IN_USE', EXIT_MACHINE_REFUSED],
  ['ADDRESS_UNUSABLE', EXIT_MACHINE_REFUSED],
  ['TLS_UNUSABLE', EXIT_MACHINE_REFUSED],
  ['FILE_NOT_WRITTEN', EXIT_MACHINE_REFUSED],
  ['ENLARGE_FAILED', EXIT_MACHINE_REFUSED],
  ['NO_SPACE', EXIT_MACHINE_REFUSED],
  ['CREATE_FAILED', EXIT_MACHINE_REFUSED],
  ['KERNEL_CALLS_UNAVAILABLE', EXIT_MACHINE_REFUSED],
  ['DEVICE_READ_FAILED', EXIT_DEVICE_FAILED],
  ['DEVICE_WRITE_FAILED', EXIT_DEVICE_FAILED],
  ['DEVICE_FLUSH_FAILED', EXIT_DEVICE_FAILED],
  ['DEVICE_FAILED', EXIT_DEVICE_FAILED],
  ['ENGINE_FAILED', EXIT_DEVICE_FAILED],
]);

/** The status that an error ends the process with; what is no {@link DozoError} is a bug. */
export function exitStatusOf(error: unknown): number {
  if (!(error instanceof DozoError)) return EXIT_BUG;
  const { code } = error.detail as { readonly code: string };
  return STATUS_BY_CODE.get(code) ?? EXIT_FAILED;
}
