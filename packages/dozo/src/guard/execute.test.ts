import { describe, expect, it } from 'vitest';

import { executeProgram } from './execute.ts';
import type { ExecuteCalls } from './execute.ts';

interface Executed {
  readonly path: string;
  readonly args: readonly string[];
  readonly environment: readonly string[];
}

/** Records what the kernel is asked for; each `execute` fails with the next of `failures`. */
function recording(failures: readonly string[]) {
  const asked: string[] = [];
  const executed: Executed[] = [];
  const calls: ExecuteCalls = {
    sendOnParentDeath: (signal) => void asked.push(`die ${signal}`),
    restoreSignal: (signal) => void asked.push(`restore ${signal}`),
    keepAcrossExec: (descriptor) => void asked.push(`keep ${descriptor}`),
    duplicateDescriptor: (descriptor, lowest) => {
      asked.push(`duplicate ${descriptor} ${lowest}`);
      return lowest;
    },
    execute: (path, args, environment) => {
      executed.push({ path, args, environment });
      return failures[executed.length - 1] ?? 'EIO';
    },
  };
  return { asked, executed, calls };
}

function run(calls: ExecuteCalls, command: readonly string[], parentPid = 7) {
  return executeProgram({
    calls,
    command,
    environment: { PATH: '/bin', NAME: 'a=b' },
    expectedParentPid: 7,
    parentPid: () => parentPid,
    lockedDescriptor: 3,
  });
}

describe('becoming the program', () => {
  it('asks to die with its parent, gives signals back, lets the lock through', () => {
    const { asked, executed, calls } = recording(['ENOENT']);
    run(calls, ['/bin/sh', '-c', 'true']);
    expect(asked).toEqual([
      'die 9',
      'restore 13',
      'restore 25',
      'keep 0',
      'keep 1',
      'keep 2',
      'duplicate 3 100',
    ]);
    expect(executed).toEqual([
      {
        path: '/bin/sh',
        args: ['/bin/sh', '-c', 'true'],
        environment: ['PATH=/bin', 'NAME=a=b'],
      },
    ]);
  });

  it('does not happen when its parent has gone before it could ask', () => {
    const { executed, calls } = recording([]);
    expect(run(calls, ['/bin/sh'], 1)).toEqual({ status: 137 });
    expect(executed).toEqual([]);
  });

  it('does not happen without the lock', () => {
    const { executed, calls } = recording([]);
    const result = run({ ...calls, duplicateDescriptor: () => 'EMFILE' }, ['/bin/sh']);
    expect(result).toMatchObject({
      status: 126,
      line: expect.stringContaining('EMFILE') as string,
    });
    expect(executed).toEqual([]);
  });

  it('runs a script without a first line with sh', () => {
    const { executed, calls } = recording(['ENOEXEC', 'EIO']);
    run(calls, ['/bin/sh', 'a']);
    expect(executed[1]).toMatchObject({ path: '/bin/sh', args: ['sh', '/bin/sh', 'a'] });
  });

  it('that fails is 127 or 126 and a line', () => {
    expect(run(recording([]).calls, ['no-such-program'])).toMatchObject({ status: 127 });
    expect(run(recording(['EACCES']).calls, ['/bin/sh'])).toMatchObject({
      status: 126,
      line: expect.stringContaining('EACCES') as string,
    });
  });
});
