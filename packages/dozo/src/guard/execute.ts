/**
 * `guard-exec`: the last step of our own code before the program, in the program's own process.
 *
 * It sees to it that the program dies with whoever started it, gives the signals their default meaning
 * back that Node had changed, lets the locked descriptor through, and becomes the program. Node's own
 * `process.execve` will not do: it aborts the process when the program cannot be run.
 */
import { constants } from 'node:os';

import type { ProcessCalls } from '@dozo/platform';

import { findCommand, refusal } from './command-path.ts';
import type { FoundCommand } from './command-path.ts';
import { PROGRAM_DESCRIPTOR_MIN } from './limits.ts';

/** What the kernel is asked for. */
export type ExecuteCalls = Pick<
  ProcessCalls,
  'sendOnParentDeath' | 'restoreSignal' | 'keepAcrossExec' | 'duplicateDescriptor' | 'execute'
>;

export interface ExecuteOptions {
  readonly calls: ExecuteCalls;
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Who started us; whoever is our parent now. */
  readonly expectedParentPid: number;
  readonly parentPid: () => number;
  readonly lockedDescriptor: number;
}

/** Node ignores both, and an ignored signal stays so in the next program. */
const IGNORED_BY_NODE = ['SIGPIPE', 'SIGXFSZ'] as const;

/** What became of it when it did not become the program: a status and one line, if there is one. */
export interface NotExecuted {
  readonly status: number;
  readonly line?: string;
}

/** Becomes the program; returns only when that failed. */
export function executeProgram(options: ExecuteOptions): NotExecuted {
  const { calls, command, environment } = options;
  const name = command[0] ?? '';
  calls.sendOnParentDeath(constants.signals.SIGKILL);
  // The signal is sent only for a death after the call.
  if (options.parentPid() !== options.expectedParentPid) return { status: 128 + 9 };
  for (const signal of IGNORED_BY_NODE) calls.restoreSignal(constants.signals[signal]);
  for (const descriptor of [0, 1, 2]) calls.keepAcrossExec(descriptor);
  // Ours is close-on-exec, as Node makes all that it inherits.
  const held = calls.duplicateDescriptor(options.lockedDescriptor, PROGRAM_DESCRIPTOR_MIN);
  if (typeof held === 'string') {
    return { status: 126, line: `cannot run ${name}: it cannot inherit the lock (${held})` };
  }
  const found = findCommand(name, environment['PATH']);
  return notExecuted(found.kind === 'found' ? become(found.path, options) : found);
}

function become(path: string, { calls, command, environment }: ExecuteOptions): FoundCommand {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value ?? ''}`);
  const failure = calls.execute(path, command, variables);
  if (failure !== 'ENOEXEC') return refusal(path, failure);
  // A script without its first line: shells, and execvp(3), run it with sh.
  return refusal('/bin/sh', calls.execute('/bin/sh', ['sh', path, ...command.slice(1)], variables));
}

function notExecuted(found: FoundCommand): NotExecuted {
  if (found.kind === 'found') return { status: 126 };
  return { status: found.status, line: `cannot run ${found.reason}` };
}
