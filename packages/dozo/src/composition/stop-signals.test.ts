import { EventEmitter } from 'node:events';

import type { Clock } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { listenForStopSignals } from './stop-signals.ts';

class FakeProcess extends EventEmitter {
  readonly statuses: number[] = [];
  nowMs = 1000;

  exit(status: number): void {
    this.statuses.push(status);
  }

  get clock(): Clock {
    return {
      wallMs: () => 0,
      monotonicMs: () => this.nowMs,
      turn: () => Promise.resolve(),
      startTimer: () => ({ cancel: () => undefined }),
    };
  }
}

function listening(): { readonly source: FakeProcess; readonly signal: AbortSignal } {
  const source = new FakeProcess();
  const { signal } = listenForStopSignals(source, source.clock);
  return { source, signal };
}

describe('listenForStopSignals', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'])('asks for a clean stop at the first %s', (name) => {
    const { source, signal } = listening();
    source.emit(name);
    expect(signal.reason).toBe(name);
    expect(source.statuses).toEqual([]);
  });

  it('ends the process at once at a later second signal, with the status that shells give it', () => {
    const { source } = listening();
    source.emit('SIGTERM');
    source.nowMs += 500;
    source.emit('SIGINT');
    expect(source.statuses).toEqual([130]);
  });

  it('takes a copy that comes with the first signal for the same request', () => {
    const { source, signal } = listening();
    source.emit('SIGINT');
    source.nowMs += 499;
    source.emit('SIGINT');
    expect(source.statuses).toEqual([]);
    expect(signal.aborted).toBe(true);
  });

  it('leaves no listener behind', () => {
    const source = new FakeProcess();
    listenForStopSignals(source, source.clock).dispose();
    expect(source.eventNames()).toEqual([]);
  });
});
