/** What this user may do on this machine: tried out, because root in a container may less than root. */
import { hasCode } from '@dozo/base';

import type { CommandError } from '../errors.ts';
import { containerCommand } from './container.ts';
import { runTool } from './run-tool.ts';

/** Undefined: it works. Else the reason why it does not. */
export interface Abilities {
  /** Mount namespaces, and device nodes in them. */
  readonly containers: string | undefined;
  readonly loopDevices: string | undefined;
  /** `setpriv` can make a child die with its parent. */
  readonly deathSignal: string | undefined;
}

/** Tries. `directory` must be empty, `file` a regular file of at least a block. */
export async function tryAbilities(directory: string, file: string): Promise<Abilities> {
  return {
    containers: await reasonAgainst(async () => {
      const node = { path: `${directory}/node`, major: 7, minor: 0 };
      await runTool(
        containerCommand({ privateDirectory: directory, deviceNodes: [node] }, ['true']),
      );
    }),
    loopDevices: await reasonAgainst(async () => {
      const device = await runTool(['losetup', '--find', '--show', file]);
      await runTool(['losetup', '--detach', device]);
    }),
    deathSignal: await reasonAgainst(async () => {
      await runTool(['setpriv', '--pdeathsig', 'KILL', 'true']);
    }),
  };
}

async function reasonAgainst(attempt: () => Promise<void>): Promise<string | undefined> {
  try {
    await attempt();
    return undefined;
  } catch (error) {
    if (!hasCode(error, 'LAB_FAILED')) throw error;
    return (error as CommandError).message.replace(/^.*: (?=[^:]+: [^:]+$)/s, '');
  }
}
