/** For the tests of the guard: processes of a made-up machine, in virtual time. */
import type { Clock, Timer } from '@dozo/base';
import { SimulatedClock } from '@dozo/simulator';

import { Descendants } from '../src/guard/descendants.ts';
import type { ProcessEntry } from '../src/guard/process-table.ts';

interface FakeProcess {
  readonly pid: number;
  parentPid: number;
  hasEnded: boolean;
  /** Signals that it has been sent, in order. */
  readonly signals: NodeJS.Signals[];
  /** What it does with a signal; the default: every one but SIGSTOP and SIGCONT ends it. */
  readonly onSignal: (signal: NodeJS.Signals) => 'ends' | 'lives' | 'refuses';
}

const ENDED_BY = new Set(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

/** A subreaper, pid 1 here, and what is below it. */
export class ProcessWorld {
  readonly simulated = new SimulatedClock({ seed: 'guard' });
  readonly processes = new Map<number, FakeProcess>();
  readonly reaped: number[] = [];
  #sleptMs = 0;

  /** Time that passes without anything running: the process was stopped. */
  sleep(durationMs: number): void {
    this.#sleptMs += durationMs;
  }

  readonly clock: Clock = {
    wallMs: () => this.simulated.wallMs() + this.#sleptMs,
    monotonicMs: () => this.simulated.monotonicMs() + this.#sleptMs,
    turn: () => this.simulated.turn(),
    startTimer: (delayMs, callback): Timer => this.simulated.startTimer(delayMs, callback),
  };

  readonly descendants = new Descendants({
    clock: this.clock,
    ownPid: 1,
    calls: {
      peekEnded: () => {
        const ended = this.#children().find(({ hasEnded }) => hasEnded);
        return ended && { processId: ended.pid, end: { kind: 'exit', status: 0 } };
      },
      reap: (pid) => {
        this.reaped.push(pid);
        this.processes.delete(pid);
        return undefined;
      },
      hasChild: () => this.#children().length > 0,
    },
    readTable: () => this.#table(),
    kill: (pid, signal) => this.signal(pid, signal),
  });

  add(
    pid: number,
    parentPid: number,
    onSignal: FakeProcess['onSignal'] = (signal) => (ENDED_BY.has(signal) ? 'ends' : 'lives'),
  ): FakeProcess {
    const added = { pid, parentPid, hasEnded: false, signals: [], onSignal };
    this.processes.set(pid, added);
    return added;
  }

  /** Its end: a zombie until it is reaped, its children become pid 1's. */
  end(pid: number): void {
    const ended = this.processes.get(pid);
    if (ended === undefined || ended.hasEnded) return;
    ended.hasEnded = true;
    for (const child of this.processes.values()) if (child.parentPid === pid) child.parentPid = 1;
    // Whose parent does not wait for it is nobody's business here.
    if (ended.parentPid !== 1) this.processes.delete(pid);
  }

  signal(pid: number, signal: NodeJS.Signals): void {
    const target = this.processes.get(pid);
    if (target === undefined) throw Object.assign(new Error('gone'), { code: 'ESRCH' });
    if (target.hasEnded) return;
    const answer = target.onSignal(signal);
    if (answer === 'refuses') throw Object.assign(new Error('no'), { code: 'EPERM' });
    target.signals.push(signal);
    if (signal === 'SIGKILL' || answer === 'ends') this.end(pid);
  }

  /** Who runs. */
  living(): number[] {
    return [...this.processes.values()].filter(({ hasEnded }) => !hasEnded).map(({ pid }) => pid);
  }

  #children(): FakeProcess[] {
    return [...this.processes.values()].filter(({ parentPid }) => parentPid === 1);
  }

  #table(): ProcessEntry[] {
    return [...this.processes.values()].map(({ pid, parentPid, hasEnded }) => ({
      pid,
      parentPid,
      hasEnded,
      name: `p${pid}`,
    }));
  }
}
