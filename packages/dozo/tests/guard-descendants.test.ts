import { describe, expect, it } from 'vitest';

import { ProcessWorld } from './process-world.ts';

describe('the processes below a subreaper', () => {
  it('are reaped when they have ended, but for those whose status somebody waits for', () => {
    const world = new ProcessWorld();
    for (const pid of [10, 11, 12]) world.add(pid, 1);
    world.descendants.leaveTo(11);
    for (const pid of [10, 11]) world.end(pid);
    expect(world.descendants.reap()).toBe('some');
    expect(world.reaped).toEqual([10]);
    world.descendants.wasTaken(11);
    expect(world.descendants.reap()).toBe('some');
    world.end(12);
    expect(world.descendants.reap()).toBe('none');
    expect(world.reaped).toEqual([10, 11, 12]);
  });

  it('are all killed, grandchildren and those that are forked meanwhile too', async () => {
    const world = new ProcessWorld();
    let forked = 0;
    world.add(10, 1);
    world.add(11, 10);
    // It forks as it is killed, and so do its children; all of them are orphans at once.
    const forking = (pid: number): void => {
      world.add(pid, 1, (signal) => {
        if (signal === 'SIGKILL' && ++forked < 6) forking(100 + forked);
        return 'lives';
      });
    };
    forking(20);
    await world.simulated.runUntil(world.descendants.killAll(() => undefined));
    expect(forked).toBe(6);
    expect(world.processes.size).toBe(0);
  });

  it('that cannot be killed are told of, again and again, and waited for', async () => {
    const world = new ProcessWorld();
    world.add(10, 1, () => 'refuses');
    const told: string[] = [];
    const all = world.descendants.killAll((stuck) => {
      told.push(stuck.map(({ name }) => name).join());
      if (told.length === 3) world.end(10);
    });
    await world.simulated.runUntil(all);
    expect(told).toEqual(['p10', 'p10', 'p10']);
    expect(world.simulated.monotonicMs()).toBeGreaterThan(100_000);
  });

  it('that have ended meanwhile are no error, that refuse a signal are named', () => {
    const world = new ProcessWorld();
    world.add(10, 1);
    world.add(11, 1, () => 'refuses');
    expect(world.descendants.signalAll('SIGTERM').map(({ pid }) => pid)).toEqual([11]);
    expect(world.living()).toEqual([11]);
  });
});
