/** Loop devices for tests: real block devices on files. Only root may make them. */
import { execFileSync } from 'node:child_process';

/** Whether this test run may make loop devices. */
export function canUseLoopDevices(): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    losetup('--find');
    return true;
  } catch {
    return false;
  }
}

/** Runs `losetup` and returns what it prints. */
export function losetup(...options: string[]): string {
  return execFileSync('losetup', options, { encoding: 'utf8' }).trim();
}
