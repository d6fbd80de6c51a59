/**
 * Whether a process behind a claim still writes its slot: watched before a person's word that it is dead
 * is believed. One that is stopped does not show; that is why the word is needed, and the watch is not
 * enough.
 */
import { sleep } from '@dozo/base';
import type { Clock, Device } from '@dozo/base';
import { isSameClaim, readRing, watchMsOf } from '@dozo/claim';
import type { ClaimSettings, RingPlace, Slot } from '@dozo/claim';

import { LIFE_WATCH_MS_MIN } from '../limits.ts';

/**
 * Watches for at least as long as a holder may be silent without losing its lease.
 *
 * @returns the first of the claims that wrote its slot meanwhile; undefined when all were silent.
 */
export async function watchForLife(of: {
  readonly device: Device;
  readonly clock: Clock;
  readonly place: RingPlace;
  readonly settings: ClaimSettings;
  readonly claims: readonly Slot[];
}): Promise<Slot | undefined> {
  const { device, clock, place, settings, claims } = of;
  const endMs = clock.monotonicMs() + Math.max(watchMsOf(settings), LIFE_WATCH_MS_MIN);
  for (;;) {
    const leftMs = endMs - clock.monotonicMs();
    if (leftMs > 0) await sleep(clock, Math.min(leftMs, settings.beatIntervalMs));
    const { slots } = await readRing(device, place);
    const living = claims.find((claim) =>
      slots.some(
        ({ slot }) =>
          slot !== undefined &&
          isSameClaim(slot.identity, claim.identity) &&
          slot.writeCounter !== claim.writeCounter,
      ),
    );
    if (living !== undefined || leftMs <= 0) return living;
  }
}
