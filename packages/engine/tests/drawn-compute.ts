/**
 * Where a run computes its merges, drawn from its seed: half of the runs inline, as `openEngine` does by
 * itself, the others on threads that are simulated, as a server does on real ones.
 *
 * Those are apart from the engine's thread or not, anew at each opening, and some of their tasks are lost:
 * few, or so many that merges give up on them.
 */
import { SeededRandom } from '@dozo/base';
import type { Compute } from '@dozo/base';
import { SimulatedCompute } from '@dozo/simulator';
import type { SimulatedClock } from '@dozo/simulator';

const LOST_SHARES = [0.05, 0.3, 0.8];

/** See the file comment. */
export class DrawnCompute {
  /** Whether it is the engine's own thread, always. */
  readonly isInline: boolean;
  readonly #random: SeededRandom;
  #current: SimulatedCompute | undefined;
  #taskCount = 0;
  #lostCount = 0;

  /** @param isInline default: as the seed says. */
  constructor(seed: number, isInline?: boolean) {
    // A generator of its own: what else the seed decides does not depend on it.
    this.#random = new SeededRandom(`compute/${seed}`);
    // Two and two, so that it is not always the odd or always the even seeds.
    this.isInline = isInline ?? Math.floor(seed / 2) % 2 === 0;
  }

  /** Tasks that threads have taken, and how many of those were lost. */
  get counts(): { readonly threadTasks: number; readonly lostTasks: number } {
    const { taskCount = 0, lostCount = 0 } = this.#current ?? {};
    return { threadTasks: this.#taskCount + taskCount, lostTasks: this.#lostCount + lostCount };
  }

  /** What to open the engine with once more. */
  next(clock: SimulatedClock): { readonly compute?: Compute } {
    if (this.isInline) return {};
    const { threadTasks, lostTasks } = this.counts;
    this.#taskCount = threadTasks;
    this.#lostCount = lostTasks;
    const lostShare = this.#random.pick(LOST_SHARES);
    this.#current = new SimulatedCompute({ clock, seed: this.#random.uint32(), lostShare });
    return { compute: this.#current };
  }
}
