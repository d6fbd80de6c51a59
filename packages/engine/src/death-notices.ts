/** Claims of predecessors that are known to be dead, and whose writes are still to be looked at. */
import { isSameClaim } from '@dozo/claim';
import type { Claim } from '@dozo/claim';
import type { Fence, ZombieNote } from './claim-history.ts';

/** A claim that is dead, and how that is known. */
export type Death = Pick<ZombieNote, 'identity' | 'proof'>;

/** Deaths that the claim notices, kept until there is somebody to tell. */
export class DeathNotices {
  readonly #kept: Death[] = [];
  #tell: (death: Death) => void = (death) => {
    this.#kept.push(death);
  };

  constructor(claim: Claim) {
    claim.onDeath(({ identity }, proof) => {
      this.#tell({ identity, proof });
    });
  }

  tellTo(tell: (death: Death) => void): void {
    this.#tell = tell;
    for (const death of this.#kept.splice(0)) tell(death);
  }
}

/** Dead claims whose writes nobody has looked at yet: a start before this one had no time to. */
export function knownDeaths(claim: Claim, fences: readonly Fence[]): Death[] {
  const accounts = claim.ring.slots.flatMap(({ slot }) => slot?.account?.deaths ?? []);
  const deaths = [...claim.deaths, ...accounts];
  return fences.flatMap(({ identity }) => {
    if (claim.quarantined.some((slot) => isSameClaim(slot.identity, identity))) return [];
    const known = deaths.find((death) => isSameClaim(death.identity, identity));
    return [{ identity, proof: known?.proof ?? ('unknown' as const) }];
  });
}
