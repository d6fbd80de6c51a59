import { SeededRandom } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import type { CommandContext } from './command-context.ts';
import { runProgram } from './program.ts';
import { dozoVersion } from './version.ts';

interface Outcome {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

/** Runs a command line that must not get as far as touching anything. */
async function run(...args: string[]): Promise<Outcome> {
  let output = '';
  let errors = '';
  const never = (): never => {
    throw new Error('the command line got too far');
  };
  const context: CommandContext = {
    environment: {},
    output: { write: (text) => (output += text) },
    errorOutput: { write: (text) => (errors += text) },
    ask: undefined,
    openClock: never,
    boundMemory: never,
    random: new SeededRandom(1),
    signals: { on: never, off: never, exit: never },
    bugs: { report: never },
  };
  const status = await runProgram(args, context);
  return { status, output, errors };
}

describe('the command line', () => {
  it('shows every command in its help', async () => {
    const { status, output } = await run('help');
    expect(status).toBe(0);
    for (const name of ['up', 'status', 'device', 'guard', 'version', 'help']) {
      expect(output).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
    expect((await run('--help')).output).toBe(output);
    expect((await run('help', 'up')).output).toContain('--ready-file');
    expect((await run('help', 'guard')).output).toContain('--volume');
  });

  it('shows its versions, as JSON too', async () => {
    const { status, output } = await run('version');
    expect(status).toBe(0);
    expect(output).toContain(`dozo ${dozoVersion()} (Node.js ${process.versions.node}`);
    expect(JSON.parse((await run('version', '--json')).output)).toMatchObject({
      dozo: dozoVersion(),
      node: process.versions.node,
      platform: process.platform,
    });
  });

  it.each([
    { args: [], says: 'Usage: dozo' },
    { args: ['upp'], says: "unknown command 'upp'" },
    { args: ['up', 'more'], says: 'too many arguments' },
    { args: ['up', '--prt', '1'], says: 'Did you mean --port?' },
    { args: ['up', '--port', '65536'], says: 'from 0 to 65535' },
    { args: ['up', '--port', '-1'], says: 'from 0 to 65535' },
    { args: ['up', '--port', '9e3'], says: 'from 0 to 65535' },
    { args: ['up', '--size', 'big'], says: 'such as 20GiB' },
    { args: ['up', '--log-level', 'loud'], says: 'Allowed choices are' },
    { args: ['device', 'format'], says: "missing required argument 'path'" },
    { args: ['device', 'burn', '/dev/sda'], says: "unknown command 'burn'" },
  ])('refuses $args on standard error with status 2', async ({ args, says }) => {
    const { status, output, errors } = await run(...args);
    expect(status).toBe(2);
    expect(output).toBe('');
    expect(errors).toContain(says);
  });
});
