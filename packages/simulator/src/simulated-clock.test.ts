import { sleep } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { SimulatedClock } from './simulated-clock.ts';

describe('SimulatedClock', () => {
  it('runs timers in order of time when time is advanced past them', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    const ran: string[] = [];
    clock.startTimer(20, () => ran.push(`b ${String(clock.monotonicMs())}`));
    clock.startTimer(10, () => ran.push(`a ${String(clock.monotonicMs())}`));
    clock.startTimer(15, () => ran.push('cancelled')).cancel();
    await clock.advance(19);
    expect(ran).toEqual(['a 10']);
    await clock.advance(1);
    expect(ran).toEqual(['a 10', 'b 20']);
    expect(clock.monotonicMs()).toBe(20);
  });

  it('lets timers start timers while time is advanced', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    let beats = 0;
    const beat = (): void => {
      beats++;
      clock.startTimer(10, beat);
    };
    beat();
    await clock.advance(95);
    expect(beats).toBe(10);
  });

  it('moves time for a promise that waits, and reports a deadlock', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    await clock.runUntil(sleep(clock, 3_600_000));
    expect(clock.monotonicMs()).toBe(3_600_000);
    await expect(clock.runUntil(new Promise(() => undefined))).rejects.toThrow('Deadlock');
  });

  it('passes on the rejection of the promise', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    await expect(clock.runUntil(Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('completes by itself, and timers that time passes run in between', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    let isTimerRun = false;
    clock.startTimer(0, () => {
      isTimerRun = true;
    });
    await new Promise<void>((resolve) => {
      clock.complete(5, resolve);
    });
    expect(isTimerRun).toBe(true);
    expect(clock.monotonicMs()).toBeGreaterThan(0);
  });

  it('goes on completing after a callback has started the next operation', async () => {
    const clock = new SimulatedClock({ seed: 1 });
    for (let round = 0; round < 100; round++) {
      await new Promise<void>((resolve) => {
        clock.complete(1, resolve);
      });
    }
    expect(clock.monotonicMs()).toBeLessThan(100);
  });

  it('has wall time that jumps without monotonic time', () => {
    const clock = new SimulatedClock({ seed: 1, wallMs: 1000 });
    clock.jumpWall(-500);
    expect(clock.wallMs()).toBe(500);
    expect(clock.monotonicMs()).toBe(0);
  });

  it('completes nothing between microtasks when it is given turns of the event loop', async () => {
    const turns: (() => void)[] = [];
    const clock = new SimulatedClock({
      seed: 1,
      nextTurn: () => new Promise((resolve) => turns.push(resolve)),
    });
    const done: string[] = [];
    clock.complete(1, () => done.push('first'));
    clock.complete(1, () => done.push('second'), 1);
    for (let turn = 1; turn <= 2; turn++) {
      await microtasks(1000);
      expect(done).toHaveLength(turn - 1);
      expect(turns).toHaveLength(1);
      turns.pop()?.();
    }
    await microtasks(10);
    expect(done).toEqual(['first', 'second']);
  });

  it('moves time from the event loop too, one event in each turn', async () => {
    let turnCount = 0;
    const nextTurn = (): Promise<void> => {
      turnCount++;
      return new Promise((resolve) => {
        setImmediate(resolve);
      });
    };
    const clock = new SimulatedClock({ seed: 1, nextTurn });
    const ran: number[] = [];
    for (const delayMs of [30, 10, 20]) clock.startTimer(delayMs, () => ran.push(delayMs));
    await clock.advance(25);
    expect(ran).toEqual([10, 20]);
    expect(turnCount).toBeGreaterThan(2);
    await clock.runUntil(sleep(clock, 100));
    expect(ran).toEqual([10, 20, 30]);
    await expect(clock.runUntil(new Promise(() => undefined))).rejects.toThrow('Deadlock');
  });
});

async function microtasks(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await Promise.resolve();
}
