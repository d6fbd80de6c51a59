/** Runs a small program of the system to its end. */
import { execFile } from 'node:child_process';

import { causeName, CommandError } from '../errors.ts';
import type { CommandLine } from './container.ts';
import { STEP_MS_MAX } from './limits.ts';

/** What a program said on its standard output, trimmed. Rejects with `LAB_FAILED`. */
export function runTool([program, ...args]: CommandLine): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: STEP_MS_MAX, env: toolEnvironment() };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout.trim());
      else reject(toolFailed([program, ...args], stderr.trim(), error));
    });
  });
}

/** Ours, with the directories of the administrator's programs, which not every PATH has. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin` };
}

function toolFailed(command: readonly string[], said: string, cause: unknown): CommandError {
  return new CommandError(
    `the lab cannot go on: ${command.slice(0, 6).join(' ')}: ${said === '' ? causeName(cause) : said}`,
    { code: 'LAB_FAILED' },
    { cause },
  );
}
