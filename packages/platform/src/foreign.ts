/** The way to the C library: koffi, which ships compiled with its package. */
import type koffi from 'koffi';

import { PlatformError } from './errors.ts';

/** Where koffi comes from; a test passes its own. */
export type ImportForeign = () => Promise<{ default: typeof koffi }>;

/** Imported on first use, so that importing this package works everywhere. */
export const importKoffi: ImportForeign = () => import('koffi');

/**
 * Loads koffi and binds calls with it. Rejects with `KERNEL_CALLS_UNAVAILABLE`.
 *
 * @param consequence what is not possible without them, for the message.
 */
export async function bindForeign<Calls>(
  importForeign: ImportForeign,
  consequence: string,
  bind: (foreign: typeof koffi) => Calls,
): Promise<Calls> {
  try {
    const { default: foreign } = await importForeign();
    return bind(foreign);
  } catch (error) {
    throw new PlatformError(
      `Cannot call the C library of this machine (${process.platform}-${process.arch}), so ` +
        `${consequence}: ${String(error)}. Dozo needs Linux on x64 or arm64, and the ` +
        'package koffi with its optional dependency for it; install again without --omit=optional.',
      { code: 'KERNEL_CALLS_UNAVAILABLE' },
      { cause: error },
    );
  }
}
