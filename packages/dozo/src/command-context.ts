/** What a command gets from the world around it, so that tests can give it another one. */
import type { Clock, Random } from '@dozo/base';

import type { SignalSource } from './composition/stop-signals.ts';

/** One of the two streams that a command writes text to. */
export interface TextOutput {
  /** A person is looking. */
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface CommandContext {
  readonly environment: NodeJS.ProcessEnv;
  /** Results. */
  readonly output: TextOutput;
  /** Everything else: logs, progress, what went wrong. */
  readonly errorOutput: TextOutput;
  /** Asks a person for a line; undefined where there is no terminal to ask on. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Rejects with `KERNEL_CALLS_UNAVAILABLE`. */
  readonly openClock: () => Promise<Clock>;
  readonly random: Random;
  /** Keeps the memory of this process small, for one that stays. */
  readonly boundMemory: () => Promise<void>;
  readonly signals: SignalSource;
  /** Tells a bug just before the process ends of it; a daemon puts its log here. */
  readonly bugs: { report: (error: unknown) => void };
}
