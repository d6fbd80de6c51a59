import { beforeEach, describe, expect, it } from 'vitest';

import type { WatcherMessage } from '../src/guard/channel.ts';
import type { LeaseTerm } from '../src/guard/lease-deadlines.ts';
import { Watcher } from '../src/guard/watcher.ts';
import type { ProgramEnd } from '../src/guard/watcher.ts';
import { ProcessWorld } from './process-world.ts';

const PROGRAM = 10;

let world: ProcessWorld;
let watcher: Watcher;
let sent: WatcherMessage[];
let said: string[];
let left: string[];
let takeEnd: (end: ProgramEnd) => void;
let canStart: boolean;

beforeEach(() => {
  world = new ProcessWorld();
  [sent, said, left, canStart] = [[], [], [], true];
  watcher = new Watcher({
    clock: world.clock,
    descendants: world.descendants,
    startProgram: (onEnd) => {
      takeEnd = onEnd;
      if (!canStart) return undefined;
      world.add(PROGRAM, 1);
      return PROGRAM;
    },
    signalProgram: (pid, signal) => world.signal(pid, signal),
    send: (message) => sent.push(message),
    say: (line) => said.push(line),
    afterMessages: (task) => task(),
    leave: (why) => left.push(why),
  });
});

function termNow(): LeaseTerm {
  const { clock } = world;
  return { sinceMonotonicMs: clock.monotonicMs(), sinceWallMs: clock.wallMs(), leaseMs: 5_000 };
}

const start = (): void => watcher.receive({ kind: 'start', term: termNow() });
const renew = (): void => watcher.receive({ kind: 'renewed', term: termNow() });
const kinds = (): string[] => sent.map(({ kind }) => kind);
const isRunning = (): boolean => world.living().includes(PROGRAM);

/** The status of an ended program is taken, as Node does it, and the watcher hears of it. */
function programEnds(end: ProgramEnd = { status: 0, signal: null }): void {
  world.end(PROGRAM);
  world.processes.delete(PROGRAM);
  takeEnd(end);
}

describe('a watcher', () => {
  it('starts nothing before it is told to, and leaves when the guard goes before', () => {
    expect(world.living()).toEqual([]);
    watcher.guardIsGone();
    expect(left).toEqual(['never-started']);
  });

  it('tells how the program ended, and leaves', () => {
    start();
    programEnds({ status: 3, signal: null });
    expect(sent).toEqual([
      { kind: 'started', pid: PROGRAM },
      { kind: 'ended', status: 3, signal: null },
      { kind: 'gone' },
    ]);
    expect(left).toEqual(['done']);
  });

  it('says 126 for a program that could not even be begun', () => {
    canStart = false;
    start();
    expect(sent).toEqual([{ kind: 'ended', status: 126, signal: null }, { kind: 'gone' }]);
    expect(left).toEqual(['done']);
  });

  it('passes signals on to the program alone, and none to one that has ended', () => {
    start();
    const child = world.add(11, PROGRAM);
    watcher.receive({ kind: 'signal', signal: 'SIGUSR1' });
    expect(world.processes.get(PROGRAM)?.signals).toEqual(['SIGUSR1']);
    programEnds();
    watcher.receive({ kind: 'signal', signal: 'SIGUSR2' });
    expect(child.signals).not.toContain('SIGUSR2');
  });

  it('lets a program run for as long as its lease is renewed', async () => {
    start();
    for (let second = 0; second < 60; second++) {
      await world.simulated.advance(1_000);
      renew();
    }
    expect(world.processes.get(PROGRAM)?.signals).toEqual([]);
    expect(kinds()).toEqual(['started']);
  });

  it('asks the program to end at half of the lease, and kills all before the lease ends', async () => {
    start();
    world.processes.delete(PROGRAM);
    const program = world.add(PROGRAM, 1, () => 'lives');
    world.add(11, PROGRAM);
    await world.simulated.advance(2_400);
    expect(program.signals).toEqual([]);
    await world.simulated.advance(200);
    expect(program.signals).toEqual(['SIGTERM', 'SIGCONT']);
    expect(said).toEqual([expect.stringContaining('asked to end')]);
    await world.simulated.advance(1_300);
    expect(isRunning()).toBe(true);
    await world.simulated.advance(300);
    expect(world.living()).toEqual([]);
    expect(kinds()).toContain('killing');
  });

  it('kills first thing when it wakes up after the end of the lease', async () => {
    start();
    await world.simulated.advance(1_000);
    world.sleep(10_000);
    await world.simulated.advance(250);
    expect(isRunning()).toBe(false);
  });

  it('does not take a renewal for good that was begun when the lease was over', async () => {
    start();
    await world.simulated.advance(1_000);
    world.sleep(10_000);
    // The guard has slept too, woke up first and has renewed the lease.
    renew();
    await world.simulated.advance(10);
    expect(isRunning()).toBe(false);
  });

  it('that slept alone goes on when the messages show no gap', async () => {
    start();
    const terms = [];
    for (let second = 0; second < 20; second++) {
      world.sleep(1_000);
      terms.push(termNow());
    }
    // Each of them alone would look like the end of a lease by now, but for the last.
    for (const term of terms) watcher.receive({ kind: 'renewed', term });
    await world.simulated.advance(1_000);
    expect(isRunning()).toBe(true);
  });

  it('stops all while wall time has run ahead, and lets them go on after the next beat', async () => {
    start();
    const child = world.add(11, PROGRAM);
    await world.simulated.advance(1_000);
    world.simulated.jumpWall(60_000);
    await world.simulated.advance(250);
    expect(world.processes.get(PROGRAM)?.signals).toEqual(['SIGSTOP']);
    expect(child.signals).toEqual(['SIGSTOP']);
    renew();
    await world.simulated.advance(250);
    expect(child.signals).toEqual(['SIGSTOP', 'SIGCONT']);
    expect(isRunning()).toBe(true);
  });

  it('kills at once when the claim is gone', () => {
    start();
    world.add(11, PROGRAM);
    watcher.receive({ kind: 'kill' });
    expect(world.living()).toEqual([]);
  });

  it('asks at once when no beat will come any more', () => {
    start();
    watcher.receive({ kind: 'terminate' });
    expect(kinds()).toEqual(['started', 'terminating']);
    expect(isRunning()).toBe(false);
  });

  it('kills all when the guard is gone, and leaves only when nobody is left', async () => {
    start();
    const stubborn = { isStuck: true };
    world.add(11, PROGRAM, () => (stubborn.isStuck ? 'refuses' : 'lives'));
    watcher.guardIsGone();
    expect(isRunning()).toBe(false);
    world.processes.delete(PROGRAM);
    takeEnd({ status: null, signal: 'SIGKILL' });
    await world.simulated.advance(60_000);
    expect(left).toEqual([]);
    expect(sent).toContainEqual({ kind: 'stuck', names: ['p11 (11)'] });
    stubborn.isStuck = false;
    await world.simulated.advance(1_000);
    expect(left).toEqual(['guard-gone']);
  });

  it('ends what a program left running: asks, and kills after ten seconds', async () => {
    start();
    const daemon = world.add(11, PROGRAM, () => 'lives');
    programEnds({ status: 5, signal: null });
    expect(sent).toContainEqual({ kind: 'leftovers', names: ['p11 (11)'] });
    expect(daemon.signals).toEqual(['SIGTERM', 'SIGCONT']);
    for (let second = 0; second < 9; second++) {
      await world.simulated.advance(1_000);
      renew();
    }
    expect(world.living()).toEqual([11]);
    await world.simulated.advance(1_500);
    expect(left).toEqual(['done']);
    expect(kinds().at(-1)).toBe('gone');
  });

  it('leaves as soon as the last leftover has ended by itself', async () => {
    start();
    world.add(11, PROGRAM);
    programEnds();
    expect(left).toEqual([]);
    watcher.childEnded();
    expect(left).toEqual(['done']);
    await world.simulated.advance(20_000);
    expect(kinds().filter((kind) => kind === 'gone')).toHaveLength(1);
  });
});
