/**
 * Says whether two hold the claim at one moment. Knows nothing of the ring: it asks each claimant's own
 * state and its own clock, as a write to the disk would.
 *
 * A holder has entered, has not ended, is executing, and is inside its lease. What it does not check:
 * writes that were begun inside a lease and land later; those are layer L4's.
 */
import type { SimulatedClock, SimulatedProcess } from '@dozo/simulator';
import type { Claim, ClaimSettings, ClaimSwitches } from '../../src/index.ts';
import { isInsideLease } from '../../src/tenure.ts';

/** See the file comment. */
export class HoldChecker {
  readonly #clock: SimulatedClock;
  readonly #settings: ClaimSettings;
  readonly #switches: ClaimSwitches;
  readonly #entered = new Map<Claim, { process: SimulatedProcess; number: number }>();
  #doubleHold: string | undefined;

  constructor(clock: SimulatedClock, settings: ClaimSettings, switches: ClaimSwitches) {
    this.#clock = clock;
    this.#settings = settings;
    this.#switches = switches;
  }

  /** The first double hold, in words. */
  get doubleHold(): string | undefined {
    return this.#doubleHold;
  }

  /** A claimant has the claim. */
  enter(claim: Claim, process: SimulatedProcess, number: number): void {
    this.#entered.set(claim, { process, number });
    this.check();
  }

  /** A claimant is about to give it back, and writes nothing more to the disk. */
  leave(claim: Claim): void {
    this.#entered.delete(claim);
  }

  /** Looks at this moment. */
  check(): void {
    if (this.#doubleHold !== undefined) return;
    const holders: number[] = [];
    for (const [claim, { process, number }] of this.#entered) {
      if (this.#isHolding(claim, process)) holders.push(number);
    }
    if (holders.length < 2) return;
    const atMs = this.#clock.monotonicMs().toFixed(3);
    this.#doubleHold = `claimants ${holders.join(' and ')} hold at ${atMs} ms`;
  }

  #isHolding(claim: Claim, process: SimulatedProcess): boolean {
    if (process.state !== 'running' || claim.failure !== undefined) return false;
    if (this.#switches.skipLeaseCheck === true) return true;
    const now = { monotonicMs: process.monotonicMs(), wallMs: process.wallMs() };
    return isInsideLease(claim.tenure, this.#settings, now);
  }
}
