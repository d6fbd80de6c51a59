/**
 * Notices what the design leaves to chance: the first write of a claim lands in a slot that another
 * claim has taken since this claimant looked, and later than the settle time after that look.
 */
import type { OperationEvent, SimulatedClock, SimulatedMedium } from '@dozo/simulator';

/** Where the identity of a claim lies in a block. */
const IDENTITY = { offset: 32, sizeBytes: 24 };
const SLOT_BYTES = 8192;

/** See the file comment. */
export class LandingWatch {
  readonly #medium: SimulatedMedium;
  readonly #clock: SimulatedClock;
  readonly #settleMs: number;
  readonly #lookedMs = new Map<number, number>();
  /** When each claim first landed in a slot. */
  readonly #landings: { readonly slot: number; readonly claim: string; readonly atMs: number }[] =
    [];
  #hasLateCollision = false;

  constructor(medium: SimulatedMedium, clock: SimulatedClock, settleMs: number) {
    this.#medium = medium;
    this.#clock = clock;
    this.#settleMs = settleMs;
  }

  get hasLateCollision(): boolean {
    return this.#hasLateCollision;
  }

  /** To be told of every operation of every claimant. */
  onOperation(claimant: number, { kind, phase, offset }: OperationEvent): void {
    const nowMs = this.#clock.monotonicMs();
    if (kind === 'read' && phase === 'begin') this.#lookedMs.set(claimant, nowMs);
    if (kind !== 'write' || phase !== 'end') return;
    const slot = Math.floor(offset / SLOT_BYTES);
    const bytes = this.#medium.peek(offset + IDENTITY.offset, IDENTITY.sizeBytes);
    const claim = `${claimant}/${bytes.join()}`;
    if (this.#landings.some((landing) => landing.claim === claim)) return;
    const lookedMs = this.#lookedMs.get(claimant) ?? 0;
    const isTaken = this.#landings.some(
      (landing) => landing.slot === slot && landing.atMs >= lookedMs,
    );
    // The others' settle time runs on clocks of their own, and not from our look on.
    if (isTaken && nowMs - lookedMs > this.#settleMs / 2) this.#hasLateCollision = true;
    this.#landings.push({ slot, claim, atMs: nowMs });
  }
}
