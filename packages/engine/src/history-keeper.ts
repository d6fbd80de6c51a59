/**
 * What the manifests of this claim remember of other claims, and when it has effect.
 *
 * A note takes the place of a fence in memory at once; then in a manifest; when that is durable and a
 * slot that points at it was flushed, the account forgives the claim and its segments are free again.
 * So wherever a start begins, either the quarantine still holds or the note is there.
 */
import { isSameClaim } from '@dozo/claim';
import type { Claim, ClaimIdentity } from '@dozo/claim';
import { encodeHistory, withNote } from './claim-history.ts';
import type { ClaimHistory, ZombieNote } from './claim-history.ts';
import { segmentsOf } from './fences.ts';
import type { SegmentTable } from './segment-table.ts';

/** See the file comment. */
export class HistoryKeeper {
  readonly #claim: Pick<Claim, 'forgive' | 'quarantined'>;
  readonly #segments: SegmentTable;
  #current: ClaimHistory;
  /** In the newest manifest, on its way or durable; in the newest durable one; in the slot's. */
  #written: ClaimHistory;
  #durable: ClaimHistory;
  #inSlot: ClaimHistory;
  #sizeBytes: number;
  #deaths: readonly Pick<ZombieNote, 'identity' | 'proof'>[] = [];

  constructor(
    claim: Pick<Claim, 'forgive' | 'quarantined'>,
    segments: SegmentTable,
    found: ClaimHistory,
  ) {
    this.#claim = claim;
    this.#segments = segments;
    this.#current = found;
    this.#written = found;
    this.#durable = found;
    this.#inSlot = found;
    this.#sizeBytes = encodeHistory(found).length;
  }

  /** Fences and notes as the next manifest tells them. */
  get current(): ClaimHistory {
    return this.#current;
  }

  /** What they take in a manifest. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The claim of a fence is dead, and this is what it wrote. */
  addNote(note: ZombieNote): void {
    const { fences, notes } = this.#current;
    this.#deaths = [...this.#deaths, note];
    const isNoted = notes.some(({ identity }) => isSameClaim(identity, note.identity));
    this.#current = {
      fences: fences.filter(({ identity }) => !isSameClaim(identity, note.identity)),
      notes: isNoted ? notes : withNote(notes, note),
    };
    this.#sizeBytes = encodeHistory(this.#current).length;
  }

  /**
   * Frees at once what only claims with a note had reserved: for a start that finds no other segment to
   * write that note in. A crash on the way costs what there was to see of them, and nothing else.
   */
  freeNoted(): void {
    this.#segments.setQuarantined(segmentsOf(this.#current.fences, this.#segments.count));
  }

  /** It has been encoded into a manifest. */
  wroteManifest(): void {
    this.#written = this.#current;
  }

  /** The group that was under construction is durable, with its manifest if it had one. */
  groupIsDurable(): void {
    this.#durable = this.#written;
  }

  /** Before a slot is written: what its account may say. */
  beforeSlot(): void {
    const { fences } = this.#durable;
    const isFenced = (identity: ClaimIdentity): boolean =>
      fences.some((fence) => isSameClaim(fence.identity, identity));
    for (const { identity, proof } of this.#deaths) {
      if (isFenced(identity)) continue;
      const isUnforgiven = this.#claim.quarantined.some((slot) =>
        isSameClaim(slot.identity, identity),
      );
      if (isUnforgiven && proof !== 'unknown') this.#claim.forgive(identity, proof);
    }
    this.#deaths = this.#deaths.filter(({ identity }) => isFenced(identity));
  }

  /** A slot that points at the newest durable manifest is durable. */
  slotIsDurable(): void {
    if (this.#inSlot === this.#durable) return;
    this.#inSlot = this.#durable;
    this.#segments.setQuarantined(segmentsOf(this.#durable.fences, this.#segments.count));
  }
}
