/**
 * `dozo guard` shares its standard streams with the program: they stay as they were, and somebody who
 * does not read them (a log collector that hangs, a terminal stopped with Ctrl-S) keeps nobody alive.
 */
import { closeSync, constants, openSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GuardProcess, isAlive, killAllGuards, shell } from './harness/guard-process.ts';
import { runCommand } from './harness/run-command.ts';
import { Scratch } from './harness/scratch.ts';

const scratch = new Scratch('guard-streams');
let volume: string;
let pipe: string;
let reader: number;
let count = 0;

beforeEach(async () => {
  volume = scratch.directory(`volume-${++count}`);
  pipe = `${volume}/errors`;
  await runCommand('mkfifo', [pipe]);
  // Open, so that writers find a reader, and never read.
  reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
});

afterEach(() => {
  killAllGuards();
  closeSync(reader);
});

afterAll(() => {
  scratch.remove();
});

/** A guard with the pipe for `redirection`, and its program too. */
function guard(command: readonly string[], redirection = '2> "$0"'): GuardProcess {
  return new GuardProcess({
    volume,
    command,
    before: ['sh', '-c', `exec "$@" ${redirection}`, pipe],
  });
}

/** Fills the pipe, then runs until it is ended. */
const FILLS = shell('(yes >&2) & sleep 0.5; echo FULL=$!; while :; do sleep 0.05; done');

test.each(['stdout', 'stderr'])(
  '%s of the program is a pipe that blocks, as it was',
  async (name) => {
    const flags = `${volume}/flags`;
    const descriptor = name === 'stdout' ? 1 : 2;
    const command = ['sh', '-c', `cat /proc/$$/fdinfo/${descriptor} > '${flags}'; exit 5`];
    const program = guard(command, `${descriptor}> "$0"`);
    expect((await program.closed).status).toBe(5);
    const [, octal = ''] = /^flags:\s*(\d+)$/m.exec(readFileSync(flags, 'latin1')) ?? [];
    // O_NONBLOCK is 04000, O_WRONLY is 1.
    expect(Number.parseInt(octal, 8) & 0o4001).toBe(1);
  },
);

describe('when nobody reads standard error', () => {
  test('the guard kills as ever', async () => {
    const first = guard(FILLS);
    const pid = await first.pidOf('PROGRAM');
    await first.pidOf('FULL');
    rmSync(`${volume}/.dozo-claim`);
    expect((await first.closed).status).toBe(10);
    expect(isAlive(pid)).toBe(false);
  });

  test('the watcher of a guard that was stopped kills as ever', async () => {
    const first = guard(FILLS);
    const pid = await first.pidOf('PROGRAM');
    await first.pidOf('FULL');
    first.signal('SIGSTOP');
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
    first.signal('SIGCONT');
    expect((await first.closed).status).toBe(10);
  });
});
