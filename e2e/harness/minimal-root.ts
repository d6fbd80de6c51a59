/**
 * Root file systems with little in them, to start one program in: a shell of busybox, and what is asked
 * for of glibc. Each start gets mount and pid namespaces of its own, a root that is mounted read-only,
 * and mounts that nobody else sees. Needs root.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

const BUSYBOX = '/bin/busybox';
const APPLETS = ['sh', 'cat', 'sleep', 'true', 'echo', 'id', 'ls', 'kill', 'touch', 'grep'];

/** Why this cannot be done here; undefined where it can. */
export function whyNoMinimalRoots(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync(BUSYBOX)) return `needs ${BUSYBOX} (see e2e/install-clients.sh)`;
  try {
    execFileSync('unshare', ['--mount', '--pid', '--fork', 'true']);
    return undefined;
  } catch {
    return 'needs mount and pid namespaces';
  }
}

/**
 * Makes a root file system.
 *
 * @param program whose shared libraries go in, its loader among them; none for an image without glibc.
 * @param without libraries that stay out, by a part of their name.
 */
export function makeMinimalRoot(
  directory: string,
  program: string | undefined,
  without: readonly string[] = [],
): string {
  for (const path of ['bin', 'dev/shm', 'proc', 'tmp', 'run', 'var/tmp', 'guard', 'volume']) {
    mkdirSync(join(directory, path), { recursive: true });
  }
  cpSync(BUSYBOX, join(directory, 'bin', 'busybox'));
  chmodSync(join(directory, 'bin', 'busybox'), 0o755);
  for (const applet of APPLETS) symlinkSync('busybox', join(directory, 'bin', applet));
  writeFileSync(join(directory, 'dev', 'null'), '');
  if (program === undefined) return directory;
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  for (const [, library = ''] of listed.matchAll(/(\/\S+) \(0x/g)) {
    if (without.some((name) => library.includes(name))) continue;
    const path = join(directory, library);
    mkdirSync(dirname(path), { recursive: true });
    cpSync(realpathSync(library), path);
  }
  return directory;
}

export interface RootMounts {
  /** A directory of this machine at `/guard`, read-only. */
  readonly guard: string;
  /** A directory of this machine at `/volume`. */
  readonly volume: string;
  /** Options of the mount at `/volume`. Default: none. */
  readonly volumeOptions?: string;
  /** Directories that become a tmpfs mounted `noexec`. */
  readonly noexec?: readonly string[];
  /** Whether there is a `/proc`. Default true. */
  readonly hasProc?: boolean;
}

/** The words that start `command` inside `root`, as this user, with its pid 1. */
export function inMinimalRoot(
  root: string,
  mounts: RootMounts,
  user: number,
  command: readonly string[],
): readonly string[] {
  const { guard, volume, volumeOptions, noexec = [], hasProc = true } = mounts;
  const script = [
    'set -e',
    `mount --bind ${root} ${root}`,
    `mount --bind /dev/null ${root}/dev/null`,
    `mount --bind ${guard} ${root}/guard`,
    `mount -o remount,bind,ro ${root}/guard`,
    `mount --bind ${volume} ${root}/volume`,
    ...(volumeOptions === undefined
      ? []
      : [`mount -o remount,bind,${volumeOptions} ${root}/volume`]),
    ...noexec.map((path) => `mount -t tmpfs -o noexec,nosuid,mode=1777 tmpfs ${root}${path}`),
    ...(hasProc ? [`mount -t proc proc ${root}/proc`] : []),
    `mount -o remount,bind,ro ${root}`,
    `exec chroot --userspec=${user}:${user} ${root} "$@"`,
  ].join('\n');
  const separate = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--'];
  return [...separate, 'sh', '-c', script, 'sh', ...command];
}
