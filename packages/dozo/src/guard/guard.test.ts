import { expect, it } from 'vitest';

import { statusOfProgram } from './guard.ts';
import { withNodeOptions, withoutNodeOptions } from './hidden-entries.ts';

it.each([
  [{ status: 0, signal: null }, 0],
  [{ status: 255, signal: null }, 255],
  [{ status: null, signal: 'SIGTERM' }, 143],
  [{ status: null, signal: 'SIGKILL' }, 137],
  [{ status: null, signal: 'SIGSEGV' }, 139],
] as const)('%j is passed on as %i', (end, status) => {
  expect(statusOfProgram(end)).toBe(status);
});

it('keeps the options of Node from its own processes, and for the program', () => {
  const environment = { PATH: '/bin', NODE_OPTIONS: '--inspect' };
  const own = withoutNodeOptions(environment);
  expect(own).not.toHaveProperty('NODE_OPTIONS');
  expect(withNodeOptions(own)).toEqual(environment);
  expect(withNodeOptions(withoutNodeOptions({ PATH: '/bin' }))).toEqual({ PATH: '/bin' });
});
