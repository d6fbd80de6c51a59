/**
 * Virtual time and the seeded order of events.
 *
 * Two kinds of events. *Completions* (of device operations) run by themselves: while one is pending,
 * a pump made of microtasks moves virtual time on to the next event and runs it, so that a test awaits
 * the code under test as it would with a real device. *Timers* alone move nothing: they run when time
 * passes them, which is when completions are pending or when a test calls {@link
 * SimulatedClock.advance} or {@link SimulatedClock.runUntil}.
 *
 * Between two events the pump lets a random number of microtasks pass, so that the code under test is
 * sometimes slow and sometimes fast against its device. JavaScript's microtask order is itself
 * deterministic: same seed, same run.
 *
 * A real device answers from the event loop, which waits until no microtask is left. Code that goes round in
 * microtasks until an answer comes therefore never gets one there, and always gets one here. With
 * `nextTurn` events come from the event loop too, one in each turn of it, in an order that is seeded all the same.
 */
import { assert, SeededRandom } from '@dozo/base';
import type { Clock, Timer } from '@dozo/base';

/** Microtasks between two events are drawn from `[0, TURN_MICROTASKS_END)`. */
const TURN_MICROTASKS_END = 12;
/** How long others may have the thread, in ms. */
const TURN_MS_MAX = 0.1;
/** So many microtasks without an event, and `runUntil` says that nothing will ever happen. */
const STUCK_MICROTASKS = 10_000;

interface SimulatedEvent {
  readonly atMs: number;
  readonly sequence: number;
  isCancelled: boolean;
  readonly callback: () => void;
}

export interface SimulatedClockOptions {
  readonly seed: string | number;
  /** Wall time at the start. Default: 2026-01-01 UTC. */
  readonly wallMs?: number;
  /**
   * Resolves in another turn of the event loop. Given, each event waits for one; nothing else in that loop may
   * have a say in what the code under test does, or runs are not repeatable. Default: microtasks.
   */
  readonly nextTurn?: () => Promise<void>;
}

/** A {@link Clock} whose time moves only when something happens. */
export class SimulatedClock implements Clock {
  readonly #random: SeededRandom;
  readonly #events = new EventQueue();
  readonly #nextTurn: (() => Promise<void>) | undefined;
  #nowMs = 0;
  #wallOffsetMs: number;
  #sequence = 0;
  #completionsPending = 0;
  #isPumping = false;

  constructor(options: SimulatedClockOptions) {
    this.#random = new SeededRandom(options.seed).derive('clock');
    this.#wallOffsetMs = options.wallMs ?? 1_767_225_600_000;
    this.#nextTurn = options.nextTurn;
  }

  wallMs(): number {
    return Math.floor(this.#wallOffsetMs + this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  startTimer(delayMs: number, callback: () => void): Timer {
    assert(delayMs >= 0, 'a timer cannot run in the past');
    const event = this.#schedule(delayMs, callback);
    return {
      cancel: () => {
        event.isCancelled = true;
      },
    };
  }

  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.complete(TURN_MS_MAX, resolve);
    });
  }

  /** Makes wall time jump by `deltaMs`, in either direction; monotonic time does not notice. */
  jumpWall(deltaMs: number): void {
    this.#wallOffsetMs += deltaMs;
  }

  /**
   * Runs `callback` after `delayMsMin` and a random time in `[0, delayMsMax)` more, by itself: this is
   * how simulated hardware answers.
   */
  complete(delayMsMax: number, callback: () => void, delayMsMin = 0): void {
    this.#completionsPending++;
    this.#schedule(delayMsMin + this.#random.fraction() * delayMsMax, () => {
      this.#completionsPending--;
      callback();
    });
    this.#pump();
  }

  /** Lets `durationMs` of virtual time pass and runs everything that falls into it. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      await this.#microtasks(TURN_MICROTASKS_END);
      const next = this.#events.peek();
      if (next === undefined || next.atMs > endMs) break;
      this.#runNext();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
    await this.#microtasks(TURN_MICROTASKS_END);
  }

  /**
   * Runs events, timers too, until `promise` settles, and returns its result.
   *
   * Throws when there is no event left and the promise still waits: a deadlock of the code under test.
   * The promise must depend on this clock alone, not on real input and output.
   */
  async runUntil<Result>(promise: Promise<Result>): Promise<Result> {
    const state = { isSettled: false };
    const settle = (): void => {
      state.isSettled = true;
    };
    promise.then(settle, settle);
    let idleMicrotasks = 0;
    for (;;) {
      await this.#microtasks(1 + this.#random.below(TURN_MICROTASKS_END));
      if (state.isSettled) return promise;
      if (this.#events.peek() === undefined) {
        idleMicrotasks += TURN_MICROTASKS_END;
        if (idleMicrotasks > STUCK_MICROTASKS) {
          throw new Error('Deadlock in the simulation: a promise waits and no event is left.');
        }
        continue;
      }
      idleMicrotasks = 0;
      this.#runNext();
    }
  }

  #schedule(delayMs: number, callback: () => void): SimulatedEvent {
    const event = {
      atMs: this.#nowMs + delayMs,
      sequence: this.#sequence++,
      isCancelled: false,
      callback,
    };
    this.#events.push(event);
    return event;
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#wait();
  }

  /** Lets the code under test run, and then goes on. */
  #wait(): void {
    if (this.#nextTurn === undefined) this.#turn(this.#random.below(TURN_MICROTASKS_END));
    else void this.#nextTurn().then(() => this.#turn(0));
  }

  #turn(microtasksLeft: number): void {
    queueMicrotask(() => {
      if (microtasksLeft > 0) {
        this.#turn(microtasksLeft - 1);
        return;
      }
      if (this.#completionsPending === 0) {
        this.#isPumping = false;
        return;
      }
      // Even if a callback throws, the pump must go on for the others.
      this.#wait();
      this.#runNext();
    });
  }

  #runNext(): void {
    const event = this.#events.pop();
    if (event === undefined) return;
    this.#nowMs = Math.max(this.#nowMs, event.atMs);
    if (!event.isCancelled) event.callback();
  }

  /** So many microtasks, or all that there are. */
  async #microtasks(count: number): Promise<void> {
    if (this.#nextTurn !== undefined) return this.#nextTurn();
    for (let index = 0; index < count; index++) await Promise.resolve();
  }
}

/** A binary heap by time, then by order of scheduling. */
class EventQueue {
  readonly #heap: SimulatedEvent[] = [];

  /** The next event; cancelled timers on top are dropped, so that time does not wait for them. */
  peek(): SimulatedEvent | undefined {
    while (this.#heap[0]?.isCancelled === true) this.pop();
    return this.#heap[0];
  }

  push(event: SimulatedEvent): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as SimulatedEvent;
      if (isBefore(above, event)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  pop(): SimulatedEvent | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as SimulatedEvent)) child++;
      const below = heap[child] as SimulatedEvent;
      if (isBefore(last, below)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
    return top;
  }
}

function isBefore(left: SimulatedEvent, right: SimulatedEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence);
}
