/**
 * A "container" of the lab: a mount namespace of its own, in which one directory is private (an empty
 * tmpfs), as an `emptyDir` is in a Pod. Nothing else is private; the disks are those of the machine.
 *
 * The program replaces every step of the way (`exec`), so that its process id is the one that was
 * started, and everything that was mounted is gone with its last process.
 */

/** What is private in a container. */
export interface ContainerPlan {
  /** Gets an empty tmpfs; the same path in every container, and another directory in each. */
  readonly privateDirectory: string;
  /** Files that are hidden behind an empty one of the container's own. They must exist. */
  readonly privateFiles?: readonly string[];
  /** Device nodes that are made again, inside the private directory. */
  readonly deviceNodes?: readonly DeviceNode[];
}

/** A block device node: where it is to be, and which device it leads to. */
export interface DeviceNode {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
}

/** A program and its arguments. */
export type CommandLine = readonly [string, ...string[]];

/** The command line that runs `command` inside such a container. Needs root. */
export function containerCommand(plan: ContainerPlan, command: CommandLine): CommandLine {
  const { privateDirectory, privateFiles = [], deviceNodes = [] } = plan;
  const directory = shellQuote(privateDirectory);
  const steps = [
    'set -e',
    `mount -t tmpfs -o size=1m,mode=755 dozo-lab ${directory}`,
    ...privateFiles.flatMap((path, index) => [
      `: > ${directory}/private-${index}`,
      `mount --bind ${directory}/private-${index} ${shellQuote(path)}`,
    ]),
    ...deviceNodes.map(
      ({ path, major, minor }) => `mknod -m 600 ${shellQuote(path)} b ${major} ${minor}`,
    ),
    'exec "$@"',
  ];
  const script = steps.join('\n');
  // `sh` takes the word after the script for its own name.
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...command];
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
