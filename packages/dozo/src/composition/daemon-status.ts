/**
 * What a running daemon says of itself on `/status`, and how `dozo status` asks for it.
 *
 * A port may have gone to another program since the runtime file was written; so an answer counts only
 * if it names the same start of the same daemon.
 */
import { hexOfBytes } from '@dozo/base';
import type { EngineStats } from '@dozo/engine';
import type { S3GatewayStats } from '@dozo/s3';

import { isoTime } from '../forensics/wording.ts';
import { STATUS_BYTES_MAX, STATUS_REQUEST_MS } from '../limits.ts';
import type { DaemonPhase } from './health-server.ts';
import type { RuntimeInfo } from './runtime-file.ts';

/** An earlier holder whose segments are kept apart, in a form that JSON can hold. */
export interface QuarantinedClaim {
  readonly incarnation: number;
  readonly nonce: string;
  readonly host: string;
  readonly podName: string;
  readonly processId: number;
  /** ISO 8601. */
  readonly since: string;
  readonly fencedAt: string;
  readonly fencedBy: number;
}

/** What the engine says of itself. */
export interface EngineStatus extends Omit<EngineStats, 'quarantinedClaims'> {
  readonly quarantinedClaims: readonly QuarantinedClaim[];
}

/** The answer of `/status`. */
export interface DaemonStatus extends RuntimeInfo {
  readonly phase: DaemonPhase;
  readonly uptimeMs: number;
  readonly node: string;
  readonly residentBytes: number;
  /** Absent until the engine is open. */
  readonly engine?: EngineStatus;
  /** Absent until it listens. */
  readonly s3?: S3GatewayStats;
}

/** The part of the answer that comes from the engine. */
export function engineStatus(stats: EngineStats): EngineStatus {
  return {
    ...stats,
    quarantinedClaims: stats.quarantinedClaims.map((claim) => ({
      incarnation: claim.identity.incarnation,
      nonce: hexOfBytes(claim.identity.nonce),
      host: claim.host,
      podName: claim.podName,
      processId: claim.processId,
      since: isoTime(claim.sinceWallMs),
      fencedAt: isoTime(claim.fencedWallMs),
      fencedBy: claim.by.incarnation,
    })),
  };
}

/** Asks the daemon that a runtime file names; undefined if it does not answer as that daemon. */
export async function askDaemon(info: RuntimeInfo): Promise<DaemonStatus | undefined> {
  let value: unknown;
  try {
    const response = await fetch(`${info.healthEndpoint}/status`, {
      signal: AbortSignal.timeout(STATUS_REQUEST_MS),
      redirect: 'error',
    });
    value = JSON.parse(await readText(response));
  } catch {
    // Refused, reset, too slow, too long, no JSON: whatever it is, it is not our daemon.
    return undefined;
  }
  const { instance } = (value ?? {}) as { readonly instance?: unknown };
  return instance === info.instance ? (value as DaemonStatus) : undefined;
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of response.body ?? []) {
    text += decoder.decode(part as Uint8Array, { stream: true });
    if (text.length > STATUS_BYTES_MAX) throw new RangeError('the answer is too long');
  }
  return text;
}
