/** What the command line refuses by itself, before or beside the packages below it. */
import { DozoError } from '@dozo/base';

/**
 * - `USAGE_INVALID`: the command line is wrong.
 * - `NOT_YET`: a feature that is planned and not there.
 * - `DATA_DIRECTORY_UNUSABLE`: the directory cannot be made, read or written.
 * - `VOLUME_UNUSABLE`: what is to be guarded is no directory that can be looked into.
 * - `DISK_TOO_SMALL`: no room for the device file.
 * - `CREDENTIALS_INVALID`: half a pair, or a file that does not hold one or that others can read.
 * - `ADDRESS_IN_USE`: somebody else listens there. `ADDRESS_UNUSABLE`: the machine does not have it.
 * - `TLS_UNUSABLE`: certificate or key cannot be read or do not fit together.
 * - `DEVICE_HELD`: another process holds the device; the message names it.
 * - `DEVICE_NOT_EMPTY`: formatting was refused because of what is there.
 * - `CLAIM_FILE_INVALID`: the header of a claim file cannot be read.
 * - `FILE_NOT_WRITTEN`: a file that was asked for cannot be made, or something else is there.
 * - `CONFIRMATION_MISSING`: something would be lost and nobody said that it may.
 * - `STOP_TIMED_OUT`: a clean stop took longer than its time.
 * - `DEVICE_FAILED`: the device failed under a running daemon.
 * - `LAB_FAILED`: a part of `dozo lab` could not be played to its end; its report says which.
 */
export type CommandErrorDetail =
  | { readonly code: 'USAGE_INVALID' | 'CREDENTIALS_INVALID' | 'STOP_TIMED_OUT' | 'LAB_FAILED' }
  | { readonly code: 'NOT_YET'; readonly feature: string }
  | {
      readonly code:
        | 'DATA_DIRECTORY_UNUSABLE'
        | 'VOLUME_UNUSABLE'
        | 'TLS_UNUSABLE'
        | 'DEVICE_HELD'
        | 'DEVICE_NOT_EMPTY'
        | 'CONFIRMATION_MISSING'
        | 'CLAIM_FILE_INVALID'
        | 'FILE_NOT_WRITTEN'
        | 'DEVICE_FAILED';
      readonly path: string;
    }
  | { readonly code: 'ADDRESS_IN_USE' | 'ADDRESS_UNUSABLE'; readonly address: string }
  | {
      readonly code: 'DISK_TOO_SMALL';
      readonly path: string;
      readonly freeBytes: number;
      readonly neededBytes: number;
    };

/** A refusal of the command line: its message is shown to a person as it is, without a trace. */
export class CommandError extends DozoError<CommandErrorDetail> {}

/** What the kernel called an error, such as `ENOENT`; its message where it has no name. */
export function causeName(error: unknown): string {
  if (error instanceof Error) {
    const { code } = error as NodeJS.ErrnoException;
    return code ?? error.message;
  }
  return String(error);
}
