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

/** Everything at once, with words as long as ids, counts, device names and paths make them. */
function toldWith(word: string): string {
  let text = '';
  const story = new Story({ isTTY: false, write: (part) => (text += part) }, {});
  story.chapter(`A chapter about ${word} and what was seen of it. `.repeat(3));
  story.say(`It lies in ${word} and is cleared away. `.repeat(3));
  story.tell('disk', word);
  story.tell('daemon A', `pid 4194304: holds ${word}\n  and serves ${word}: all of it. `.repeat(3));
  story.tell('a name that is too long', `has ${word}.`);
  story.verdict(`The end of ${word}. `.repeat(9));
  return text;
}

test('whatever the words are, only one that is too long by itself makes a line too long', () => {
  for (let length = 1; length < 2 * LINE_WIDTH_MAX; length += 1) {
    const word = 'x'.repeat(length);
    const lines = toldWith(word).split('\n');
    const tooLong = lines.filter((line) => line.length > LINE_WIDTH_MAX);
    // With the full stop or the colon after it, and nothing else, not even an indent.
    for (const line of tooLong) expect(line).toMatch(/^x+[.:]?$/);
    expect(tooLong.length > 0).toBe(length >= LINE_WIDTH_MAX);
    expect(lines.every((line) => line === line.trimEnd())).toBe(true);
  }
});

test('a name stands before what it did, or above where that needs the room', () => {
  expect(toldWith('/dev/loop1234567')).toContain('\n   disk       /dev/loop1234567\n');
  const path = `/${'d/'.repeat(46)}`;
  expect(toldWith(path)).toContain(`\n   disk\n${' '.repeat(7)}${path}\n`);
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
