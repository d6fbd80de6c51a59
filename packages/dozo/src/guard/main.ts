/**
 * `dozo guard` from its first line to its exit status. A module of its own that needs little: the
 * program starts two more processes from it, and a single file is made of it.
 *
 *     guard ARGS | ARGS          the guard itself
 *     guard-watch -- COMMAND     its watcher      (hidden)
 *     guard-exec PID -- COMMAND  becomes COMMAND  (hidden)
 */
import { isSea } from 'node:sea';

import { loadProcessCalls, openSystemClock, SystemRandom } from '@dozo/platform';

import { EXIT_BUG, EXIT_DONE, exitStatusOf } from '../exit-codes.ts';
import { GUARD_HELP, parseGuardTask } from './guard-options.ts';
import { runGuard } from './guard.ts';
import { runExecute, runWatcher } from './hidden-entries.ts';
import { keepProcessAlive } from './keep-alive.ts';
import { print, say } from './say.ts';
import { leaveStreamsToProgram } from './shared-streams.ts';
import { showVolume } from './volume-status.ts';

/** How this program starts itself again: in one file, or as a script under the same Node. */
function ownCommand(): readonly string[] {
  if (isSea()) return [process.execPath];
  return [process.execPath, ...process.execArgv, import.meta.filename];
}

/** Runs one command line and ends the process. */
export async function main(args: readonly string[]): Promise<void> {
  leaveStreamsToProgram();
  keepProcessAlive();
  const [entry] = args;
  const split = args.indexOf('--');
  if (entry === 'guard-watch') {
    await runWatcher(args.slice(split + 1), ownCommand(), await loadProcessCalls());
  } else if (entry === 'guard-exec') {
    runExecute(Number(args[1]), args.slice(split + 1), await loadProcessCalls());
  } else {
    process.exit(await runGuardCommand(entry === 'guard' ? args.slice(1) : args));
  }
}

/** Runs `dozo guard ARGS`; what goes wrong becomes one line and a status. */
export async function runGuardCommand(args: readonly string[]): Promise<number> {
  try {
    const task = parseGuardTask(args);
    if (task.kind === 'help') {
      print(GUARD_HELP);
      return EXIT_DONE;
    }
    const clock = await openSystemClock();
    if (task.kind === 'status') return await showVolume(task, clock, print);
    return await runGuard(task, {
      environment: process.env,
      clock,
      random: new SystemRandom(),
      calls: await loadProcessCalls(),
      ownCommand: ownCommand(),
      say,
    });
  } catch (error) {
    const status = exitStatusOf(error);
    const isBug = status === EXIT_BUG;
    const text = error instanceof Error ? (isBug ? error.stack : error.message) : String(error);
    say(isBug ? `this is a bug in dozo, please report it:\n${text ?? ''}` : (text ?? ''));
    return status;
  }
}

// The processes that a guard starts run this file itself. (A single file begins in `single-file/`.)
if (!isSea() && process.argv[1] === import.meta.filename) void main(process.argv.slice(2));
