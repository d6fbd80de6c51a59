import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { answerTo, FORWARDED_SIGNALS, isInForeground } from './forwarded-signals.ts';

it('passes every signal on when no terminal has sent it', () => {
  for (const signal of FORWARDED_SIGNALS) expect(answerTo(signal, false)).toBe('forward');
});

it('leaves to the terminal what it has sent to the whole group, and stops for Ctrl-Z', () => {
  expect(answerTo('SIGINT', true)).toBe('ignore');
  expect(answerTo('SIGQUIT', true)).toBe('ignore');
  expect(answerTo('SIGWINCH', true)).toBe('ignore');
  expect(answerTo('SIGTSTP', true)).toBe('stop');
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const) {
    expect(answerTo(signal, true)).toBe('forward');
  }
});

it.each([
  ['in the foreground of its terminal', 'S 1 70 70 34816 70 4194560', true],
  ['in the background', 'S 1 70 60 34816 60 4194560', false],
  ['without a terminal', 'S 1 70 70 0 -1 4194560', false],
])('sees that it is %s', (_where, fields, isForeground) => {
  const directory = mkdtempSync(join(tmpdir(), 'dozo-stat-'));
  const path = join(directory, 'stat');
  writeFileSync(path, `71 (a) b) ${fields}\n`);
  expect(isInForeground(path)).toBe(isForeground);
  rmSync(directory, { recursive: true });
  expect(isInForeground(path)).toBe(false);
});
