/**
 * Ends the quarantine of claims that are proved dead, beside the log.
 *
 * What the claim wrote past its fence is looked at and noted; a manifest with the note becomes durable,
 * a slot points at it, and only then are the segments used again (`history-keeper.ts`). One claim after
 * the other; a claim whose writes could not be looked at keeps its quarantine until the next start.
 */
import { DeviceError } from '@dozo/base';
import { isSameClaim } from '@dozo/claim';
import type { ClaimIdentity } from '@dozo/claim';
import type { Clock, Device } from '@dozo/base';
import { fencedClaim } from './claim-history.ts';
import type { ZombieNote } from './claim-history.ts';
import type { LogWriter } from './log-writer.ts';
import type { Superblock } from './superblock.ts';
import { scanZombie } from './zombie-scan.ts';

export interface QuarantineReleaseOptions {
  readonly device: Device;
  readonly superblock: Superblock;
  readonly clock: Clock;
  readonly log: LogWriter;
  /** Whether the engine still serves. */
  readonly isServing: () => boolean;
  /** A note is there that a manifest should make durable soon. */
  readonly onNote: () => void;
}

/** See the file comment. */
export class QuarantineRelease {
  readonly #options: QuarantineReleaseOptions;
  #work: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor(options: QuarantineReleaseOptions) {
    this.#options = options;
  }

  /** The claim is dead. Claims without a fence are passed over. */
  release(identity: ClaimIdentity, proof: ZombieNote['proof']): void {
    // A device that cannot be read leaves the quarantine as it is.
    this.#work = this.#work
      .then(() => this.#release(identity, proof))
      .catch((error: unknown) => {
        if (!(error instanceof DeviceError)) throw error;
      });
  }

  /** Resolves when nothing is read any more. What has not been looked at stays quarantined. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#work;
  }

  async #release(identity: ClaimIdentity, proof: ZombieNote['proof']): Promise<void> {
    const isOver = (): boolean => this.#isEnded || !this.#options.isServing();
    if (await noteDead({ ...this.#options, isOver }, identity, proof)) this.#options.onNote();
  }
}

/**
 * Looks at what a dead claim wrote past its fence, and notes it for the next manifest; false when it has
 * no fence, or when it was over before the end.
 */
export async function noteDead(
  {
    device,
    superblock,
    clock,
    log,
    isOver,
  }: Pick<QuarantineReleaseOptions, 'device' | 'superblock' | 'clock' | 'log'> & {
    readonly isOver: () => boolean;
  },
  identity: ClaimIdentity,
  proof: ZombieNote['proof'],
): Promise<boolean> {
  const fence = log.history.fences.find((other) => isSameClaim(other.identity, identity));
  if (fence === undefined || isOver()) return false;
  const findings = await scanZombie({ device, superblock, fence, isOver });
  if (isOver()) return false;
  log.addNote({ ...fencedClaim(fence), ...findings, proof, notedWallMs: clock.wallMs() });
  return true;
}
