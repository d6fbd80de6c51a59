/** The errors of the claim area. */
import { DozoError } from '@dozo/base';

/**
 * - `CLAIM_RING_DAMAGED`: both blocks of a slot are unreadable, so that what the newest claim says
 *   of the device is not known.
 */
export interface ClaimErrorDetail {
  readonly code: 'CLAIM_RING_DAMAGED';
  readonly path: string;
  readonly damagedSlots: readonly number[];
}

/** Why a claim could not be read or taken. */
export class ClaimError extends DozoError<ClaimErrorDetail> {}
