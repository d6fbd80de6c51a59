/**
 * Notices that the engine has failed although no request comes.
 *
 * An engine fails when the kernel refuses a write or a flush, and is done then. Whoever waits for
 * `failed` ends the process, so that a supervisor and people learn of it.
 */
import type { Clock, Timer } from '@dozo/base';
import type { Engine } from '@dozo/engine';

import { ENGINE_WATCH_MS } from '../limits.ts';

export interface EngineWatch {
  /** Resolves once the engine has failed; never otherwise. */
  readonly failed: Promise<void>;
  stop(): void;
}

/** Starts to look at the engine every now and then. */
export function watchEngine(engine: Pick<Engine, 'stats'>, clock: Clock): EngineWatch {
  let timer: Timer;
  const failed = new Promise<void>((resolve) => {
    const look = (): void => {
      if (engine.stats().state === 'failed') resolve();
      else timer = clock.startTimer(ENGINE_WATCH_MS, look);
    };
    look();
  });
  return {
    failed,
    stop: () => {
      timer.cancel();
    },
  };
}
