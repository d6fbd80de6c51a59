/**
 * A process on a simulated host: what it sees of time, and that it can be stopped and killed.
 *
 * Its monotonic clock runs at a rate of its own over the virtual time that all share, its wall clock
 * jumps by itself. While it is paused (SIGSTOP, a frozen container, a suspended machine) it executes
 * nothing: timers that expire and completions of its devices are held back and delivered one by one, in
 * order, once it is resumed, and an operation that it was about to begin begins then. What the kernel
 * had already been told to write reaches the disk all the same, and time goes on for everybody else.
 *
 * Code that a pause meets between two waits runs on to its next wait: JavaScript cannot be stopped in
 * between. As every operation waits for the resumption, that is a process stopped just before it.
 */
import { assert } from '@dozo/base';
import type { Clock, Timer } from '@dozo/base';

import type { SimulatedClock } from './simulated-clock.ts';

/** Held callbacks of a resumed process are up to so far apart, in ms of virtual time. */
const RESUME_STEP_MS_MAX = 0.1;
/** Keeps rounding from making a timer early on the process's own clock; 1 ns. */
const TIMER_MARGIN_MS = 1e-6;

export interface SimulatedProcessOptions {
  /** How much faster its clocks run than virtual time: 0.01 gains 10 ms each second. Default 0. */
  readonly driftRate?: number;
  /** Monotonic time at virtual time 0. Default 0. */
  readonly monotonicOffsetMs?: number;
  /** What its wall clock is ahead of the simulation's. Default 0. */
  readonly wallOffsetMs?: number;
}

/** What becomes of operations that a killed process has under way. */
export type InFlight = 'lost' | 'lands';

/** A process's {@link Clock}. Devices that are opened with it stop and end together with it. */
export class SimulatedProcess implements Clock {
  /** The virtual time under it. */
  readonly clock: SimulatedClock;
  readonly #rate: number;
  readonly #monotonicOffsetMs: number;
  readonly #startMs: number;
  readonly #wallAtStartMs: number;
  readonly #onKill: ((inFlight: InFlight) => void)[] = [];
  #wallJumpedMs = 0;
  /** Virtual time that its monotonic clock has not counted. */
  #uncountedMs = 0;
  /** Since when its monotonic clock stands, in virtual time. */
  #stoodSinceMs: number | undefined;
  #held: (() => void)[] = [];
  #isDraining = false;
  #state: 'running' | 'paused' | 'killed' = 'running';

  constructor(clock: SimulatedClock, options: SimulatedProcessOptions = {}) {
    const { driftRate = 0, monotonicOffsetMs = 0, wallOffsetMs = 0 } = options;
    assert(driftRate > -1, 'a clock does not run backwards');
    this.clock = clock;
    this.#rate = 1 + driftRate;
    this.#monotonicOffsetMs = monotonicOffsetMs;
    this.#startMs = clock.monotonicMs();
    this.#wallAtStartMs = clock.wallMs() + wallOffsetMs;
  }

  get state(): 'running' | 'paused' | 'killed' {
    return this.#state;
  }

  wallMs(): number {
    const passedMs = (this.clock.monotonicMs() - this.#startMs) * this.#rate;
    return Math.floor(this.#wallAtStartMs + this.#wallJumpedMs + passedMs);
  }

  monotonicMs(): number {
    const nowMs = this.#stoodSinceMs ?? this.clock.monotonicMs();
    return this.#monotonicOffsetMs + (nowMs - this.#uncountedMs) * this.#rate;
  }

  startTimer(delayMs: number, callback: () => void): Timer {
    const dueMs = this.monotonicMs() + delayMs;
    let isCancelled = false;
    const run = (): void => {
      if (isCancelled) return;
      // Its clock may have stood for a while.
      if (this.monotonicMs() < dueMs) start();
      else callback();
    };
    const start = (): Timer => {
      const leftMs = Math.max(0, dueMs - this.monotonicMs());
      return this.clock.startTimer(leftMs / this.#rate + TIMER_MARGIN_MS, () => {
        this.deliver(run);
      });
    };
    const timer = start();
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  turn(): Promise<void> {
    return new Promise((resolve) => {
      void this.clock.turn().then(() => {
        this.deliver(resolve);
      });
    });
  }

  /** Makes this process's wall time jump by `deltaMs`, in either direction. */
  jumpWall(deltaMs: number): void {
    this.#wallJumpedMs += deltaMs;
  }

  /**
   * Stops it. Idempotent.
   *
   * @param monotonic `runs` (default): its monotonic clock counts the pause, as `CLOCK_BOOTTIME` counts
   *   a stopped process and a suspended machine. `stands`: it does not, as in a virtual machine whose
   *   host was suspended; only wall time tells.
   */
  pause(monotonic: 'runs' | 'stands' = 'runs'): void {
    if (this.#state !== 'running') return;
    this.#state = 'paused';
    if (monotonic === 'stands') this.#stoodSinceMs = this.clock.monotonicMs();
  }

  /** Lets it go on. Idempotent. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    if (this.#stoodSinceMs !== undefined) {
      this.#uncountedMs += this.clock.monotonicMs() - this.#stoodSinceMs;
      this.#stoodSinceMs = undefined;
    }
    this.#drain();
  }

  /**
   * Ends it for good: no timer and no completion of it ever runs, and the locks of its devices are
   * free. Operations under way are `lost` (default), or each still `lands` on the disk in its time, as
   * writes do that the kernel had been given; then a lock is free after the last of them.
   */
  kill(inFlight: InFlight = 'lost'): void {
    if (this.#state === 'killed') return;
    this.#state = 'killed';
    this.#held = [];
    for (const end of this.#onKill) end(inFlight);
  }

  /** For `SimulatedDevice`: `end` runs when the process is killed. */
  onKill(end: (inFlight: InFlight) => void): void {
    this.#onKill.push(end);
  }

  /** For `SimulatedDevice`: runs `callback` now, or when the process executes again, in order. */
  deliver(callback: () => void): void {
    if (this.#state === 'killed') return;
    if (this.#state === 'paused' || this.#held.length > 0) this.#held.push(callback);
    else callback();
  }

  /** Not all at once: what each of them sets off goes on in between. */
  #drain(): void {
    if (this.#isDraining || this.#held.length === 0) return;
    this.#isDraining = true;
    this.clock.complete(RESUME_STEP_MS_MAX, () => {
      this.#isDraining = false;
      if (this.#state !== 'running') return;
      const next = this.#held.shift();
      try {
        next?.();
      } finally {
        this.#drain();
      }
    });
  }
}
