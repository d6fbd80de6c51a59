/** A claim in words, so that a refusal can name who holds the device. */
import { hexOfBytes } from '@dozo/base';
import type { Slot } from './slot.ts';

/** One line for people: who, where, since when, last seen when, under which incarnation. */
export function describeClaim(slot: Slot): string {
  const { holder } = slot;
  const name = holder.name === undefined ? '' : `${holder.name}, `;
  const pod = holder.podName === undefined ? '' : `, pod ${holder.podName}`;
  const since = new Date(slot.sinceWallMs).toISOString();
  const lastBeat = new Date(slot.lastWallMs).toISOString();
  return (
    `${name}process ${holder.processId} on host ${holder.host}${pod} ` +
    `(dozo ${holder.softwareVersion}, ${slot.state} since ${since}, last beat ${lastBeat}, ` +
    `incarnation ${slot.identity.incarnation}, ` +
    `nonce ${hexOfBytes(slot.identity.nonce).slice(0, 8)})`
  );
}
