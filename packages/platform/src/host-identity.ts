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
  /** In the process's own pid namespace: not unique on a machine with containers. */
  readonly pid: number;
  /** From `POD_NAME` and `POD_UID`, which the Pod's manifest sets through the downward API. */
  readonly podName?: string;
  readonly podUid?: string;
}

/** Tells who this process is. */
export function readHostIdentity(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): HostIdentity {
  const podName = environment['POD_NAME'];
  const podUid = environment['POD_UID'];
  return {
    host: hostname(),
    bootId: readBootId(),
    pid: process.pid,
    ...(podName === undefined ? {} : { podName }),
    ...(podUid === undefined ? {} : { podUid }),
  };
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
