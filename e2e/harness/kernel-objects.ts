/**
 * Loop devices and device nodes, made for one test and taken away after it, however it ended. They
 * need root.
 */
import { existsSync, mkdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { runCommand, tryCommand } from './run-command.ts';

/** Why tests with loop devices cannot run here; undefined where they can. */
export function whyNoLoopDevices(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/dev/loop-control')) return 'needs loop devices';
  try {
    execFileSync('losetup', ['--find'], { stdio: 'ignore' });
  } catch {
    return 'needs loop devices that losetup may use';
  }
  return undefined;
}

/** Why tests with mount namespaces cannot run here; undefined where they can. */
export function whyNoMountNamespaces(): string | undefined {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs the right to make mount namespaces (unshare)';
  }
}

/** What a test has made in the kernel. {@link removeAll} takes it away in reverse order. */
export class KernelObjects {
  readonly #undo: (() => Promise<unknown>)[] = [];

  /** A sparse file, for a device to lie on. */
  backingFile(path: string, sizeBytes: number): string {
    writeFileSync(path, '');
    truncateSync(path, sizeBytes);
    this.#undo.push(() => rm(path, { force: true }));
    return path;
  }

  /** A loop device on a file; each call gives another one. @returns its path under `/dev`. */
  async loopDevice(file: string): Promise<string> {
    const device = (await runCommand('losetup', ['--find', '--show', file])).trim();
    this.#undo.push(() => tryCommand('losetup', ['--detach', device]));
    return device;
  }

  /**
   * Cuts what the kernel writes to a loop device into single blocks. Linux (6.18) reports a request as
   * done of which the backing file has taken only a part, because its file system was full: a disk
   * that lies. A single block is taken or refused.
   */
  writeSingleBlocks(loopDevice: string): void {
    writeFileSync(`/sys/block/${basename(loopDevice)}/queue/max_sectors_kb`, '4');
  }

  /** A device node of its own for the block device at `device`, in a directory of its own. */
  async deviceNode(device: string, directory: string): Promise<string> {
    const path = `${directory}/disk`;
    const { major, minor } = deviceNumber(device);
    mkdirSync(directory, { recursive: true });
    await runCommand('mknod', [path, 'b', String(major), String(minor)]);
    this.#undo.push(() => rm(path, { force: true }));
    return path;
  }

  /** A file system in memory that has no more than `sizeBytes`. */
  async memoryFileSystem(directory: string, sizeBytes: number): Promise<string> {
    mkdirSync(directory, { recursive: true });
    await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', directory]);
    this.#undo.push(() => tryCommand('umount', ['--lazy', directory]));
    return directory;
  }

  /** Remembers what has to be undone before everything that was made until now. */
  onRemoval(undo: () => Promise<unknown>): void {
    this.#undo.push(undo);
  }

  async removeAll(): Promise<void> {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) await undo();
  }
}

/** Major and minor number of a block device. Source: `makedev` of glibc's `sys/sysmacros.h`. */
export function deviceNumber(path: string): { readonly major: number; readonly minor: number } {
  const { rdev } = statSync(path, { bigint: true });
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xffff_f000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n)),
  };
}
