/**
 * The life of a daemon from its start to its end, with every wait bounded: it stops when it is asked
 * to, ends when its device fails, and nothing that hangs keeps the process from ending.
 */
import { sleep } from '@dozo/base';
import type { Clock } from '@dozo/base';
import type { EngineError } from '@dozo/engine';
import type { Logger } from 'pino';

import { CommandError } from '../errors.ts';
import { FAILED_CLOSE_MS, STOP_MS_MAX } from '../limits.ts';
import type { Daemon, Serving } from './daemon.ts';

export interface DaemonRun {
  readonly daemon: Pick<Daemon, 'start' | 'ended' | 'stop' | 'abandon'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborted by the first stop signal. */
  readonly stop: AbortSignal;
  readonly onServing: (serving: Serving) => void;
}

/**
 * Resolves when the daemon has stopped as it was asked to.
 *
 * Rejects with what the start rejects with, with `DEVICE_FAILED`, with `ENGINE_FENCED` and
 * `ENGINE_CLAIM_LOST`, and with `STOP_TIMED_OUT`.
 */
export async function runDaemon(run: DaemonRun): Promise<void> {
  const { daemon, clock, log, stop } = run;
  const stopped = new Promise<'stopped'>((resolve) => {
    if (stop.aborted) resolve('stopped');
    stop.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
  const starting = daemon.start();
  const started = await Promise.race([starting, stopped]).catch(async (error: unknown) => {
    await within(clock, FAILED_CLOSE_MS, daemon.abandon());
    throw error;
  });
  if (started === 'stopped') {
    // Nothing was served yet; the next start recovers as after a crash, which it can at any moment. A
    // claim that was just being taken is given back.
    await within(
      clock,
      FAILED_CLOSE_MS,
      starting.then(() => daemon.stop(), ignore),
    );
    log.info({ signal: String(stop.reason) }, 'stopped before it served');
    return;
  }
  run.onServing(started);
  const end = await Promise.race([stopped, daemon.ended]);
  if (end !== 'stopped' && end.kind !== 'closed') {
    // Waits until nothing is written any more: the note of a failure, or that this process has stopped.
    await within(clock, FAILED_CLOSE_MS, daemon.abandon());
    throw end.kind === 'failed' ? deviceFailed(started.info.device, end.error) : end.error;
  }
  log.info({ signal: String(stop.reason) }, 'stopping: running requests may end');
  if (!(await within(clock, STOP_MS_MAX, daemon.stop()))) throw stopTimedOut();
  log.info('stopped clean');
}

function ignore(): void {
  // The start was not to be.
}

/** Waits for `work` at most `limitMs`; tells whether it was done by then. Its error passes through. */
async function within(clock: Clock, limitMs: number, work: Promise<void>): Promise<boolean> {
  const done = new AbortController();
  try {
    return await Promise.race([
      work.then(() => true),
      sleep(clock, limitMs, done.signal).then(() => false),
    ]);
  } finally {
    done.abort(new Error('done'));
  }
}

function deviceFailed(path: string, error: EngineError): CommandError {
  const reason = error.detail.code === 'ENGINE_FAILED' ? error.detail.reason : error.message;
  return new CommandError(
    `the device ${path} has failed: ${reason} What was in flight may or may not be there; nothing was retried. Look at the disk (dmesg, smartctl). The next start verifies the whole device before it serves`,
    { code: 'DEVICE_FAILED', path },
    { cause: error },
  );
}

function stopTimedOut(): CommandError {
  return new CommandError(
    `the clean stop was not over after ${STOP_MS_MAX} ms and was given up; what was acknowledged is safe, and the next start recovers as after a crash`,
    { code: 'STOP_TIMED_OUT' },
  );
}
