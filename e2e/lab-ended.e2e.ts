/**
 * `dozo lab double-start`, ended before its end: nothing is left of it. Needs root and loop devices. All at
 * once, because each has to wait until its story has come to the moment.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync } from 'node:fs';
import { afterAll, describe, test } from 'vitest';
import { whyNoLoopDevices } from './harness/kernel-objects.ts';
import { labArguments, leftBehind } from './harness/lab-run.ts';
import { Scratch } from './harness/scratch.ts';

const scratch = new Scratch('lab-ended');

afterAll(() => {
  scratch.remove();
});

/** Starts it and reads along until its story has come to `text`. */
async function startUntil(
  directory: string,
  text: RegExp,
): Promise<{ readonly child: ChildProcess; readonly story: () => string }> {
  const child = spawn(process.execPath, labArguments(directory), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.setEncoding('utf8');
  for await (const part of child.stdout.iterator({ destroyOnReturn: false })) {
    told += String(part);
    if (text.test(told)) break;
  }
  child.stdout.on('data', (part: string) => (told += part));
  return { child, story: () => told };
}

describe.runIf(whyNoLoopDevices() === undefined)('as root, with loop devices', () => {
  test.concurrent.for([
    ['while two naive daemons write', /Both write\./],
    ['while LevelDB is opened', /2\. LevelDB[^]*daemon A/],
    ['while a daemon is stopped', /\(SIGSTOP\)/],
  ] as const)('Ctrl-C %s leaves nothing behind', async ([name, moment], { expect }) => {
    const directory = scratch.directory(name.replaceAll(' ', '-'));
    const { child, story } = await startUntil(directory, moment);
    child.kill('SIGINT');
    const [status] = (await once(child, 'close')) as [number | null];
    expect(status).toBe(130);
    expect(await leftBehind(directory, story())).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test.concurrent(
    'kill -9 leaves no process, no loop device and no mount, but a directory',
    async ({ expect }) => {
      const directory = scratch.directory('killed');
      const { child, story } = await startUntil(directory, /\(SIGSTOP\)/);
      child.kill('SIGKILL');
      await once(child, 'close');
      expect(await leftBehind(directory, story())).toEqual([]);
      expect(readdirSync(directory)).toHaveLength(1);
      rmSync(directory, { recursive: true });
    },
  );
});
