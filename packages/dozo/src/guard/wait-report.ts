/** What those who wait are told: each change at once, the same again only from time to time. */
import { WAIT_REPORT_MS } from './limits.ts';

/** Decides which lines are worth saying. */
export class WaitReport {
  readonly #nowMs: () => number;
  readonly #say: (line: string) => void;
  readonly #beganMs: number;
  #last: { readonly subject: string; readonly atMs: number } | undefined;

  constructor(options: { readonly nowMs: () => number; readonly say: (line: string) => void }) {
    this.#nowMs = options.nowMs;
    this.#say = options.say;
    this.#beganMs = options.nowMs();
  }

  /**
   * @param subject what it is about: the same subject is not told again before its time.
   * @param line made only when it is said.
   */
  tell(subject: string, line: () => string): void {
    const atMs = this.#nowMs();
    const isSame = this.#last?.subject === subject;
    if (isSame && atMs - (this.#last?.atMs ?? 0) < WAIT_REPORT_MS) return;
    this.#last = { subject, atMs };
    const waitedS = Math.floor((atMs - this.#beganMs) / 1000);
    this.#say(waitedS > 0 ? `${line()} (waiting for ${waitedS} s)` : line());
  }
}
