/** Tells in the log what a start waits for at the claim. */
import type { Clock } from '@dozo/base';
import { describeClaim } from '@dozo/claim';
import type { ClaimProgress } from '@dozo/claim';
import type { Logger } from 'pino';

import { WAIT_REPORT_MS } from '../limits.ts';

/** Logs each new wait, and one that goes on every now and then. */
export function logClaimProgress(log: Logger, clock: Clock): (progress: ClaimProgress) => void {
  let last = '';
  let reportMs = Number.NEGATIVE_INFINITY;
  return (progress) => {
    const { kind, holder } = progress;
    const what = `${kind}/${holder.identity.incarnation}`;
    const nowMs = clock.monotonicMs();
    if (what === last && nowMs - reportMs < WAIT_REPORT_MS) return;
    last = what;
    reportMs = nowMs;
    log.info({ holder: describeClaim(holder), ...waitOf(progress) }, WORDS[kind]);
  };
}

const WORDS = {
  watching: 'looking whether the last holder of the device still lives',
  held: 'the device is held; waiting for its holder to end',
  'waiting-out': 'waiting out the lease of another claimant',
} as const;

function waitOf(progress: ClaimProgress): { readonly waitMs?: number } {
  if (progress.kind === 'watching') return { waitMs: progress.watchMs };
  return progress.kind === 'waiting-out' ? { waitMs: Math.ceil(progress.waitMs) } : {};
}
