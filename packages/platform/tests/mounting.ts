/** File systems of their own for tests. Only root may mount. */
import { execFileSync } from 'node:child_process';
import { mkdir, truncate, writeFile } from 'node:fs/promises';

import { canUseLoopDevices } from './loop-device.ts';

const EXT4_BYTES = 16 * 1024 * 1024;

/** Whether this test run may mount file systems, also those in a file. */
export function canMount(): boolean {
  if (!canUseLoopDevices()) return false;
  try {
    run('unshare', '--mount', 'true');
    return true;
  } catch {
    return false;
  }
}

/** Runs a program of the system. */
export function run(program: string, ...options: string[]): void {
  execFileSync(program, options, { stdio: 'ignore' });
}

/** Makes an ext4 in the new file `image` and mounts it at the new directory `mountPoint`. */
export async function mountExt4(image: string, mountPoint: string): Promise<void> {
  await writeFile(image, new Uint8Array(0));
  await truncate(image, EXT4_BYTES);
  run('mkfs.ext4', '-q', image);
  await mkdir(mountPoint);
  run('mount', '-o', 'loop', image, mountPoint);
}
