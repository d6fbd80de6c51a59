/**
 * Where the command line begins and ends: gives the commands the real world, turns what they throw
 * into one line and an exit status.
 */
import { createInterface } from 'node:readline/promises';

import { boundProcessMemory, openSystemClock, SystemRandom } from '@dozo/platform';

import type { CommandContext } from './command-context.ts';
import { EXIT_BUG, exitStatusOf } from './exit-codes.ts';
import { keepProcessAlive } from './guard/keep-alive.ts';
import { runProgram } from './program.ts';

const bugs = {
  report: (error: unknown): void => {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`dozo: this is a bug in dozo, please report it:\n${trace}\n`);
  },
};

/** Runs one command line and ends the process with its status. */
export async function main(args: readonly string[]): Promise<void> {
  // Before anything touches the standard streams: they belong to the program that is guarded, and Node
  // makes pipes non-blocking for all who share them.
  if (args[0] === 'guard') {
    const guard = await import('./guard/main.ts');
    await guard.main(args);
    return;
  }
  surviveLostReaders();
  process.on('uncaughtException', (error) => {
    dieOfBug(error);
  });
  process.on('unhandledRejection', (reason) => {
    dieOfBug(reason);
  });
  // A command that waits for time alone would end in the middle, with nothing said and status 0.
  keepProcessAlive();
  process.exit(await runCommandLine(args, realContext()));
}

/** Runs one command line; what it throws becomes one line on standard error and a status. */
export async function runCommandLine(
  args: readonly string[],
  context: CommandContext,
): Promise<number> {
  try {
    return await runProgram(args, context);
  } catch (error) {
    const status = exitStatusOf(error);
    if (status === EXIT_BUG) context.bugs.report(error);
    else context.errorOutput.write(`dozo: ${(error as Error).message}\n`);
    return status;
  }
}

function realContext(): CommandContext {
  return {
    environment: process.env,
    output: process.stdout,
    errorOutput: process.stderr,
    ask: process.stdin.isTTY && process.stderr.isTTY ? askOnTerminal : undefined,
    openClock: openSystemClock,
    random: new SystemRandom(),
    boundMemory: boundProcessMemory,
    signals: {
      on: (signal, listener) => process.on(signal, listener),
      off: (signal, listener) => process.off(signal, listener),
      exit: (status) => process.exit(status),
    },
    bugs,
  };
}

async function askOnTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question);
  } finally {
    terminal.close();
  }
}

/** A reader that has gone (`dozo device show X | head`) is no reason to crash, or to stop a daemon. */
function surviveLostReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') dieOfBug(error);
    });
  }
}

function dieOfBug(error: unknown): never {
  bugs.report(error);
  process.exit(EXIT_BUG);
}
