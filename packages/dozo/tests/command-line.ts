/** Runs a command line in this process, with the real ports: what needs no process of its own. */
import { openSystemClock, SystemRandom } from '@dozo/platform';

import type { CommandContext } from '../src/command-context.ts';
import { runCommandLine } from '../src/main.ts';

export interface Outcome {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

/** What a test may change about the world. */
export type World = Partial<Pick<CommandContext, 'environment' | 'ask'>>;

/** Runs `dozo ARGS` to its end. */
export async function dozo(args: readonly string[], world: World = {}): Promise<Outcome> {
  let output = '';
  let errors = '';
  const status = await runCommandLine(args, {
    environment: {},
    output: { write: (text) => (output += text) },
    errorOutput: { write: (text) => (errors += text) },
    ask: undefined,
    openClock: openSystemClock,
    boundMemory: () => Promise.resolve(),
    random: new SystemRandom(),
    signals: { on: () => undefined, off: () => undefined, exit: () => undefined },
    bugs: { report: (error) => (errors += `BUG ${String(error)}`) },
    ...world,
  });
  return { status, output, errors };
}
