/** The errors of this package that no port of `@dozo/base` defines. */
import { DozoError } from '@dozo/base';

/**
 * - `FILE_EXISTS`: a device file is to be created where something is already.
 * - `NO_SPACE`: the file system has no room for it. `sizeBytes` is what was asked for,
 *   `availableBytes` what there was.
 * - `CREATE_FAILED`: any other reason not to create it; `cause` is the kernel's name of the error.
 * - `ENLARGE_FAILED`: a device file cannot be made larger; `cause` likewise.
 * - `CLAIM_FILE_INVALID`: what stands where a claim file belongs is none, or not all of one.
 * - `KERNEL_CALLS_UNAVAILABLE`: this machine cannot call the C library, so nothing can be locked.
 */
export type PlatformErrorDetail =
  | { readonly code: 'FILE_EXISTS'; readonly path: string }
  | {
      readonly code: 'NO_SPACE';
      readonly path: string;
      readonly sizeBytes: number;
      readonly availableBytes: number;
    }
  | { readonly code: 'CREATE_FAILED'; readonly path: string; readonly cause: string }
  | { readonly code: 'ENLARGE_FAILED'; readonly path: string; readonly cause: string }
  | { readonly code: 'CLAIM_FILE_INVALID'; readonly path: string; readonly reason: string }
  | { readonly code: 'KERNEL_CALLS_UNAVAILABLE' };

/** What {@link PlatformErrorDetail} lists. */
export class PlatformError extends DozoError<PlatformErrorDetail> {}

/** The kernel's name of an error that Node or a kernel call reported, such as `EIO`. */
export function kernelErrorName(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : String(error);
}

/** Whether Node reported it for a call to the kernel; everything else is passed on as it is. */
export function isKernelError(error: unknown): boolean {
  return error instanceof Error && 'errno' in error;
}
