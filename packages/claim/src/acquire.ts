/**
 * Taking a claim: look at the ring, watch whoever may hold a lease, write the claim, look again.
 *
 * The kernel's lock (layer L1) was taken when the device was opened, or not at all. What follows needs
 * no lock, and holds between two machines as between two paths on one. The order of the steps and the
 * reasons for it are told in `watch.ts` and `tenure.ts`.
 *
 * A claimant that loses to a higher claim says `stopped` in its slot, so that nobody has to think of it
 * any more. It may do so only when the slot cannot be taken by somebody else meanwhile (`stopping.ts`).
 */
import { assert, sleep } from '@dozo/base';
import type { Clock, Device, Random } from '@dozo/base';
import { assessRing } from './assess.ts';
import type { Assessment, Witness } from './assess.ts';
import { Claim } from './claim.ts';
import { refuseIntervals, watchMsOf } from './claim-settings.ts';
import type { ClaimSettings } from './claim-settings.ts';
import type { ClaimSwitches } from './claim-switches.ts';
import { ClaimError, claimHeld, ringDamaged, ringFull } from './errors.ts';
import { isSameClaim } from './identity.ts';
import { COLLISIONS_MAX, QUICK_SETTLE_MS } from './limits.ts';
import { RingReader } from './ring.ts';
import type { Ring, RingPlace } from './ring.ts';
import type { Holder, Slot } from './slot.ts';
import { mayStop, namingOf } from './stopping.ts';
import type { Naming } from './stopping.ts';
import { newTenure } from './tenure.ts';
import { beginWatch, judgeWatch } from './watch.ts';
import type { Watch } from './watch.ts';

/** What a claimant brings along. */
export interface AcquireOptions {
  /** Opened; its lock identity is what the kernel's word is drawn from. */
  readonly device: Device;
  readonly place: RingPlace;
  readonly settings: ClaimSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly holder: Holder;
  /** Wait until the claim is free instead of refusing. Default false. */
  readonly wait?: boolean;
  /** Told what is waited for; at most a few times in each lease. */
  readonly onProgress?: (progress: ClaimProgress) => void;
  /** Ends the waiting: rejects with its reason. */
  readonly signal?: AbortSignal;
  /**
   * An operator's word that the process of this claim is dead. Asked once, for the claims that stand on
   * the ring at first; one that writes anything afterwards is not dead, whatever was said of it.
   */
  readonly deadByWord?: (slot: Slot) => boolean;
  /** For tests and demonstrations. */
  readonly switches?: ClaimSwitches;
}

/** What a claimant is doing. */
export type ClaimProgress =
  /** It watches whether this holder still lives; if not, it goes on after at most `watchMs`. */
  | { readonly kind: 'watching'; readonly holder: Slot; readonly watchMs: number }
  /** This holder lives, and it waits for its end. */
  | { readonly kind: 'held'; readonly holder: Slot }
  /** Its own claim stands; it waits out a lease that may have been renewed meanwhile. */
  | { readonly kind: 'waiting-out'; readonly holder: Slot; readonly waitMs: number };

/**
 * Takes the claim of a device.
 *
 * Rejects with `CLAIM_HELD`, `CLAIM_RING_DAMAGED`, `CLAIM_RING_FULL`, `CLAIM_QUARANTINE_FULL`,
 * `CLAIM_SETTINGS_INVALID`, the device's errors, and the signal's reason.
 */
export function acquireClaim(options: AcquireOptions): Promise<Claim> {
  const { beatIntervalMs, leaseMs } = options.settings;
  const reason = refuseIntervals(beatIntervalMs, leaseMs);
  if (reason !== undefined) {
    const message = `Taking the claim of ${options.device.path}: ${reason}.`;
    const detail = { code: 'CLAIM_SETTINGS_INVALID', reason } as const;
    return Promise.reject(new ClaimError(message, detail));
  }
  return new Acquisition(options).run();
}

/** What was seen before a claim is written. */
interface View {
  readonly ring: Ring;
  readonly assessment: Assessment;
  readonly watch: Watch;
}

class Acquisition {
  readonly #options: AcquireOptions;
  readonly #switches: ClaimSwitches;
  readonly #reader: RingReader;
  /** What we know without anybody's word. */
  readonly #eyes: Witness;
  readonly #witness: Witness;
  readonly #watchMs: number;
  /** The claims that an operator called dead, as they stood when he was asked. */
  #dead: readonly Slot[] | undefined;

  constructor(options: AcquireOptions) {
    const { device, place, holder, settings } = options;
    this.#options = options;
    this.#switches = options.switches ?? {};
    this.#reader = new RingReader(device, place);
    this.#watchMs = watchMsOf(settings);
    this.#eyes = {
      bootId: holder.bootId,
      ...(holder.machineId === undefined ? {} : { machineId: holder.machineId }),
      lockIdentity: device.lockIdentity,
      isLocal: settings.isLocal,
    };
    this.#witness = { ...this.#eyes, deadByWord: (slot) => this.#isDeadByWord(slot) };
  }

  async run(): Promise<Claim> {
    let collisionCount = 0;
    for (;;) {
      const view = await this.#waitUntilFree();
      const claim = this.#newClaim(view);
      try {
        await claim.start();
        await this.#enter(claim, view);
        return claim;
      } catch (error) {
        const { end } = claim.tenure;
        if (end === undefined || error !== claim.failure) {
          await this.#giveUp(claim);
          throw error;
        }
        if (end.kind !== 'fenced') {
          claim.abandon();
          if (end.kind === 'blinded' || ++collisionCount >= COLLISIONS_MAX) throw error;
          continue;
        }
        await this.#lose(claim);
        if (this.#options.wait !== true) throw claimHeld(this.#options.device.path, end.by);
        this.#options.onProgress?.({ kind: 'held', holder: end.by });
      }
    }
  }

  /**
   * Watches until nobody can hold a lease any more. Also those whom a person calls dead: he may have
   * said so of a process that lives, or say so at every start.
   */
  async #waitUntilFree(): Promise<View> {
    const { clock, signal } = this.#options;
    signal?.throwIfAborted();
    let ring = await this.#read();
    this.#dead ??= this.#deadByWord(ring);
    let seen = this.#assess(ring, this.#eyes);
    let watch = beginWatch(seen, clock.monotonicMs());
    if (this.#switches.skipWatch === true) return this.#viewOf(ring, watch);
    const [first] = seen.leaseholders;
    if (first !== undefined) this.#reportWatching(first.slot);
    let untilMs = watch.sinceMs + this.#watchMs;
    while (seen.leaseholders.length > 0) {
      await this.#pause(untilMs);
      const begunMs = clock.monotonicMs();
      ring = await this.#read();
      seen = this.#assess(ring, this.#eyes);
      const time = { begunMs, nowMs: clock.monotonicMs(), watchMs: this.#watchMs };
      const verdict = judgeWatch(watch, seen, time);
      if (verdict.kind === 'free') break;
      if (verdict.kind === 'wait') continue;
      if (verdict.kind === 'held') this.#refuseOrReport(verdict.holder);
      else this.#reportWatching(verdict.holder);
      watch = verdict.watch;
      untilMs = watch.sinceMs + this.#watchMs;
    }
    return this.#viewOf(ring, watch);
  }

  #viewOf(ring: Ring, watch: Watch): View {
    return { ring, assessment: this.#assess(ring, this.#witness), watch };
  }

  #deadByWord(ring: Ring): readonly Slot[] {
    const { deadByWord } = this.#options;
    if (deadByWord === undefined) return [];
    return ring.slots.flatMap(({ slot }) => (slot !== undefined && deadByWord(slot) ? [slot] : []));
  }

  #isDeadByWord({ identity, writeCounter }: Slot): boolean {
    const known = this.#dead?.find((slot) => isSameClaim(slot.identity, identity));
    return known?.writeCounter === writeCounter;
  }

  #newClaim({ ring, assessment, watch }: View): Claim {
    const { device, place, settings, clock, random, holder } = this.#options;
    const { reusable, nextIncarnation: incarnation } = assessment;
    if (reusable.length === 0) throw ringFull(device.path, place.slotCount);
    // At least half of the ring to draw from; beyond that, what the ring still tells of the past stays.
    const neverWrittenCount = place.slotCount - ring.slots.length;
    const wantedCount = Math.max(neverWrittenCount, Math.ceil(place.slotCount / 2));
    const slotIndex = reusable[random.below(Math.min(wantedCount, reusable.length))] as number;
    const before = ring.slots.find(({ index }) => index === slotIndex);
    const wallMs = clock.wallMs();
    const slot: Slot = {
      deviceId: place.deviceId,
      identity: { incarnation, nonce: random.bytes(16) },
      writeCounter: before?.slot?.writeCounter ?? 0,
      state: 'claiming',
      holder,
      lockIdentity: device.lockIdentity,
      beatCounter: 0,
      beatIntervalMs: settings.beatIntervalMs,
      sinceWallMs: wallMs,
      lastWallMs: wallMs,
      reservation: [],
    };
    const nextBlock = before?.validBlock === 0 ? 1 : 0;
    // Counted from now on: the write itself only adds to it.
    const settleUntilMs = clock.monotonicMs() + this.#settleMs(ring);
    const tenure = newTenure({ slot, slotIndex, nextBlock, settleUntilMs });
    const rules = {
      slotCount: place.slotCount,
      witness: this.#witness,
      sightings: watch.sightings,
      watchMs: this.#watchMs,
    };
    const [reader, switches] = [this.#reader, this.#switches];
    return new Claim({ device, place, settings, clock, reader, rules, switches }, tenure);
  }

  /** How long a write of another claimant to the same slot may take to land. */
  #settleMs(ring: Ring): number {
    const { settings, holder } = this.#options;
    if (this.#switches.skipSettle === true) return 0;
    const newest = ring.newest;
    const { lockIdentity } = this.#eyes;
    // Without its lock the kernel arbitrates between nobody, wherever the device is.
    const isLocked = lockIdentity.kind !== 'none';
    if (settings.isLocal && isLocked) return 0;
    const isOurPath =
      newest !== undefined &&
      isLocked &&
      newest.holder.bootId === holder.bootId &&
      newest.lockIdentity.kind === lockIdentity.kind &&
      newest.lockIdentity.name === lockIdentity.name;
    return isOurPath ? Math.min(QUICK_SETTLE_MS, settings.beatIntervalMs) : settings.beatIntervalMs;
  }

  async #enter(claim: Claim, { ring }: View): Promise<void> {
    const { clock, signal } = this.#options;
    if (this.#switches.skipReadAfterClaim === true) {
      claim.settle(ring);
      return;
    }
    let reported: Slot | undefined;
    for (;;) {
      const { entry } = claim.tenure;
      if (entry.kind === 'entered') break;
      const waitMs = Math.max(0, entry.untilMs - clock.monotonicMs());
      if (entry.kind === 'waiting' && reported !== entry.holder) {
        reported = entry.holder;
        this.#options.onProgress?.({ kind: 'waiting-out', holder: entry.holder, waitMs });
      }
      if (waitMs > 0) await sleep(clock, waitMs, signal);
      await claim.look();
      if (claim.failure !== undefined) throw claim.failure;
    }
    const { entry } = claim.tenure;
    assert(entry.kind === 'entered', 'the claim was entered');
    claim.settle(entry.ring);
    // The waiting may have taken as long as a lease.
    await claim.checkLease();
  }

  /** The claim is not wanted any more, by nobody's fault. */
  async #giveUp(claim: Claim): Promise<void> {
    if (claim.failure === undefined && claim.tenure.confirmed !== undefined) {
      await claim.stop().catch(() => undefined);
    } else {
      claim.abandon();
    }
  }

  /** A higher claim stands there. */
  async #lose(claim: Claim): Promise<void> {
    const { clock, signal } = this.#options;
    // Confirmed once: our claim stood on the ring before the higher one did, and that one has seen it.
    let isSafe = claim.tenure.confirmed !== undefined;
    const giveUpMs = clock.monotonicMs() + 2 * this.#watchMs;
    let earlier: Naming | undefined;
    while (!isSafe && clock.monotonicMs() < giveUpMs) {
      await sleep(clock, this.#options.settings.beatIntervalMs, signal);
      const naming = namingOf(await this.#reader.read(), claim.identity);
      if (naming.verdict === 'not-named') break;
      isSafe = mayStop(earlier, naming);
      earlier = naming;
    }
    if (isSafe) await claim.stop().catch(() => undefined);
    else claim.abandon();
  }

  #assess(ring: Ring, witness: Witness): Assessment {
    return assessRing(ring, this.#options.place.slotCount, witness);
  }

  async #read(): Promise<Ring> {
    const ring = await this.#reader.read();
    if (ring.lostSlots.length > 0) throw ringDamaged(this.#options.device.path, ring.lostSlots);
    return ring;
  }

  /** Until the next look: a beat interval, or less when the watch is over before. */
  async #pause(untilMs: number): Promise<void> {
    const { clock, settings, signal } = this.#options;
    const leftMs = Math.max(0, untilMs - clock.monotonicMs());
    await sleep(clock, Math.min(settings.beatIntervalMs, leftMs), signal);
  }

  #reportWatching(holder: Slot): void {
    this.#options.onProgress?.({ kind: 'watching', holder, watchMs: this.#watchMs });
  }

  #refuseOrReport(holder: Slot): void {
    if (this.#options.wait !== true) throw claimHeld(this.#options.device.path, holder);
    this.#options.onProgress?.({ kind: 'held', holder });
  }
}
