/** Loop devices for tests: real block devices on files. Only root may make them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

/** Attaches a file as a disk with sectors of 8 KiB: larger than what we read and write at once. */
export function attachCoarse(file: string): string {
  return losetup('--find', '--show', '--sector-size', '8192', file);
}

/** Whether {@link attachCoarse} works here: older kernels have no such disks. */
export function canAttachCoarse(): boolean {
  if (!canUseLoopDevices()) return false;
  const directory = mkdtempSync(join(tmpdir(), 'dozo-platform-'));
  try {
    const file = join(directory, 'disk');
    writeFileSync(file, '');
    truncateSync(file, 1024 * 1024);
    losetup('--detach', attachCoarse(file));
    return true;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
