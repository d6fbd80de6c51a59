/**
 * A claim that stands on the ring: its beats, its slot, and the question whether it still counts.
 *
 * The shell around `tenure.ts`: it writes the slot, reads the ring, and asks the core what that means.
 * Writes of the slot follow one another; a look at the ring may be on its way while the slot is
 * written. A beat is a write of the slot and then a look at the ring, by itself every beat interval;
 * any other write that is confirmed counts as one.
 *
 * It decides nothing by a clock but this: a write to the device that finds the lease lapsed waits for
 * a beat that succeeds. Whoever slept finds out there, before it writes, that it was taken over.
 */
import { assert } from '@dozo/base';
import type { Clock, Device, Timer } from '@dozo/base';
import { assessRing, proofOf } from './assess.ts';
import type { Assessment } from './assess.ts';
import type { ClaimSettings } from './claim-settings.ts';
import type { ClaimSwitches } from './claim-switches.ts';
import { claimFenced, claimLost, claimReleased, quarantineFull, ringDamaged } from './errors.ts';
import type { ClaimError } from './errors.ts';
import { isSameClaim } from './identity.ts';
import {
  DEATHS_MAX,
  QUARANTINED_CLAIMS_MAX,
  RENEWAL_LEASES_MAX,
  RESERVATION_SEGMENTS_MAX,
  SLOT_BLOCK_BYTES,
} from './limits.ts';
import type { Ring, RingPlace, RingReader } from './ring.ts';
import { encodeSlot } from './slot.ts';
import type { Account, ClaimIdentity, DeathProof, Slot } from './slot.ts';
import { beginRead, beginWrite, endRead, endWrite, failWrite, isInsideLease } from './tenure.ts';
import type { EntryRules, Moment, SlotChange, Tenure, TenureEnd } from './tenure.ts';

/** What a holder may change in its slot; what is left out stays as it was. */
export type ClaimChange = Omit<SlotChange, 'account'>;

/** What a claim is made of. Made by `acquireClaim`. */
export interface ClaimParts {
  readonly device: Device;
  readonly place: RingPlace;
  readonly settings: ClaimSettings;
  readonly clock: Clock;
  readonly reader: RingReader;
  readonly rules: EntryRules;
  readonly switches: ClaimSwitches;
}

/** See the file comment. Methods may be called at any time and in any number. */
export class Claim {
  readonly settings: ClaimSettings;
  readonly identity: ClaimIdentity;
  readonly #parts: ClaimParts;
  #tenure: Tenure;
  #failure: ClaimError | undefined;
  #isClosed = false;
  #writes: Promise<unknown> = Promise.resolve();
  #looking: Promise<void> | undefined;
  #beating: Promise<void> | undefined;
  #timer: Timer | undefined;
  #startedMs = 0;
  /** The last tick of the timer, and since when there has been no gap between ticks. */
  #tickMs = 0;
  #awakeSinceMs = 0;
  #assessment: Assessment | undefined;
  #ring: Ring | undefined;
  #quarantined: readonly Slot[] = [];
  #deaths: Account['deaths'] = [];
  #isAccountStale = false;
  readonly #endListeners: ((error: ClaimError) => void)[] = [];
  /** Those who wait for a beat. They leave when it is over: a holder may sleep often. */
  readonly #renewing = new Set<(error: ClaimError) => void>();
  readonly #deathListeners: ((slot: Slot, proof: DeathProof) => void)[] = [];
  readonly #toldDead = new Set<Slot>();

  /** For `acquireClaim`. */
  constructor(parts: ClaimParts, tenure: Tenure) {
    this.#parts = parts;
    this.#tenure = tenure;
    this.settings = parts.settings;
    this.identity = tenure.slot.identity;
  }

  /** The slot as it was last written, or is being written. */
  get slot(): Slot {
    return this.#tenure.slot;
  }

  /** The state of the core. */
  get tenure(): Tenure {
    return this.#tenure;
  }

  /** The ring as it was read past every cache when this claim was entered. */
  get ring(): Ring {
    assert(this.#ring !== undefined, 'the claim has not been entered');
    return this.#ring;
  }

  /** The newest lower claim with a checkpoint: recovery starts there, and only there. */
  get recoverFrom(): Slot | undefined {
    return this.#assessment?.recoverFrom;
  }

  /**
   * Lower claims that are not proved dead, as they were when this claim was entered: nobody may write
   * to the segments in their reservations.
   */
  get quarantined(): readonly Slot[] {
    return this.#quarantined;
  }

  /** Proofs of death that this claim has drawn, oldest first. */
  get deaths(): Account['deaths'] {
    return this.#deaths;
  }

  /**
   * `CLAIM_FENCED`, `CLAIM_LOST` or `CLAIM_RING_DAMAGED` once the claim is over although nobody gave it
   * back.
   */
  get failure(): ClaimError | undefined {
    return this.#failure;
  }

  /** Ms until the lease is over, at most 0 when it is. What a guard sets its alarm by. */
  get leaseLeftMs(): number {
    const { confirmed } = this.#tenure;
    const now = this.#now();
    if (this.#failure !== undefined || confirmed === undefined) return 0;
    if (!isInsideLease(this.#tenure, this.settings, now)) return 0;
    return confirmed.begun.monotonicMs + this.settings.leaseMs - now.monotonicMs;
  }

  /** Calls back once, when the claim is fenced or lost; at once when it is already. */
  onEnd(callback: (error: ClaimError) => void): void {
    if (this.#failure === undefined) this.#endListeners.push(callback);
    else callback(this.#failure);
  }

  /** Calls back when a quarantined claim has shown that its process stopped; once for each. */
  onDeath(callback: (slot: Slot, proof: DeathProof) => void): void {
    this.#deathListeners.push(callback);
  }

  /**
   * To be asked before each write to the device.
   *
   * @returns `undefined` inside the lease. Otherwise the process slept, or the disk is slow: a promise
   *   that resolves after a beat that succeeded, and rejects with `CLAIM_FENCED`, `CLAIM_LOST` or
   *   `CLAIM_RELEASED`.
   */
  checkLease(): Promise<void> | undefined {
    if (this.#failure === undefined && !this.#isClosed) {
      if (this.#parts.switches.skipLeaseCheck === true) return undefined;
      if (isInsideLease(this.#tenure, this.settings, this.#now())) return undefined;
    }
    return this.#renew();
  }

  /**
   * Writes the slot with a change; durable when it resolves. What it adds to the reservation may be
   * used after {@link confirm}. Rejects with `CLAIM_FENCED`, `CLAIM_LOST`, `CLAIM_RELEASED`.
   */
  async update(change: ClaimChange): Promise<void> {
    assert(
      (change.reservation?.length ?? 0) <= RESERVATION_SEGMENTS_MAX,
      'the reservation is too long',
    );
    this.#refuseIfOver();
    await this.#write(change);
  }

  /**
   * Resolves when a look at the ring that was begun after the last resolved {@link update} has shown no
   * higher claim. Rejects with `CLAIM_FENCED` or `CLAIM_LOST`.
   */
  async confirm(): Promise<void> {
    if (this.#parts.switches.skipReadAfterReservation === true) return;
    await this.#confirmThrough(this.#tenure.written?.counter ?? 0);
  }

  /**
   * A quarantined claim is proved dead, and what it wrote is recorded: the account says so with the
   * next {@link update}, after which its segments may be used.
   */
  forgive(identity: ClaimIdentity, proof: DeathProof): void {
    this.#quarantined = this.#quarantined.filter((slot) => !isSameClaim(slot.identity, identity));
    this.#deaths = [...this.#deaths, { identity, proof }].slice(-DEATHS_MAX);
    this.#isAccountStale = true;
  }

  /** Gives the claim back: everything was flushed. Nothing is written afterwards. */
  async release(change: ClaimChange = {}): Promise<void> {
    this.#refuseIfOver();
    this.#endBeats();
    await this.#beating?.catch(() => undefined);
    this.#refuseIfOver();
    await this.#write({ ...change, state: 'released' });
    this.#isClosed = true;
  }

  /**
   * Says that this process, which was fenced, will not write again. Only after a last successful
   * flush, and never with a write of unknown outcome. Does nothing when the slot is not ours any more.
   */
  async stop(): Promise<void> {
    this.#endBeats();
    await this.#beating?.catch(() => undefined);
    await this.#note({ state: 'stopped' });
    this.#isClosed = true;
  }

  /** Writes something that others should know, also when the claim is over; it may fail. */
  async note(change: Pick<ClaimChange, 'failedFlush' | 'logEnd'>): Promise<void> {
    await this.#note(change);
  }

  /** Ends the beats and writes nothing: what the slot says stays, as after a crash. */
  abandon(): void {
    this.#endBeats();
    this.#isClosed = true;
  }

  /** For `acquireClaim`: the first write, and from then on the beats. */
  async start(): Promise<void> {
    this.#startedMs = this.#parts.clock.monotonicMs();
    await this.#write({});
    this.#schedule();
  }

  /** For `acquireClaim`: looks at the ring. */
  async look(): Promise<void> {
    await this.#look();
  }

  /**
   * For `acquireClaim`: takes what the ring showed when the claim was entered for what everything
   * starts from. Throws `CLAIM_QUARANTINE_FULL`.
   */
  settle(ring: Ring): void {
    const { place, rules, device } = this.#parts;
    const assessment = assessRing(ring, place.slotCount, rules.witness, this.identity);
    const quarantinedCount = assessment.unproven.length;
    if (quarantinedCount > QUARANTINED_CLAIMS_MAX) {
      throw quarantineFull(device.path, quarantinedCount);
    }
    if (this.#parts.switches.skipReadAfterClaim === true) this.#confirmUnseen();
    this.#ring = ring;
    this.#assessment = assessment;
    this.#quarantined = assessment.unproven.map(({ slot }) => slot);
    this.#deaths = assessment.deaths.slice(-DEATHS_MAX);
    this.#isAccountStale = true;
  }

  #now(): Moment {
    const { clock } = this.#parts;
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  }

  /** Writes of the slot follow one another, and each says all that is known when it begins. */
  #write(change: SlotChange, isLast = false): Promise<void> {
    const write = this.#writes.then(async () => {
      if (!isLast) this.#refuseIfOver();
      const { device, place } = this.#parts;
      const isAccountDue = this.#isAccountStale;
      const account = isAccountDue ? { account: this.#account() } : {};
      this.#isAccountStale = false;
      this.#tenure = beginWrite(this.#tenure, { ...change, ...account }, this.#now());
      const { slot, slotIndex, nextBlock } = this.#tenure;
      const blockNumber = 2 * slotIndex + nextBlock;
      const offset = place.offset + blockNumber * SLOT_BLOCK_BYTES;
      try {
        await device.writeUncached(offset, [encodeSlot(slot, blockNumber)]);
      } catch (error) {
        this.#tenure = failWrite(this.#tenure);
        this.#isAccountStale ||= isAccountDue;
        this.#lose('its slot cannot be written.', error);
        throw error;
      }
      this.#tenure = endWrite(this.#tenure);
    });
    this.#writes = write.catch(() => undefined);
    return write;
  }

  #account(): Account {
    return { quarantined: this.#quarantined.map(({ identity }) => identity), deaths: this.#deaths };
  }

  async #note(change: SlotChange): Promise<void> {
    // A slot that is somebody else's by now is left alone.
    const { end } = this.#tenure;
    if (this.#isClosed || (end !== undefined && end.kind !== 'fenced')) return;
    await this.#write(change, true);
  }

  async #confirmThrough(counter: number): Promise<void> {
    for (;;) {
      this.#refuseIfOver();
      if ((this.#tenure.confirmed?.counter ?? -1) >= counter) return;
      await this.#look();
    }
  }

  /** One look at the ring at a time; whoever comes meanwhile waits for the same one. */
  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const { reader, rules, clock } = this.#parts;
    this.#tenure = beginRead(this.#tenure, clock.monotonicMs());
    let ring: Ring;
    try {
      ring = await reader.read();
    } catch (error) {
      this.#lose('the claim ring cannot be read.', error);
      throw error;
    }
    this.#tenure = endRead(this.#tenure, ring, clock.monotonicMs(), rules);
    const { end } = this.#tenure;
    if (end !== undefined) this.#end(this.#errorOf(end));
    else this.#noticeDeaths(ring);
  }

  #errorOf(end: TenureEnd): ClaimError {
    const { path } = this.#parts.device;
    if (end.kind === 'blinded') return ringDamaged(path, end.lostSlots);
    if (end.by !== undefined && isSameClaim(end.by.identity, this.identity)) {
      return claimLost(path, 'its slot does not show what was written there last.');
    }
    return claimFenced(path, end.by);
  }

  #noticeDeaths(ring: Ring): void {
    for (const known of this.#quarantined) {
      const seen = ring.slots.find(
        ({ slot }) => slot !== undefined && isSameClaim(slot.identity, known.identity),
      )?.slot;
      if (seen === undefined || this.#toldDead.has(known)) continue;
      const proof = proofOf(seen, this.#parts.rules.witness);
      if (proof === undefined) continue;
      this.#toldDead.add(known);
      for (const tell of this.#deathListeners) tell(known, proof);
    }
  }

  #beat(): Promise<void> {
    this.#beating ??= this.#beatOnce().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  async #beatOnce(): Promise<void> {
    if (this.#parts.switches.readBeforeBeat === true) {
      await this.#look();
      await this.#write({});
      this.#confirmUnseen();
      return;
    }
    await this.#write({});
    await this.#confirmThrough(this.#tenure.written?.counter ?? 0);
  }

  /** For switches that leave a look out: lets the newest write count although nobody has looked. */
  #confirmUnseen(): void {
    const { written } = this.#tenure;
    if (written !== undefined) this.#tenure = { ...this.#tenure, confirmed: written };
  }

  /** Beats until the lease counts again. */
  async #renew(): Promise<void> {
    for (;;) {
      this.#refuseIfOver();
      if (isInsideLease(this.#tenure, this.settings, this.#now())) return;
      await this.#unlessOver(this.#beat());
    }
  }

  /** A disk that hangs must not keep those waiting who could be told that the claim is lost. */
  #unlessOver(work: Promise<void>): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#renewing.add(reject);
      work.then(resolve, reject).finally(() => this.#renewing.delete(reject));
    });
  }

  #schedule(): void {
    if (this.#isClosed || this.#failure !== undefined) return;
    if (this.#parts.switches.skipBeats === true) return;
    const { beatIntervalMs } = this.settings;
    const sinceMs = this.#tenure.confirmed?.begun.monotonicMs ?? this.#startedMs;
    const dueMs = sinceMs + beatIntervalMs - this.#parts.clock.monotonicMs();
    const isUnderWay = this.#beating !== undefined;
    const delayMs = isUnderWay || dueMs <= 0 ? beatIntervalMs / 4 : dueMs;
    this.#timer = this.#parts.clock.startTimer(delayMs, () => {
      this.#tick();
      this.#schedule();
    });
  }

  #tick(): void {
    // Before the second look the slot may be somebody else's by now.
    const { confirmed } = this.#tenure;
    if (confirmed === undefined) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const { beatIntervalMs, leaseMs } = this.settings;
    const sinceMs = confirmed.begun.monotonicMs;
    // A process that slept counts from its waking: the beat that was on its way may get through yet.
    if (nowMs - this.#tickMs > leaseMs) this.#awakeSinceMs = nowMs;
    this.#tickMs = nowMs;
    if (this.#beating === undefined) {
      if (nowMs - sinceMs < beatIntervalMs) return;
      // What went wrong has ended the claim; whoever waits is told there.
      this.#beat().catch(() => undefined);
      return;
    }
    const waitedMs = nowMs - Math.max(sinceMs, this.#awakeSinceMs);
    if (waitedMs > RENEWAL_LEASES_MAX * leaseMs) {
      this.#lose(`no beat has got through for ${Math.round(waitedMs)} ms.`, undefined);
    }
  }

  #lose(reason: string, cause: unknown): void {
    const { path } = this.#parts.device;
    const detail = cause instanceof Error ? ` ${cause.message}` : '';
    this.#end(claimLost(path, `${reason}${detail}`, cause));
  }

  #end(error: ClaimError): void {
    if (this.#failure !== undefined || this.#isClosed) return;
    this.#failure = error;
    this.#endBeats();
    for (const tell of this.#renewing) tell(error);
    for (const tell of this.#endListeners.splice(0)) tell(error);
  }

  #endBeats(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #refuseIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosed) throw claimReleased(this.#parts.device.path);
  }
}
