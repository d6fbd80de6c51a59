import { expect, test } from 'vitest';

import { LINE_WIDTH_MAX } from './limits.ts';
import { Story } from './story.ts';

function told(isTTY: boolean, environment: NodeJS.ProcessEnv = {}): string {
  let text = '';
  const story = new Story({ isTTY, write: (part) => (text += part) }, environment);
  story.chapter('A chapter');
  story.tell('daemon A', 'does this and that. '.repeat(20));
  story.verdict('The end.');
  return text;
}

test('without a terminal there are no colour codes, and lines are not too long', () => {
  const text = told(false);
  expect(text).not.toContain('\x1b');
  const widths = text.split('\n').map((line) => line.length);
  expect(Math.max(...widths)).toBeLessThanOrEqual(LINE_WIDTH_MAX);
});

test('a terminal gets bold headings, unless the user does not want them', () => {
  expect(told(true)).toContain('\x1b[1mA chapter');
  expect(told(true, { NO_COLOR: '1' })).toBe(told(false));
});

test('without an output nothing is told', () => {
  const story = new Story(undefined, {});
  story.chapter('A chapter');
  expect(() => story.verdict('The end.')).not.toThrow();
});
