/** Who this process is, for the claim that it writes to its devices. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

/** A process, so that people and other processes can tell it from every other one. */
export interface HostIdentity {
  readonly host: string;
  /**
   * The kernel's id of this boot: the same for all processes and containers between two boots of a
   * machine. Empty where the kernel has none.
   */
  readonly bootId: string;
  /**
   * The id of this installation, 32 hexadecimal digits, which stays over boots (`machine-id(5)`).
   * Absent where there is none, and in a container, whose image may run on many machines; unless the
   * machine's own was mounted into it.
   */
  readonly machineId?: string;
  /** In the process's own pid namespace: not unique on a machine with containers. */
  readonly pid: number;
  /** From `POD_NAME` and `POD_UID`, which the Pod's manifest sets through the downward API. */
  readonly podName?: string;
  readonly podUid?: string;
}

/** What the readers of `readHostIdentity` look at; for tests. */
export interface HostPlaces {
  readonly machineId: string;
  /** Files that container runtimes make. */
  readonly containerMarks: readonly string[];
}

/** Variables that container runtimes and Kubernetes set. */
const CONTAINER_VARIABLES = ['KUBERNETES_SERVICE_HOST', 'container'];

const PLACES: HostPlaces = {
  machineId: '/etc/machine-id',
  containerMarks: ['/.dockerenv', '/run/.containerenv'],
};

/** Tells who this process is. */
export function readHostIdentity(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  places = PLACES,
): HostIdentity {
  const podName = environment['POD_NAME'];
  const podUid = environment['POD_UID'];
  const machineId = readMachineId(environment, places);
  return {
    host: hostname(),
    bootId: readLine('/proc/sys/kernel/random/boot_id'),
    pid: process.pid,
    ...(machineId === undefined ? {} : { machineId }),
    ...(podName === undefined ? {} : { podName }),
    ...(podUid === undefined ? {} : { podUid }),
  };
}

/**
 * A reboot proves death by this id: two machines that run one image must not be taken for one. In a
 * container it counts only where it is a mount of its own.
 */
function readMachineId(
  environment: Readonly<Record<string, string | undefined>>,
  places: HostPlaces,
): string | undefined {
  const isContained =
    CONTAINER_VARIABLES.some((name) => (environment[name] ?? '') !== '') ||
    places.containerMarks.some((path) => existsSync(path));
  if (isContained && !isMounted(places.machineId)) return undefined;
  const machineId = readLine(places.machineId);
  return /^[0-9a-f]{32}$/.test(machineId) ? machineId : undefined;
}

/** Whether a file is on another file system than the directory that it is in. */
function isMounted(path: string): boolean {
  try {
    return statSync(path).dev !== statSync(dirname(path)).dev;
  } catch {
    return false;
  }
}

/** The only line of a small file; empty where it cannot be read. */
function readLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
