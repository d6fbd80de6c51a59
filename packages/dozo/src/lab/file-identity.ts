/** Which file a path really leads to: what tells two lock files of one name apart. */
import { statSync } from 'node:fs';

/** `PATH (file system 0:57, inode 2)`, the number of the file system as `mountinfo` says it. */
export function describeFile(path: string): string {
  const { dev, ino } = statSync(path);
  return `${path} (file system ${majorOf(dev)}:${minorOf(dev)}, inode ${ino})`;
}

/** Major number of a device number that is below 2^32. Source: glibc's `sys/sysmacros.h`. */
export function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

/** Minor number of a device number that is below 2^32. */
export function minorOf(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}
