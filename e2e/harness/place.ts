/**
 * Where a daemon runs: as a plain child process, in namespaces of its own, in a container.
 *
 * A place turns the command line of the daemon into one that starts it there, and what its ready file
 * says into what this process can reach.
 */

/** What the ready file of a daemon says, as far as the tests use it. */
export interface ReadyFile {
  readonly endpoint: string;
  readonly healthEndpoint: string;
  readonly pid: number;
}

export interface Place {
  /** The command that runs `command` there; its exit status is that of `command`. */
  commandLine(
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): readonly string[];
  /** Addresses and process id as they are here. */
  reach(ready: ReadyFile): Promise<ReadyFile>;
}

/** A line for `sh`, in the new mount namespace, before the daemon starts. */
export type MountCommand = readonly [string, ...string[]];

/**
 * A mount namespace of its own: what is mounted in it nobody else sees, and it goes when the process
 * does. Everything else is shared, so the process id and the addresses are the same here. Needs root.
 */
export class MountNamespace implements Place {
  readonly #mounts: readonly MountCommand[];

  constructor(mounts: readonly MountCommand[]) {
    this.#mounts = mounts;
  }

  commandLine(command: readonly string[]): readonly string[] {
    const script = [...this.#mounts.map((mount) => mount.map(quote).join(' ')), 'exec "$@"'];
    const shell = ['sh', '-e', '-c', script.join('\n'), 'sh'];
    // Each step replaces the process, so that the process id stays.
    return ['unshare', '--mount', '--propagation', 'private', ...shell, ...command];
  }

  reach(ready: ReadyFile): Promise<ReadyFile> {
    return Promise.resolve(ready);
  }
}

/** An empty directory in memory, such as an `emptyDir` of Kubernetes. */
export function privateDirectory(path: string): MountCommand {
  return ['mount', '-t', 'tmpfs', '-o', 'size=1g,mode=0755', 'tmpfs', path];
}

/** `path` shows what `source` is. */
export function bindMount(source: string, path: string): MountCommand {
  return ['mount', '--bind', source, path];
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
