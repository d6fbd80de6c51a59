/** The order of claims: by incarnation, then by nonce. No two claims of a device are equal. */
import { compareBytes } from '@dozo/base';
import type { ClaimIdentity } from './slot.ts';

/** Below 0 when `left` is the lower claim, above 0 when it is the higher one. */
export function compareIdentities(left: ClaimIdentity, right: ClaimIdentity): number {
  const difference = left.incarnation - right.incarnation;
  return difference === 0 ? compareBytes(left.nonce, right.nonce) : difference;
}

/** Whether both name the same claim. */
export function isSameClaim(left: ClaimIdentity, right: ClaimIdentity): boolean {
  return compareIdentities(left, right) === 0;
}
