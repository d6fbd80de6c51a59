/**
 * Signals that stop a daemon: the first asks for a clean stop, a second one ends it at once.
 *
 * A copy of the same request is not a second one: Ctrl-C goes to every process of the terminal, and
 * npm, or an old Node.js that started us, passes its own copy on. So a signal counts as the second
 * only when it comes some time after the first.
 */
import { constants } from 'node:os';

import type { Clock } from '@dozo/base';

import { EXIT_SIGNAL_BASE } from '../exit-codes.ts';
import { SIGNAL_REPEAT_MS } from '../limits.ts';

export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

const STOP_SIGNALS: readonly StopSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/** What signals come from and what ends the process; `process` in life. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
  exit(status: number): void;
}

export interface StopSignals {
  /** Aborted by the first signal; the reason is its name. */
  readonly signal: AbortSignal;
  /** Stops listening; the kernel's default counts again. */
  dispose(): void;
}

/** Starts to listen. */
export function listenForStopSignals(source: SignalSource, clock: Clock): StopSignals {
  const controller = new AbortController();
  let firstAtMs = 0;
  const listeners = STOP_SIGNALS.map((name) => {
    const listener = (): void => {
      if (!controller.signal.aborted) {
        firstAtMs = clock.monotonicMs();
        controller.abort(name);
      } else if (clock.monotonicMs() - firstAtMs >= SIGNAL_REPEAT_MS) {
        source.exit(EXIT_SIGNAL_BASE + constants.signals[name]);
      }
    };
    source.on(name, listener);
    return { name, listener };
  });
  return {
    signal: controller.signal,
    dispose: () => {
      for (const { name, listener } of listeners) source.off(name, listener);
    },
  };
}
