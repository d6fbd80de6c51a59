/** What one run of the model explores: how much of the world there is, and which rule is left out. */

/** What a claimant does with the disk once it has entered, one after the other. */
export type Deed =
  /** Reads the checkpoint and follows the log, one segment after the other. */
  | 'recover'
  /** Reserves one more segment: writes the slot, looks at the ring. */
  | 'reserve'
  /** The first record: a manifest that says how far what was found is valid. */
  | 'fence'
  /** Writes the slot: the newest manifest, and a reservation without segments that are closed. */
  | 'point'
  /** A record. */
  | 'append'
  /** Goes on in the next reserved segment: a manifest there names the end of the one before. */
  | 'seal'
  /** A manifest without the oldest closed segment: all in it was deleted. */
  | 'drop';

/** A rule that is left out, to see that the model notices. */
export type Omission =
  | 'no look after the claim'
  | 'no look after a reservation'
  | 'predecessors not excluded'
  | 'one block in a slot'
  | 'one slot without settling'
  | 'beats before the first look'
  | 'slots of the living reused'
  | 'every loser says stopped'
  | 'damaged blocks looked at once'
  | 'reserved again before the checkpoint'
  | 'stopped while still writing';

/** The bounds of one run. */
export interface ModelConfig {
  readonly claimants: number;
  readonly slotCount: number;
  readonly segmentCount: number;
  /** `old`: the ring has a claim that has closed, with a record, and one that had stopped. */
  readonly ring: 'empty' | 'old';
  readonly deeds: readonly Deed[];
  /**
   * `block` (default): each block is read by itself, and unreadable while it is written. `slot`: both
   * blocks of a slot are read at once, and a write is one step.
   */
  readonly grain?: 'block' | 'slot';
  /** `any` (default): a claimant may draw each reusable slot. `own`: the one with its number. */
  readonly draw?: 'any' | 'own';
  /** So many claimants may be killed, each at any step, and others know of it. Default 0. */
  readonly kills?: number;
  readonly without?: Omission;
  /** Give up beyond so many states. Default: none. */
  readonly statesMax?: number;
}
