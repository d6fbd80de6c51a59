/**
 * The Clock port on this machine.
 *
 * Monotonic time is `CLOCK_BOOTTIME`, which goes on while the machine is suspended; Node's own clocks
 * do not, and a lease measured with them would outlive its term. A reading costs about 0.1 us.
 */
import { assert } from '@dozo/base';
import type { Clock, Timer } from '@dozo/base';

import { loadKernel } from './kernel.ts';
import type { Kernel } from './kernel.ts';

/** Longest delay that Node's timers keep; a longer one is waited for in parts. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The real clock. Made by {@link openSystemClock}. */
class SystemClock implements Clock {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return this.#kernel.bootTimeMs();
  }

  startTimer(delayMs: number, callback: () => void): Timer {
    assert(delayMs >= 0, 'a timer cannot run in the past');
    const dueMs = this.monotonicMs() + delayMs;
    let timeout: NodeJS.Timeout;
    const wait = (): void => {
      const leftMs = dueMs - this.monotonicMs();
      if (leftMs <= 0) callback();
      // Node rounds down; one ms more than needed beats running early and waiting again.
      else timeout = setTimeout(wait, Math.min(Math.ceil(leftMs), TIMER_MS_MAX)).unref();
    };
    // Always through the event loop: a callback never runs inside the call that starts it.
    timeout = setTimeout(wait, Math.min(Math.ceil(delayMs), TIMER_MS_MAX)).unref();
    return {
      cancel: () => {
        clearTimeout(timeout);
      },
    };
  }

  turn(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** The clock of this machine. Rejects with `KERNEL_CALLS_UNAVAILABLE`. */
export async function openSystemClock(): Promise<Clock> {
  return new SystemClock(await loadKernel());
}
