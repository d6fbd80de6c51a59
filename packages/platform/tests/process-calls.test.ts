/** Real processes that end, are orphaned, reaped and killed with their parents. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Device } from '@dozo/base';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { createDeviceFile, loadProcessCalls, openFileDevice } from '../src/index.ts';

const index = join(import.meta.dirname, '..', 'src', 'index.ts');
const HEAD = `import { spawn } from 'node:child_process';
  import { loadProcessCalls } from ${JSON.stringify(index)};
  const calls = await loadProcessCalls();`;

const started: ChildProcess[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

/** Starts a program that has the calls as `calls`. */
function start(program: string): { child: ChildProcess; output: Readable } {
  const parameters = ['--input-type=module-typescript', '-e', `${HEAD}\n${program}`];
  const child = spawn(process.execPath, parameters, { stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(child);
  return { child, output: child.stdout };
}

async function linesOf(output: Readable): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface(output)) lines.push(line);
  return lines;
}

describe('a subreaper', () => {
  it('gets the orphans of its children, sees how they ended, and reaps them', async () => {
    // Each grandchild waits until its own parent, the shell, is gone.
    const { output } = start(`
      calls.becomeSubreaper();
      const ended = [];
      const look = () => {
        for (;;) {
          const child = calls.peekEnded();
          if (child === undefined || child.processId === ours.pid) return;
          const again = calls.peekEnded();
          const { processId, end } = child;
          const reaped = calls.reap(processId);
          ended.push([JSON.stringify(end), JSON.stringify(again?.end), JSON.stringify(reaped)].join(' '));
          if (ended.length === 2) {
            console.log(ended.sort().join('\\n'));
            console.log(String(calls.reap(processId)), String(calls.peekEnded()), calls.reap(1));
            process.exit();
          }
        }
      };
      process.on('SIGCHLD', look);
      const orphan = (ending) => '(while kill -0 "$$" 2>/dev/null; do :; done; ' + ending + ') &';
      const ours = spawn('/bin/bash', ['-c', orphan('exit 7') + orphan('kill -9 "$BASHPID"')]);
      ours.on('exit', look);
      setInterval(() => undefined, 1000);`);
    expect(await linesOf(output)).toEqual([
      '{"kind":"exit","status":7} {"kind":"exit","status":7} {"kind":"exit","status":7}',
      '{"kind":"signal","signal":9} {"kind":"signal","signal":9} {"kind":"signal","signal":9}',
      'undefined undefined undefined',
    ]);
  });
});

describe('a child that asked for a signal on the death of its parent', () => {
  const orphaning = (signal: number): string => `
    const program = ${JSON.stringify(`${HEAD}
      calls.sendOnParentDeath(${String(signal)});
      process.on('SIGTERM', () => { console.log('told'); process.exit(); });
      console.log('started');
      setInterval(() => undefined, 1000);`)};
    spawn(process.execPath, ['--input-type=module-typescript', '-e', program], { stdio: 'inherit' });`;

  it('is killed with it, even if that was killed itself', async () => {
    const { child, output } = start(orphaning(9));
    await once(output, 'data');
    child.kill('SIGKILL');
    // The pipe ends when the last process that could write into it has ended.
    expect(await linesOf(output)).toEqual([]);
  });

  it('gets another signal if it asked for that', async () => {
    const { child, output } = start(orphaning(15));
    await once(output, 'data');
    child.kill('SIGKILL');
    expect(await linesOf(output)).toEqual(['told']);
  });

  it('keeps the request and a descriptor when it becomes another program', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dozo-platform-'));
    const path = join(directory, 'disk');
    await createDeviceFile({ path, sizeBytes: 65_536 });
    const { child, output } = start(`
      import { openFileDevice } from ${JSON.stringify(index)};
      const device = await openFileDevice({ path: ${JSON.stringify(path)}, mode: 'exclusive' });
      const program = ${JSON.stringify(`${HEAD}
        calls.sendOnParentDeath(9);
        calls.keepAcrossExec(3);
        process.execve('/bin/sh', ['sh', '-c', 'echo held; exec sleep 1000'], process.env);`)};
      spawn(process.execPath, ['--no-warnings', '--input-type=module-typescript', '-e', program], {
        stdio: ['ignore', 'inherit', 'inherit', device.descriptor],
      });
      await device.close();`);
    await once(output, 'data');
    const open = (): Promise<Device> => openFileDevice({ path, mode: 'exclusive' });
    await expect(open()).rejects.toMatchObject({ code: 'DEVICE_BUSY' });
    child.kill('SIGKILL');
    expect(await linesOf(output)).toEqual([]);
    // The kernel closes the pipe a moment before the descriptor with the lock.
    await vi.waitFor(async () => (await open()).close());
    await rm(directory, { recursive: true });
  });
});

describe('a process that becomes another program', () => {
  it('keeps a duplicated descriptor, and ignores no signal that was restored', async () => {
    const { output } = start(`
      calls.restoreSignal(13);
      calls.restoreSignal(25);
      calls.keepAcrossExec(1);
      const duplicate = calls.duplicateDescriptor(1, 100);
      const say = 'echo "$0" "$NAME" >&' + duplicate + '; grep SigIgn /proc/self/status';
      calls.execute('/bin/bash', ['sh', '-c', say, String(duplicate)], ['NAME=value']);`);
    expect(await linesOf(output)).toEqual(['100 value', expect.stringMatching(/^SigIgn:\s0+$/)]);
  });

  it('goes on, and is told why, when there is none', async () => {
    const { output } = start(`
      console.log(calls.execute('/nonexistent', ['x'], []), calls.execute('/etc', ['x'], []));
      console.log(calls.duplicateDescriptor(9999, 100));`);
    expect(await linesOf(output)).toEqual(['ENOENT EACCES', 'EBADF']);
  });

  it('knows whether it has a child', async () => {
    const { output } = start(`
      const before = calls.hasChild();
      const child = spawn('/bin/true');
      const during = calls.hasChild();
      child.on('exit', () => console.log(before, during, calls.hasChild()));`);
    expect(await linesOf(output)).toEqual(['false true false']);
  });
});

it('tells that this machine cannot call the C library', async () => {
  const missing = (): Promise<never> => Promise.reject(new Error('no such module'));
  await expect(loadProcessCalls(missing)).rejects.toMatchObject({
    code: 'KERNEL_CALLS_UNAVAILABLE',
    message: expect.stringContaining('no program can be guarded') as string,
  });
});
