/**
 * koffi inside the single file: stands in for the package, whose own way to its native part leads
 * through `node_modules`. The build puts it in koffi's place.
 */
import { readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { getRawAsset } from 'node:sea';

import { hexOfBytes } from '@dozo/base';
import { SystemRandom } from '@dozo/platform';

import { parseGuardTask } from '../guard/guard-options.ts';
import { LOCK_DESCRIPTOR } from '../guard/supervisor.ts';
import { loadNativePart } from './load-native-part.ts';

/** The name under which the build puts koffi's native part into the file. */
const ASSET = 'koffi.node';

let loaded: unknown;

/** What the package has for its default export. Throws what {@link loadNativePart} does. */
export function loadKoffi(): unknown {
  if (loaded !== undefined) return loaded;
  const native = { exports: {} };
  loadNativePart({
    bytes: new Uint8Array(getRawAsset(ASSET)),
    directories: candidateDirectories(process.argv.slice(2), process.env),
    name: `.dozo-native-${hexOfBytes(new SystemRandom().bytes(8))}`,
    load: (path) => process.dlopen(native, path),
  });
  loaded = native.exports;
  return loaded;
}

/** In memory first. The volume is always writable, and seldom mounted `noexec`; it comes last. */
export function candidateDirectories(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): string[] {
  const { TMPDIR } = environment;
  const volume = volumeOf(args);
  return [
    ...(TMPDIR === undefined || TMPDIR === '' ? [] : [TMPDIR]),
    ...['/dev/shm', '/tmp', '/run', '/var/tmp'],
    ...(volume === undefined ? [] : [volume]),
  ];
}

function volumeOf(args: readonly string[]): string | undefined {
  try {
    const [entry] = args;
    if (entry === 'guard-watch' || entry === 'guard-exec') {
      return dirname(readlinkSync(`/proc/self/fd/${LOCK_DESCRIPTOR}`));
    }
    const task = parseGuardTask(entry === 'guard' ? args.slice(1) : args);
    return task.kind === 'help' ? undefined : task.volume;
  } catch {
    // What is wrong with them is said where they are used.
    return undefined;
  }
}
