import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { DozoError } from '@dozo/base';
import { describe, expect, it } from 'vitest';

import * as exitCodes from './exit-codes.ts';

const page = readFileSync(
  join(import.meta.dirname, '../../../docs/operations/exit-codes.md'),
  'utf8',
);

describe('exitStatusOf', () => {
  it('knows the classes of errors', () => {
    const statusOf = (code: string) => exitCodes.exitStatusOf(new DozoError('', { code }));
    expect(statusOf('USAGE_INVALID')).toBe(2);
    expect(statusOf('DEVICE_HELD')).toBe(3);
    expect(statusOf('DEVICE_NOT_DOZO')).toBe(4);
    expect(statusOf('NO_SPACE')).toBe(6);
    expect(statusOf('ENGINE_FAILED')).toBe(7);
    expect(statusOf('STOP_TIMED_OUT')).toBe(1);
  });

  it('takes what is no error of ours for a bug', () => {
    expect(exitCodes.exitStatusOf(new TypeError('x is not a function'))).toBe(70);
    expect(exitCodes.exitStatusOf('a string')).toBe(70);
  });
});

describe('the page of exit codes', () => {
  const statuses = Object.entries(exitCodes).filter(([name]) => name.startsWith('EXIT_'));

  it.each(statuses.filter(([name]) => name !== 'EXIT_SIGNAL_BASE'))('has %s', (_name, status) => {
    expect(page).toMatch(new RegExp(`^\\| ${String(status)} +\\|`, 'm'));
  });

  it('has a row for each status and no other', () => {
    const rows = [...page.matchAll(/^\| (\d+|128\+n) +\|/gm)].map((match) => match[1]);
    expect(rows).toHaveLength(statuses.length);
    expect(new Set(rows).size).toBe(rows.length);
  });
});
