import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';

import { beforeEach, describe, expect, it } from 'vitest';

import type { GuardMessage, WatcherMessage } from '../src/guard/channel.ts';
import type { LeaseTerm } from '../src/guard/lease-deadlines.ts';
import { Supervisor } from '../src/guard/supervisor.ts';
import { ProcessWorld } from './process-world.ts';

const WATCHER = 10;

/** A watcher that hears what the supervisor says, and says what a test has it say. */
class FakeWatcher extends EventEmitter {
  readonly pid = WATCHER;
  readonly heard: GuardMessage[] = [];
  readonly #socket: Duplex;
  readonly stdio: readonly unknown[];

  constructor() {
    super();
    const { heard } = this;
    this.#socket = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        heard.push(JSON.parse(chunk.toString()) as GuardMessage);
        done();
      },
    });
    this.stdio = [null, null, null, null, this.#socket];
  }

  say(message: WatcherMessage): void {
    this.#socket.push(`${JSON.stringify(message)}\n`);
  }

  exit(): void {
    this.emit('exit', 0, null);
    this.#socket.destroy();
  }
}

let world: ProcessWorld;
let watcher: FakeWatcher;
let supervisor: Supervisor;
let said: string[];
let term: LeaseTerm;

function termNow(): LeaseTerm {
  const { clock } = world;
  return { sinceMonotonicMs: clock.monotonicMs(), sinceWallMs: clock.wallMs(), leaseMs: 5_000 };
}

/** Streams tell what has come in a turn of their own. */
const turns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

beforeEach(() => {
  world = new ProcessWorld();
  world.add(WATCHER, 1);
  world.add(11, WATCHER, () => 'lives');
  watcher = new FakeWatcher();
  said = [];
  term = termNow();
  supervisor = new Supervisor({
    clock: world.clock,
    descendants: world.descendants,
    spawnWatcher: () => watcher as unknown as ChildProcess,
    say: (line) => said.push(line),
    currentTerm: () => term,
  });
});

/** What Node does when the watcher has been killed. */
function watcherIsKilled(): void {
  world.end(WATCHER);
  watcher.exit();
  world.processes.delete(WATCHER);
}

describe('a supervisor', () => {
  it('tells the lease at the start and each time that it was renewed', async () => {
    supervisor.start();
    for (let beat = 0; beat < 3; beat++) {
      await world.simulated.advance(1_000);
      term = termNow();
    }
    await world.simulated.advance(1_000);
    expect(watcher.heard.map(({ kind }) => kind)).toEqual([
      'start',
      'renewed',
      'renewed',
      'renewed',
    ]);
    expect(world.living()).toEqual([WATCHER, 11]);
  });

  it('passes on how the program ended, when its watcher has left', async () => {
    supervisor.start();
    watcher.say({ kind: 'ended', status: 4, signal: null });
    watcher.say({ kind: 'gone' });
    await turns();
    watcher.exit();
    expect(await supervisor.ended).toEqual({
      program: { status: 4, signal: null },
      forced: undefined,
    });
  });

  it('kills all by itself when the lease is nearly over and the watcher has not', async () => {
    supervisor.start();
    await world.simulated.advance(4_400);
    expect(world.living()).toEqual([WATCHER, 11]);
    await world.simulated.advance(150);
    expect(world.living()).toEqual([]);
    watcherIsKilled();
    await world.simulated.advance(100);
    expect((await supervisor.ended).forced).toBe('lease');
  });

  it('kills all by itself when the watcher does not do so at once for a lost claim', async () => {
    supervisor.start();
    supervisor.kill();
    await world.simulated.advance(200);
    expect(world.living()).toEqual([WATCHER, 11]);
    await world.simulated.advance(100);
    expect(world.living()).toEqual([]);
    expect(watcher.heard.at(-1)).toEqual({ kind: 'kill' });
    watcherIsKilled();
    await world.simulated.advance(100);
    expect((await supervisor.ended).forced).toBe('claim');
  });

  it('kills what is left when the watcher was killed', async () => {
    supervisor.start();
    watcherIsKilled();
    await turns();
    await world.simulated.advance(100);
    expect(world.living()).toEqual([]);
    expect(await supervisor.ended).toEqual({
      program: { status: null, signal: 'SIGKILL' },
      forced: 'watcher-gone',
    });
  });

  it('says 126 when no watcher can be started', async () => {
    const failing = new Supervisor({
      clock: world.clock,
      descendants: world.descendants,
      spawnWatcher: () =>
        spawn('/no/such/program', [], { stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'] }),
      say: (line) => said.push(line),
      currentTerm: () => term,
    });
    expect((await failing.ended).program).toEqual({ status: 126, signal: null });
    expect(said).toEqual([expect.stringContaining('ENOENT')]);
  });
});
