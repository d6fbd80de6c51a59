import { EngineError } from '@dozo/engine';
import { SimulatedClock } from '@dozo/simulator';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';

import { EXIT_CLAIM_FENCED, EXIT_CLAIM_LOST, exitStatusOf } from '../exit-codes.ts';
import { FAILED_CLOSE_MS, STOP_MS_MAX } from '../limits.ts';
import type { Serving } from './daemon.ts';
import { runDaemon } from './run-daemon.ts';
import type { DaemonRun } from './run-daemon.ts';

const SERVING = { info: { device: '/dev/test' } } as Serving;

const FAILED = {
  kind: 'failed',
  error: new EngineError('It failed.', {
    code: 'ENGINE_FAILED',
    path: '/dev/test',
    reason: 'EIO.',
  }),
} as const;

const never = (): Promise<never> => new Promise<never>(() => undefined);

/** A run whose daemon does what the test says; by default it serves and stops at once. */
function prepare(daemon: Partial<DaemonRun['daemon']> = {}) {
  const calls: string[] = [];
  const controller = new AbortController();
  const clock = new SimulatedClock({ seed: 1 });
  const noted = (name: string) => (): Promise<void> => {
    calls.push(name);
    return Promise.resolve();
  };
  const run: DaemonRun = {
    daemon: {
      start: () => Promise.resolve(SERVING),
      ended: never(),
      stop: noted('stop'),
      abandon: noted('abandon'),
      ...daemon,
    },
    clock,
    log: pino({ level: 'silent' }),
    stop: controller.signal,
    onServing: () => calls.push('serving'),
  };
  return { run, clock, calls, signal: () => controller.abort('SIGTERM') };
}

describe('runDaemon', () => {
  it('serves until it is asked to stop, and stops clean', async () => {
    const { run, clock, calls, signal } = prepare();
    const ended = runDaemon(run);
    await clock.advance(1_000_000);
    expect(calls).toEqual(['serving']);
    signal();
    await ended;
    expect(calls).toEqual(['serving', 'stop']);
  });

  it('ends a start that hangs soon after it was asked to stop', async () => {
    const { run, clock, calls, signal } = prepare({ start: never });
    const ended = runDaemon(run);
    signal();
    await clock.advance(FAILED_CLOSE_MS + 1);
    await ended;
    expect(calls).toEqual([]);
  });

  it('closes what a start had opened before it failed', async () => {
    const { run, calls } = prepare({ start: () => Promise.reject(new Error('no such port')) });
    await expect(runDaemon(run)).rejects.toThrow('no such port');
    expect(calls).toEqual(['abandon']);
  });

  it('ends with what the kernel said when the device fails', async () => {
    const { run, calls } = prepare({ ended: Promise.resolve(FAILED) });
    await expect(runDaemon(run)).rejects.toMatchObject({
      code: 'DEVICE_FAILED',
      message: expect.stringContaining('/dev/test has failed: EIO.') as string,
    });
    expect(calls).toEqual(['serving', 'abandon']);
  });

  it('ends with a status of its own when the device was taken over', async () => {
    const detail = { path: '/dev/test', holder: undefined, isOutcomeKnown: true };
    for (const [kind, code, status] of [
      ['fenced', 'ENGINE_FENCED', EXIT_CLAIM_FENCED],
      ['lost', 'ENGINE_CLAIM_LOST', EXIT_CLAIM_LOST],
    ] as const) {
      const error = new EngineError('It was taken over.', { code, ...detail });
      const { run, calls } = prepare({ ended: Promise.resolve({ kind, error }) });
      const thrown: unknown = await runDaemon(run).catch((reason: unknown) => reason);
      expect(thrown).toBe(error);
      expect(exitStatusOf(thrown)).toBe(status);
      expect(calls).toEqual(['serving', 'abandon']);
    }
  });

  it('gives up a clean stop that takes too long', async () => {
    const { run, clock, signal } = prepare({ stop: never });
    const ended = runDaemon(run);
    const refusal = expect(ended).rejects.toMatchObject({ code: 'STOP_TIMED_OUT' });
    signal();
    await clock.advance(STOP_MS_MAX + 1);
    await refusal;
  });

  it('does not wait for ever for a failed device to be closed', async () => {
    const { run, clock } = prepare({ ended: Promise.resolve(FAILED), abandon: never });
    const refusal = expect(runDaemon(run)).rejects.toMatchObject({ code: 'DEVICE_FAILED' });
    await clock.advance(FAILED_CLOSE_MS + 1);
    await refusal;
  });
});
