/** The clients of a daemon in the lab: one record after the other, new ones and changes of old ones. */
import { sleep } from '@dozo/base';
import type { Clock } from '@dozo/base';

import { report } from './daemon-protocol.ts';
import { PACE_MS, REWRITE_EVERY } from './limits.ts';
import type { LabRecord } from './records.ts';

export interface PacedWriterOptions {
  /** Begins every key, so that no two daemons ever write the same one. */
  readonly prefix: string;
  readonly clock: Clock;
  /** Makes a record durable. What it throws ends the writing, and passes through. */
  readonly put: (record: LabRecord) => Promise<void>;
}

/** A prime: walks over all older keys before it comes to one again. */
const REWRITE_STRIDE = 7_919;

/** Writes until it is stopped; each record that `put` has taken is reported as acknowledged. */
export class PacedWriter {
  readonly #options: PacedWriterOptions;
  readonly #versions: number[] = [];
  #isStopping = false;

  constructor(options: PacedWriterOptions) {
    this.#options = options;
  }

  /** Resolves after {@link stop}, once what is in flight has been acknowledged. */
  async run(): Promise<void> {
    for (let count = 1; !this.#isStopping; count += 1) {
      const index =
        count % REWRITE_EVERY === 0
          ? (count * REWRITE_STRIDE) % this.#versions.length
          : this.#versions.length;
      const version = (this.#versions[index] ?? 0) + 1;
      const key = `${this.#options.prefix}-${String(index).padStart(6, '0')}`;
      await this.#options.put({ key, version });
      this.#versions[index] = version;
      report({ kind: 'acknowledged', key, version });
      await sleep(this.#options.clock, PACE_MS);
    }
  }

  stop(): void {
    this.#isStopping = true;
  }
}
