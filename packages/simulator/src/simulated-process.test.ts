import { sleep } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import { PageCache } from './page-cache.ts';
import { SimulatedClock } from './simulated-clock.ts';
import { SimulatedDevice } from './simulated-device.ts';
import { SimulatedMedium } from './simulated-medium.ts';
import { SimulatedProcess } from './simulated-process.ts';

const block = (fill: number): Uint8Array => new Uint8Array(4096).fill(fill);

function setUp(): { clock: SimulatedClock; medium: SimulatedMedium; process: SimulatedProcess } {
  const clock = new SimulatedClock({ seed: 1, wallMs: 1_000_000 });
  const medium = new SimulatedMedium(1024 * 1024);
  return { clock, medium, process: new SimulatedProcess(clock) };
}

describe('the clocks of a process', () => {
  it('drift from virtual time and from each other, timers too', async () => {
    const clock = new SimulatedClock({ seed: 1, wallMs: 1_000_000 });
    const fast = new SimulatedProcess(clock, { driftRate: 0.1, monotonicOffsetMs: 500 });
    const slow = new SimulatedProcess(clock, { driftRate: -0.1, wallOffsetMs: -7 });
    const fired: string[] = [];
    slow.startTimer(90, () => fired.push(`slow ${clock.monotonicMs().toFixed(1)}`));
    fast.startTimer(90, () => fired.push(`fast ${clock.monotonicMs().toFixed(1)}`));
    fast.startTimer(50, () => fired.push('cancelled')).cancel();
    await clock.advance(1000);
    expect(fired).toEqual(['fast 81.8', 'slow 100.0']);
    expect([fast.monotonicMs(), slow.monotonicMs()].map(Math.round)).toEqual([1600, 900]);
    expect([fast.wallMs(), slow.wallMs()]).toEqual([1_001_100, 1_000_893]);
    fast.jumpWall(-500);
    expect([fast.wallMs(), slow.wallMs()]).toEqual([1_000_600, 1_000_893]);
  });
});

describe('a paused process', () => {
  it('gets its timers after it was resumed, in their order, and time goes on for others', async () => {
    const { clock, process } = setUp();
    const fired: string[] = [];
    const note = (name: string) => (): void => {
      fired.push(`${name} ${clock.monotonicMs().toFixed(0)}`);
    };
    process.startTimer(20, note('second'));
    process.startTimer(10, note('first'));
    const cancelled = process.startTimer(15, note('cancelled'));
    process.pause();
    clock.startTimer(30, note('other'));
    await clock.advance(100);
    expect(fired).toEqual(['other 30']);
    expect(process.monotonicMs()).toBe(100);
    cancelled.cancel();
    process.resume();
    await clock.advance(1);
    expect(fired).toEqual(['other 30', 'first 100', 'second 100']);
  });

  it('may be paused again before everything was delivered', async () => {
    const { clock, process } = setUp();
    const fired: number[] = [];
    for (const name of [1, 2, 3]) {
      process.startTimer(name, () => {
        fired.push(name);
        if (name === 1) process.pause();
      });
    }
    process.pause();
    await clock.advance(10);
    process.resume();
    await clock.advance(10);
    expect(fired).toEqual([1]);
    process.startTimer(0, () => fired.push(4));
    process.resume();
    await clock.advance(10);
    expect(fired).toEqual([1, 2, 3, 4]);
  });

  it('may have a monotonic clock that stands meanwhile, and timers with it', async () => {
    const clock = new SimulatedClock({ seed: 1, wallMs: 1_000_000 });
    const process = new SimulatedProcess(clock, { driftRate: 1 });
    const fired: number[] = [];
    process.startTimer(40, () => fired.push(clock.monotonicMs()));
    process.startTimer(50, () => fired.push(-1)).cancel();
    await clock.advance(10);
    process.pause('stands');
    await clock.advance(1000);
    expect([process.monotonicMs(), process.wallMs()]).toEqual([20, 1_002_020]);
    process.resume();
    expect(process.monotonicMs()).toBe(20);
    await clock.advance(5);
    expect(fired).toEqual([]);
    await clock.advance(6);
    expect(fired.map(Math.round)).toEqual([1020]);
    process.pause();
    await clock.advance(100);
    expect(Math.round(process.monotonicMs())).toBe(242);
  });

  it('has its writes on the disk and learns of them later', async () => {
    const { clock, medium, process } = setUp();
    const device = new SimulatedDevice(medium, { clock, seed: 1, process });
    const settled: string[] = [];
    void device.writeUncached(0, [block(1)]).then(() => settled.push('uncached'));
    void device.write(4096, [block(2)]).then(() => settled.push('buffered'));
    process.pause();
    await clock.advance(100);
    expect([0, 4096].map((offset) => medium.peek(offset, 1)[0])).toEqual([1, 2]);
    // Both steps of the one call were the kernel's.
    expect(medium.unflushedWriteCount).toBe(1);
    expect(settled).toEqual([]);
    process.resume();
    await clock.advance(1);
    expect(settled.sort()).toEqual(['buffered', 'uncached']);
  });

  it('begins nothing on its devices', async () => {
    const { clock, medium, process } = setUp();
    const begun: string[] = [];
    const device = new SimulatedDevice(medium, {
      clock,
      seed: 1,
      process,
      onOperation: ({ kind, phase }) => begun.push(`${kind} ${phase}`),
    });
    process.pause();
    const bytes = block(1);
    const written = device.writeDurably(0, [bytes]);
    await clock.advance(100);
    expect(begun).toEqual([]);
    expect(medium.unflushedWriteCount).toBe(0);
    process.resume();
    await clock.runUntil(written);
    expect(begun).toEqual(['write begin', 'write end', 'flush begin', 'flush end']);
  });

  it('lets a device close only after what it held', async () => {
    const { clock, medium, process } = setUp();
    const device = new SimulatedDevice(medium, { clock, seed: 1, process });
    const order: string[] = [];
    void device.writeDurably(0, [block(1)]).then(() => order.push('written'));
    const closed = device.close().then(() => order.push('closed'));
    process.pause();
    await clock.advance(50);
    expect(order).toEqual([]);
    process.resume();
    await clock.runUntil(closed);
    expect(order).toEqual(['written', 'closed']);
  });
});

describe('a killed process', () => {
  it('runs no timer, settles no operation, and gives its locks back', async () => {
    const { clock, medium, process } = setUp();
    const device = new SimulatedDevice(medium, { clock, seed: 1, process });
    const ran: string[] = [];
    void sleep(process, 10).then(() => ran.push('timer'));
    void device.write(0, [block(1)]).then(() => ran.push('write'));
    process.kill();
    const successor = new SimulatedDevice(medium, { clock, seed: 2 });
    await clock.advance(100);
    expect(ran).toEqual([]);
    expect(medium.peek(0, 1)[0]).toBe(0);
    await successor.close();
  });

  it('keeps its locks until what was under way has landed', async () => {
    const { clock, medium, process } = setUp();
    const device = new SimulatedDevice(medium, { clock, seed: 1, process });
    device.inject({ kind: 'write', after: 0, effect: 'delay', byMs: 60_000 });
    const ran: string[] = [];
    void device.writeDurably(0, [block(1)]).then(() => ran.push('write'));
    process.pause();
    void device.write(4096, [block(2)]).then(() => ran.push('never begun'));
    process.kill('lands');
    const open = (): SimulatedDevice => new SimulatedDevice(medium, { clock, seed: 2 });
    expect(open).toThrow('another process has it open');
    // Another machine is not kept out by this one's kernel.
    const other = new SimulatedDevice(medium, { clock, seed: 3, cache: new PageCache() });
    await other.write(0, [block(9)]);
    await clock.advance(61_000);
    expect([0, 4096].map((offset) => medium.peek(offset, 1)[0])).toEqual([1, 0]);
    expect(ran).toEqual([]);
    await open().close();
  });

  it('is not revived', async () => {
    const { clock, process } = setUp();
    let fired = 0;
    process.startTimer(1, () => fired++);
    process.pause();
    await clock.advance(10);
    process.kill();
    process.resume();
    process.kill();
    await clock.advance(10);
    expect(fired).toBe(0);
    expect(process.state).toBe('killed');
  });
});

it('a device and its process live in the same time', () => {
  const { medium, process } = setUp();
  const clock = new SimulatedClock({ seed: 2 });
  expect(() => new SimulatedDevice(medium, { clock, seed: 1, process })).toThrow('the same time');
});
