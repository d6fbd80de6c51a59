import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { loadNativePart } from './load-native-part.ts';

const bytes = new Uint8Array([1, 2, 3]);
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dozo-native-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function loadIn(
  directories: readonly string[],
  load: (path: string) => void,
  hasUnnamedFiles = true,
): void {
  loadNativePart({ bytes, directories, name: 'random', load, hasUnnamedFiles });
}

function dlopenError(message: string): Error {
  return Object.assign(new Error(message), { code: 'ERR_DLOPEN_FAILED' });
}

describe.each([true, false])('a native part, where files without a name are there: %s', (has) => {
  it('is whole when it is loaded, nobody else may touch it, and it leaves nothing', () => {
    const seen: unknown[] = [];
    loadIn(
      [directory],
      (path) => {
        seen.push([...readFileSync(path)], statSync(path).mode & 0o777, readdirSync(directory));
      },
      has,
    );
    expect(seen).toEqual([[1, 2, 3], 0o700, has ? [] : ['random']]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('goes to the next directory when one will not do, and is loaded once', () => {
    const next = join(directory, 'next');
    mkdirSync(next);
    const loaded: string[] = [];
    const load = (path: string): void => {
      if (loaded.push(path) === 1) throw dlopenError('failed to map segment from shared object');
    };
    loadIn([join(directory, 'nowhere'), directory, next, directory], load, has);
    expect(loaded).toHaveLength(2);
    expect(readdirSync(directory)).toEqual(['next']);
    expect(readdirSync(next)).toEqual([]);
  });

  it('says of each directory why it will not do', () => {
    const nowhere = join(directory, 'nowhere');
    const load = (): void => {
      throw dlopenError('failed to map segment from shared object');
    };
    expect(() => {
      loadIn([nowhere, directory], load, has);
    }).toThrow(`(${nowhere}: ENOENT; ${directory}: noexec)`);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('a native part', () => {
  it('never takes a file that is there for its own', () => {
    writeFileSync(join(directory, 'random'), 'of somebody else');
    expect(() => {
      loadIn([directory], () => undefined, false);
    }).toThrow(`${directory}: EEXIST`);
    expect(readFileSync(join(directory, 'random'), 'utf8')).toBe('of somebody else');
  });
});
