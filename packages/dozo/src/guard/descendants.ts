/**
 * Ending everything below this process, which must be a subreaper.
 *
 * That nobody is left is the kernel's word, not a guess from a list: an orphan becomes our child in
 * the same instant in which its parent ends, so "no child" means "no descendant". The list of
 * processes only says whom to signal; what was forked meanwhile is found in the next round.
 */
import { sleep } from '@dozo/base';
import type { Clock } from '@dozo/base';
import type { ProcessCalls } from '@dozo/platform';

import { KILL_FAST_ROUNDS, KILL_ROUND_MS, KILL_SLOW_ROUND_MS } from './limits.ts';
import { descendantsOf } from './process-table.ts';
import type { ProcessEntry } from './process-table.ts';

/** What the kernel is asked about children. */
export type ChildCalls = Pick<ProcessCalls, 'peekEnded' | 'reap' | 'hasChild'>;

export interface DescendantsOptions {
  readonly calls: ChildCalls;
  readonly clock: Clock;
  readonly ownPid: number;
  readonly readTable: () => readonly ProcessEntry[];
  /** Throws like `process.kill`. */
  readonly kill: (pid: number, signal: NodeJS.Signals) => void;
}

/** The processes below this one. */
export class Descendants {
  readonly #options: DescendantsOptions;
  readonly #awaited = new Set<number>();

  constructor(options: DescendantsOptions) {
    this.#options = options;
  }

  /** Somebody else takes the status of this child, and must be able to. */
  leaveTo(pid: number): void {
    this.#awaited.add(pid);
  }

  /** The status was taken. */
  wasTaken(pid: number): void {
    this.#awaited.delete(pid);
  }

  /** Reaps what has ended; @returns whether anybody is left. */
  reap(): 'none' | 'some' {
    const { calls } = this.#options;
    for (;;) {
      const ended = calls.peekEnded();
      if (ended === undefined) return calls.hasChild() ? 'some' : 'none';
      // The kernel shows the same one again until its status is taken; the rest is reaped after that.
      if (this.#awaited.has(ended.processId)) return 'some';
      calls.reap(ended.processId);
    }
  }

  /** Those that still run, each after its parent. */
  living(): ProcessEntry[] {
    const { readTable, ownPid } = this.#options;
    return descendantsOf(readTable(), ownPid).filter(({ hasEnded }) => !hasEnded);
  }

  /** Sends a signal to each; @returns those that the kernel did not let us send it to. */
  signalAll(signal: NodeJS.Signals): ProcessEntry[] {
    return this.living().filter(({ pid }) => {
      try {
        this.#options.kill(pid, signal);
        return false;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code !== 'ESRCH';
      }
    });
  }

  /**
   * Kills until nobody is left, however long that takes.
   *
   * @param onStuck told from time to time who outlives SIGKILL: a process that waits for a disk ends
   *   when the disk answers; one of another user cannot be killed by us at all.
   */
  async killAll(onStuck: (stuck: readonly ProcessEntry[]) => void): Promise<void> {
    for (let round = 1; this.reap() !== 'none'; round++) {
      this.signalAll('SIGKILL');
      const isSlow = round > KILL_FAST_ROUNDS;
      if (round % KILL_FAST_ROUNDS === 0) onStuck(this.living());
      await sleep(this.#options.clock, isSlow ? KILL_SLOW_ROUND_MS : KILL_ROUND_MS);
    }
  }
}
