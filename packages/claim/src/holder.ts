/** A claim in words, so that a refusal can name who holds the device. */
import { hexOfBytes } from '@dozo/base';
import type { Slot } from './slot.ts';

/** One line for people: who, where, since when, under which incarnation. */
export function describeClaim(slot: Slot): string {
  const { holder } = slot;
  const pod = holder.podName === undefined ? '' : `, pod ${holder.podName}`;
  const since = new Date(slot.sinceWallMs).toISOString();
  return (
    `process ${holder.processId} on host ${holder.host}${pod} ` +
    `(dozo ${holder.softwareVersion}, ${slot.state} since ${since}, ` +
    `incarnation ${slot.identity.incarnation}, ` +
    `nonce ${hexOfBytes(slot.identity.nonce).slice(0, 8)})`
  );
}
