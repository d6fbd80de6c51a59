/**
 * A claimant of a volume that shares no kernel with its holder: no lock, another boot id. What a guard
 * on another machine does on NFS, from its opening of the claim file to its claim.
 */
import type { Claim, ClaimSwitches } from '@dozo/claim';
import { acquireClaim } from '@dozo/claim';
import { openClaimFile, openSystemClock, SystemRandom } from '@dozo/platform';

/** A claim and the way to give it back. */
export interface OtherClaim {
  readonly claim: Claim;
  readonly close: () => Promise<void>;
}

/** Takes the claim as soon as the protocol lets it. */
export async function claimFromElsewhere(
  directory: string,
  switches: ClaimSwitches = {},
): Promise<OtherClaim> {
  const random = new SystemRandom();
  const settings = { beatIntervalMs: 1_000, leaseMs: 5_000, isLocal: false };
  const file = await openClaimFile({ directory, mode: 'unlocked', settings, random });
  const claim = await acquireClaim({
    device: file.device,
    place: file.place,
    settings: file.settings,
    clock: await openSystemClock(),
    random,
    holder: { host: 'elsewhere', bootId: 'another-boot', processId: 1, softwareVersion: 'test' },
    wait: true,
    switches,
  });
  return {
    claim,
    close: async () => {
      await claim.release().catch(() => undefined);
      await file.device.close();
    },
  };
}
