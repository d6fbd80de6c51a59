/**
 * How a claim ends: what the slot says of it, so that others know what they may rely on.
 *
 * `released` after a close, `stopped` after being fenced, or after a read that failed, with nothing in doubt,
 * a note after a write or flush that failed; and nothing at all where it is not known what reached the
 * device.
 */
import { DozoError, hasCode, sleep } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import { ClaimError } from '@dozo/claim';
import type { Claim } from '@dozo/claim';
import type { Committer } from './committer.ts';
import type { LogWriter } from './log-writer.ts';
import type { QuarantineRelease } from './quarantine-release.ts';
import type { TreeKeeper } from './tree-keeper.ts';

/** A slot that cannot be written is the device's failure, although the claim is the first to see it. */
export function deviceFaultOf(error: unknown): unknown {
  if (!(error instanceof ClaimError) || error.code !== 'CLAIM_LOST') return undefined;
  const { cause } = error;
  return hasCode(cause, 'DEVICE_WRITE_FAILED', 'DEVICE_FLUSH_FAILED') ? cause : undefined;
}

/** After an opening that failed: says that this claim is over, where nothing is left in doubt. */
export async function giveBack(claim: Claim, hasWritten: boolean): Promise<void> {
  try {
    if (hasWritten) return;
    if (claim.failure === undefined) await claim.release();
    else await claim.stop();
  } catch {
    // The device takes nothing any more. Then the slot stays as after a crash.
  } finally {
    claim.abandon();
  }
}

/** What is to be done when service has ended by itself; whoever closes waits for it. */
export async function finish(parts: {
  readonly claim: Claim;
  readonly device: Device;
  readonly clock: Clock;
  readonly log: LogWriter;
  readonly committer: Committer;
  readonly keeper: TreeKeeper;
  readonly release: QuarantineRelease;
  readonly cause: unknown;
}): Promise<void> {
  const { claim, device, clock, log, committer, keeper, release, cause } = parts;
  let isTooLate = false;
  const work = async (): Promise<void> => {
    await committer.end(cause);
    await keeper.end();
    await release.end();
    await log.endDiscarding();
    if (isTooLate) return;
    // A read that failed has put nothing in doubt of what was written.
    const isWriteInDoubt = !(cause instanceof ClaimError || hasCode(cause, 'DEVICE_READ_FAILED'));
    if (isWriteInDoubt) {
      await noteFailure(claim, log, clock, cause);
    } else if (!committer.isOutcomeUnknown) {
      await device.flush();
      await claim.stop();
    }
  };
  // A disk that hangs must not keep a process from ending: then the slot says nothing.
  const waiting = sleep(clock, claim.settings.leaseMs);
  const done = work().catch((error: unknown) => {
    // What the device or the claim says now changes nothing; a bug of ours ends the process.
    if (!(error instanceof DozoError)) throw error;
  });
  await Promise.race([done, waiting]);
  isTooLate = true;
  claim.abandon();
}

/**
 * Notes in the slot that a write failed and how far the log was durable, so that the next start takes
 * no more than that and verifies it. The note may fail as well; nothing more can be done then.
 */
async function noteFailure(
  claim: Claim,
  log: LogWriter,
  clock: Clock,
  error: unknown,
): Promise<void> {
  const cause = error instanceof Error ? error.message : String(error);
  const logEnd = log.durableEnd;
  const note = { failedFlush: { wallMs: clock.wallMs(), cause } };
  await claim.note(logEnd === undefined ? note : { ...note, logEnd });
}
