import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { findCommand, refusal } from './command-path.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dozo-path-'));
  for (const name of ['one', 'two']) mkdirSync(join(directory, name));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function addFile(path: string, mode: number): string {
  const whole = join(directory, path);
  writeFileSync(whole, '');
  chmodSync(whole, mode);
  return whole;
}

const searchPath = (): string => `${directory}/one:${directory}/nowhere:${directory}/two`;

describe('a command', () => {
  it('is the first that can be executed on the search path', () => {
    addFile('one/tool', 0o644);
    const second = addFile('two/tool', 0o755);
    expect(findCommand('tool', searchPath())).toEqual({ kind: 'found', path: second });
  });

  it('that is nowhere is 127, that may not be executed 126', () => {
    expect(findCommand('tool', searchPath())).toMatchObject({ kind: 'refused', status: 127 });
    addFile('two/tool', 0o644);
    expect(findCommand('tool', searchPath())).toMatchObject({
      status: 126,
      reason: expect.stringContaining('two/tool') as string,
    });
    expect(findCommand(`${directory}/one`, undefined)).toMatchObject({ status: 126 });
    expect(findCommand(`${directory}/none`, undefined)).toMatchObject({ status: 127 });
  });

  it('is looked for in the usual directories when there is no search path', () => {
    expect(findCommand('sh', undefined)).toMatchObject({ kind: 'found' });
  });

  it('that the kernel refuses is told in words', () => {
    expect(refusal('/x', 'ENOENT')).toMatchObject({ status: 127 });
    expect(refusal('/x', 'ENOEXEC')).toMatchObject({
      status: 126,
      reason: expect.stringContaining('not a program of this machine') as string,
    });
    expect(refusal('/x', 'EIO')).toMatchObject({ status: 126, reason: '/x: EIO' });
  });
});
