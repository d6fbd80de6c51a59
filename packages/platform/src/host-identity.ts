/** Who this process is, for the claim that it writes to its devices. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, so that people and other processes can tell it from every other one. */
export interface HostIdentity {
  readonly host: string;
  /**
   * The kernel's id of this boot: the same for all processes and containers between two boots of a
   * machine. Empty where the kernel has none.
   */
  readonly bootId: string;
  /**
   * The id of this installation, 32 hexadecimal digits, which stays over boots (`machine-id(5)`). A
   * container has its image's or none; absent where there is none.
   */
  readonly machineId?: string;
  /** In the process's own pid namespace: not unique on a machine with containers. */
  readonly pid: number;
  /** From `POD_NAME` and `POD_UID`, which the Pod's manifest sets through the downward API. */
  readonly podName?: string;
  readonly podUid?: string;
}

/**
 * Tells who this process is.
 *
 * @param machineIdPath for tests: where the id of the machine is.
 */
export function readHostIdentity(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  machineIdPath = '/etc/machine-id',
): HostIdentity {
  const podName = environment['POD_NAME'];
  const podUid = environment['POD_UID'];
  const machineId = readLine(machineIdPath);
  return {
    host: hostname(),
    bootId: readLine('/proc/sys/kernel/random/boot_id'),
    pid: process.pid,
    ...(/^[0-9a-f]{32}$/.test(machineId) ? { machineId } : {}),
    ...(podName === undefined ? {} : { podName }),
    ...(podUid === undefined ? {} : { podUid }),
  };
}

/** The only line of a small file; empty where it cannot be read. */
function readLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
