/**
 * The processes that a guard starts from its own program: the watcher, and what becomes the command.
 *
 *     guard-watch -- COMMAND...             descriptors: 3 locked file, 4 channel to the guard
 *     guard-exec WATCHER-PID -- COMMAND...  descriptors: 3 locked file
 *
 * Neither touches `process.stdout` and its kin: Node makes the pipes behind them non-blocking, and they
 * are the program's. Their own lines go out with a plain write.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

import { openSystemClock } from '@dozo/platform';
import type { ProcessCalls } from '@dozo/platform';

import { Channel, channelSocket } from './channel.ts';
import type { GuardMessage, WatcherMessage } from './channel.ts';
import { executeProgram } from './execute.ts';
import { FORWARDED_SIGNALS } from './forwarded-signals.ts';
import { Descendants } from './descendants.ts';
import { readProcessTable } from './process-table.ts';
import { say } from './say.ts';
import { CHANNEL_DESCRIPTOR, LOCK_DESCRIPTOR } from './supervisor.ts';
import { Watcher } from './watcher.ts';
import type { ProgramEnd } from './watcher.ts';

/** Options of Node for our own processes must not reach the program's, nor its options ours. */
const NODE_OPTIONS_KEPT = 'DOZO_GUARD_NODE_OPTIONS';

/** The environment of a process of ours. */
export function withoutNodeOptions(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: options, ...rest } = environment;
  return options === undefined ? rest : { ...rest, [NODE_OPTIONS_KEPT]: options };
}

/** ... and of the program. */
export function withNodeOptions(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [NODE_OPTIONS_KEPT]: options, ...rest } = environment;
  return options === undefined ? rest : { ...rest, NODE_OPTIONS: options };
}

/** Watches one program; ends the process. */
export async function runWatcher(
  command: readonly string[],
  ownCommand: readonly string[],
  calls: ProcessCalls,
): Promise<void> {
  // They are the program's: the terminal sends them to the whole group.
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => undefined);
  calls.becomeSubreaper();
  // Stopped, it would not notice that the guard has gone; and it may have gone already.
  calls.sendOnParentDeath(constants.signals.SIGCONT);
  const clock = await openSystemClock();
  const descendants = new Descendants({
    calls,
    clock,
    ownPid: process.pid,
    readTable: readProcessTable,
    kill: (pid, signal) => void process.kill(pid, signal),
  });
  const watcher = new Watcher({
    clock,
    descendants,
    startProgram: (onEnd) => startProgram(command, ownCommand, onEnd),
    signalProgram: (pid, signal) => signalProcess(pid, signal),
    send: (message) => channel.send(message),
    say,
    afterMessages: setImmediate,
    leave: (why) => {
      if (why === 'guard-gone') {
        say('the guard was killed, and with it all that the program had started');
      }
      void channel.end().then(() => process.exit(0));
    },
  });
  const channel = new Channel<WatcherMessage, GuardMessage>(
    channelSocket(CHANNEL_DESCRIPTOR),
    (message) => watcher.receive(message),
    () => watcher.guardIsGone(),
  );
  process.on('SIGCHLD', () => watcher.childEnded());
}

function startProgram(
  command: readonly string[],
  ownCommand: readonly string[],
  onEnd: (end: ProgramEnd) => void,
): number | undefined {
  const [program = '', ...before] = ownCommand;
  const args = [...before, 'guard-exec', String(process.pid), '--', ...command];
  const child = spawn(program, args, { stdio: ['inherit', 'inherit', 'inherit', LOCK_DESCRIPTOR] });
  child.once('exit', (status, signal) => onEnd({ status, signal }));
  child.once('error', (error) => {
    say(`cannot start ${command[0] ?? ''}: ${error.message}`);
  });
  return child.pid;
}

/** Becomes the program; ends the process when that fails. */
export function runExecute(
  expectedParentPid: number,
  command: readonly string[],
  calls: ProcessCalls,
): never {
  const { status, line } = executeProgram({
    calls,
    command,
    environment: withNodeOptions(process.env),
    expectedParentPid,
    parentPid: () => process.ppid,
    lockedDescriptor: LOCK_DESCRIPTOR,
  });
  if (line !== undefined) say(line);
  process.exit(status);
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended, and its end is on its way to us; or it is another user's and refuses.
  }
}
