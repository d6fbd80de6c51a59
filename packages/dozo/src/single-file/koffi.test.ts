import { describe, expect, it } from 'vitest';

import { candidateDirectories } from './koffi.ts';

const MEMORY = ['/dev/shm', '/tmp', '/run', '/var/tmp'];

describe('where the native part may be put', () => {
  it('is in memory first, and in the volume last', () => {
    for (const args of [
      ['--volume', '/data', '--', 'true'],
      ['guard', '--volume=/data', '--wait', '--', 'true', '--volume', '/other'],
      ['--volume', '/data', '--status'],
    ]) {
      expect(candidateDirectories(args, {})).toEqual([...MEMORY, '/data']);
    }
  });

  it('is where TMPDIR says before all', () => {
    const args = ['--volume', '/data', '--', 'true'];
    expect(candidateDirectories(args, { TMPDIR: '/scratch' })[0]).toBe('/scratch');
    expect(candidateDirectories(args, { TMPDIR: '' })[0]).toBe('/dev/shm');
  });

  it('is nowhere else when the command line is wrong or asks for help', () => {
    for (const args of [['--help'], ['--nonsense'], []]) {
      expect(candidateDirectories(args, {})).toEqual(MEMORY);
    }
  });
});
