/**
 * One daemon of the lab, seen from outside: its process, what it has reported, and which records it
 * has acknowledged. Everything that is waited for ends with the daemon, after a time, or when the
 * person at the terminal has had enough.
 */
import type { ChildProcess } from 'node:child_process';
import type { constants } from 'node:os';

import { hasCode } from '@dozo/base';
import type { Clock } from '@dozo/base';

import { CommandError } from '../errors.ts';
import type { DaemonReport } from './daemon-protocol.ts';
import { CLOSE_MS_MAX, DAEMON_STDERR_BYTES_MAX, REPORT_BYTES_MAX, STEP_MS_MAX } from './limits.ts';
import type { LabRecord } from './records.ts';

type ReportOf<Kind extends DaemonReport['kind']> = Extract<DaemonReport, { readonly kind: Kind }>;

interface Waiter {
  /** Looks whether it is there; settles what waits if so. */
  look(): boolean;
  fail(error: Error): void;
}

export interface DaemonProcessOptions {
  /** How the story calls it: `daemon A`. */
  readonly name: string;
  readonly child: ChildProcess;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class DaemonProcess {
  readonly name: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #waiters = new Set<Waiter>();
  readonly #reports: DaemonReport[] = [];
  readonly #acknowledged: LabRecord[] = [];
  #line = '';
  #errorText = '';
  #isGone = false;

  constructor({ name, child, clock, signal }: DaemonProcessOptions) {
    this.name = name;
    this.pid = child.pid ?? 0;
    this.#child = child;
    this.#clock = clock;
    this.#signal = signal;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#takeOutput(text);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-DAEMON_STDERR_BYTES_MAX);
    });
    // A daemon that is gone takes no more words.
    child.stdin?.on('error', () => undefined);
    child.on('error', (error) => {
      this.#errorText += error.message;
      this.#end();
    });
    child.on('close', () => {
      this.#end();
    });
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** How often it has acknowledged a write. */
  get acknowledgedCount(): number {
    return this.#acknowledged.length;
  }

  /** Every write that it has acknowledged so far, in that order. */
  get acknowledged(): readonly LabRecord[] {
    return this.#acknowledged;
  }

  /** The first report of that kind, if there was one. */
  reported<Kind extends DaemonReport['kind']>(kind: Kind): ReportOf<Kind> | undefined {
    return this.#reports.find((report): report is ReportOf<Kind> => report.kind === kind);
  }

  /** Waits until it has reported one of these. Rejects with `LAB_FAILED` when it ends without. */
  waitFor<Kind extends DaemonReport['kind']>(...kinds: readonly Kind[]): Promise<ReportOf<Kind>> {
    return this.#wait(`reports ${kinds.join(' or ')}`, () => {
      for (const kind of kinds) {
        const found = this.reported(kind);
        if (found !== undefined) return found;
      }
      return undefined;
    });
  }

  /** The same, but gives up after a time: undefined then, or when it ends without. */
  async waitForWithin<Kind extends DaemonReport['kind']>(
    withinMs: number,
    kind: Kind,
  ): Promise<ReportOf<Kind> | undefined> {
    try {
      return await this.#wait(`reports ${kind}`, () => this.reported(kind), withinMs);
    } catch (error) {
      if (!hasCode(error, 'LAB_FAILED')) throw error;
      return undefined;
    }
  }

  /** Waits until it has acknowledged so many writes in all. */
  async waitForAcknowledged(count: number): Promise<void> {
    await this.#wait(`acknowledges ${count} records`, () =>
      this.#acknowledged.length >= count ? true : undefined,
    );
  }

  /** Waits until its process is gone. */
  async waitForEnd(withinMs = STEP_MS_MAX): Promise<void> {
    await this.#wait('ends', () => (this.#isGone ? true : undefined), withinMs);
  }

  /** Tells it to close, and waits until its process is gone. */
  async stop(): Promise<void> {
    this.#child.stdin?.write('stop\n');
    await this.waitForEnd(CLOSE_MS_MAX);
  }

  /** Sends a signal; false when the process is gone. */
  send(signal: keyof typeof constants.signals): boolean {
    return this.#child.kill(signal);
  }

  /** SIGKILL, which also ends a stopped process, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.#isGone) return;
    this.#child.kill('SIGKILL');
    await this.waitForEnd();
  }

  /** SIGKILL without listening to anything else; for the very end. */
  async killAndForget(): Promise<void> {
    if (this.#isGone) return;
    const gone = new Promise<void>((resolve) => {
      this.#child.once('close', () => resolve());
    });
    this.#child.kill('SIGKILL');
    await gone;
  }

  #wait<Value>(
    what: string,
    look: () => Value | undefined,
    withinMs = STEP_MS_MAX,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#signal.aborted) {
        reject(abortReason(this.#signal));
        return;
      }
      const leave = (): void => {
        this.#waiters.delete(waiter);
        timer.cancel();
        this.#signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        look: () => {
          const value = look();
          if (value === undefined) return false;
          leave();
          resolve(value);
          return true;
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = (): void => {
        waiter.fail(abortReason(this.#signal));
      };
      const timer = this.#clock.startTimer(withinMs, () => {
        waiter.fail(this.#failed(`nothing after ${withinMs} ms; expected was that it ${what}`));
      });
      this.#signal.addEventListener('abort', onAbort);
      this.#waiters.add(waiter);
      if (!waiter.look() && this.#isGone) waiter.fail(this.#endedBefore(what));
    });
  }

  #takeOutput(text: string): void {
    const lines = (this.#line + text).split('\n');
    this.#line = (lines.pop() ?? '').slice(0, REPORT_BYTES_MAX);
    for (const line of lines) this.#takeReport(JSON.parse(line) as DaemonReport);
    for (const waiter of [...this.#waiters]) waiter.look();
  }

  #takeReport(report: DaemonReport): void {
    if (report.kind === 'acknowledged') {
      this.#acknowledged.push({ key: report.key, version: report.version });
    } else {
      this.#reports.push(report);
    }
  }

  #end(): void {
    this.#isGone = true;
    for (const waiter of [...this.#waiters]) {
      if (!waiter.look()) waiter.fail(this.#endedBefore('goes on'));
    }
  }

  #endedBefore(what: string): CommandError {
    const last = this.#reports.at(-1);
    const words = last === undefined ? '' : `; its last report: ${JSON.stringify(last)}`;
    return this.#failed(`it has ended; expected was that it ${what}${words}`);
  }

  #failed(what: string): CommandError {
    const said = this.#errorText.trim();
    return new CommandError(
      `the lab cannot go on: ${this.name} (pid ${this.pid}): ${what}${said === '' ? '' : `; it said: ${said}`}`,
      { code: 'LAB_FAILED' },
    );
  }
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
}
