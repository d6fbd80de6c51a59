/**
 * What a daemon of the lab and the lab say to each other: reports as JSON lines on the daemon's
 * standard output, and the word `stop` on its standard input. A daemon whose input ends has lost its
 * lab, and ends as well.
 */
import { createInterface } from 'node:readline';

import { DozoError } from '@dozo/base';

/** What a daemon reports. */
export type DaemonReport =
  /** It serves. `lock` says in words what it has locked, or that it has not; `recordCount` how many records it found. */
  | { readonly kind: 'started'; readonly lock: string; readonly recordCount: number }
  /** A record is durable, as far as the daemon can tell. */
  | { readonly kind: 'acknowledged'; readonly key: string; readonly version: number }
  /** It waits for another holder. */
  | { readonly kind: 'watching'; readonly holder: string; readonly watchMs: number }
  /** It did not start. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  /** It served, and cannot any more. */
  | { readonly kind: 'ended'; readonly code: string; readonly message: string }
  /** It was asked to end (SIGTERM) and goes on until its clients are gone. */
  | { readonly kind: 'terminating' }
  /** It was told to stop, and has closed everything. */
  | { readonly kind: 'closed' };

/** The arguments of a daemon, given to it as JSON in its first argument. */
export function daemonArguments(): unknown {
  return JSON.parse(process.argv[2] ?? '{}');
}

/** Tells the lab. A pipe takes it at once: what was reported is not lost when the daemon is killed. */
export function report(event: DaemonReport): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** The code of an error of ours or of the kernel, else its name. */
export function errorCode(error: unknown): string {
  if (error instanceof DozoError) return (error.detail as { readonly code: string }).code;
  if (!(error instanceof Error)) return 'UNKNOWN';
  return (error as NodeJS.ErrnoException).code ?? error.name;
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Listens to the lab: the signal is aborted when it says `stop`. Keeps the process alive from now on, and
 * ends it when the lab is gone.
 *
 * SIGTERM is reported and not obeyed: like many a server, a daemon of the lab goes on as long as it
 * has clients. That is the time in which the accident happens.
 */
export function obeyTheLab(): AbortSignal {
  const stop = new AbortController();
  process.on('SIGTERM', () => {
    report({ kind: 'terminating' });
  });
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (line === 'stop') stop.abort();
  });
  lines.on('close', () => process.exit(1));
  process.stdout.on('error', () => process.exit(1));
  return stop.signal;
}
