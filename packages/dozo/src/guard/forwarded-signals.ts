/**
 * Signals that the guard passes on to the program.
 *
 * A terminal sends Ctrl-C and its like to the whole foreground group, and the program is in it with the
 * guard: passing on would give it twice. So while the guard is in the foreground of its terminal, those
 * that a terminal sends are not passed on. Everything else is: an orchestrator signals the guard alone.
 */
import { readFileSync } from 'node:fs';

/** All that are listened to. SIGKILL and SIGSTOP cannot be. */
export const FORWARDED_SIGNALS = [
  'SIGTERM',
  'SIGINT',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
  'SIGTSTP',
] as const satisfies readonly NodeJS.Signals[];

export type ForwardedSignal = (typeof FORWARDED_SIGNALS)[number];

const SENT_BY_TERMINALS = new Set<ForwardedSignal>(['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH']);

/** What to do with a signal: `stop` is what a shell waits for after Ctrl-Z. */
export function answerTo(
  signal: ForwardedSignal,
  isForeground: boolean,
): 'forward' | 'ignore' | 'stop' {
  if (!isForeground || !SENT_BY_TERMINALS.has(signal)) return 'forward';
  return signal === 'SIGTSTP' ? 'stop' : 'ignore';
}

/** Whether this process is in the foreground group of its terminal; false without a terminal. */
export function isInForeground(statPath = '/proc/self/stat'): boolean {
  let text: string;
  try {
    text = readFileSync(statPath, 'latin1');
  } catch {
    return false;
  }
  // After the name: state, parent, group, session, terminal, foreground group of the terminal.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[4]) !== 0 && fields[2] === fields[5];
}
